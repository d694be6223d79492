"""The prompts that a recipe will have, told from the list of its images before there are clusters."""

import itertools
from collections import Counter
from typing import Any, TypeAlias

from mep.artifacts import Prompt
from mep.artifacts.findings import Findings
from mep.config import parts
from mep.errors import DataError
from mep.recipe.model import Experiment
from mep.stages.dataset.labels import listed_labels
from mep.stages.dataset.stage import list_records
from mep.stages.prompts.template import Record, Writer
from mep.stages.prompts.truth import TRUTH, truths

Listing: TypeAlias = tuple[int, Counter[str], list[str], Findings]
"""Number of images, those of each label, the steps of their truth, and the findings behind the labels."""


def listing_of(experiment: Experiment) -> Listing | None:
    """What the source lists; None where it cannot be listed without fetching it."""
    if any(part.missing() for part in parts(experiment.dataset.source)):
        return None
    records, _ = list_records(experiment.dataset)
    texts, findings = listed_labels(records, experiment.dataset)
    labels = Counter(sorted(text for text in texts if text is not None))
    truth = experiment.dataset.truth
    steps = truths([record.metadata.get(truth) for record in records], len(records)) if truth else []
    return len(records), labels, list(dict.fromkeys(steps)), findings


def possible_prompts(
    experiment: Experiment, labels: Counter[str], steps: list[str], findings: Findings
) -> list[Prompt]:
    """Every prompt that there can be, as if every cluster and every step of truth had images of every label."""
    config, named = experiment.prompts, experiment.prompts.recorded
    if config.method.kind == "given":
        return []
    writer = Writer(config.templates, config.label_names, config.names_by_hand, findings)
    most = _most_clusters(experiment.clustering.method)
    if named - {"label", "cluster", TRUTH} or ("cluster" in named and most is None):
        return []  # captions of other columns, and of clusters, are known once they have been made
    clusters: list[int | None] = list(range(most or 0)) if "cluster" in named else [None]
    shown: list[str | None] = [*labels] if "label" in named and labels else [None]
    columns = [{TRUTH: step} for step in steps] if TRUTH in named else [{}]
    try:
        return [
            _written(writer, record)
            for record in itertools.starmap(Record, itertools.product(shown, clusters, columns))
        ]
    except DataError:
        return []  # names that the recipe does not give, for clusters that need not come to be


def _written(writer: Writer, record: Record) -> Prompt:
    text, *variants = writer.write(record)
    return Prompt(record.prompt_id, text, record.label, record.cluster, 1, record.columns, tuple(variants))


def sure_prompts(experiment: Experiment) -> list[Prompt]:
    """Those of the prompts that come to be however images are clustered, as far as it costs nothing to tell.

    Labels are those that the source lists, unless it has to open its files for that.
    """
    names = experiment.prompts.names
    listing = None
    if names & {"label", TRUTH}:
        if experiment.dataset.source.opens_to_list:
            return []
        listing = listing_of(experiment)
        if listing is None:
            return []
    found = possible_prompts(experiment, *(listing[1:] if listing else (Counter(), [], Findings())))
    fewest = _fewest_clusters(experiment.clustering.method)
    return [prompt for prompt in found if prompt.cluster is None or prompt.cluster < fewest]


def _fewest_clusters(method: Any) -> int:
    k = getattr(method, "k", None)
    return (k if isinstance(k, int) else min(k.choose)) if k is not None else 0


def _most_clusters(method: Any) -> int | None:
    """Clusters at most; None for a method that finds their number."""
    if method.kind == "none":
        return 1
    if like := getattr(method, "like", None):
        return _most_clusters(like)
    k = getattr(method, "k", None)
    return k if k is None or isinstance(k, int) else max(k.choose)
