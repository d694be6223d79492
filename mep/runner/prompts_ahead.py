"""The prompts that a recipe will have, told from the list of its images before there are clusters."""

import itertools
from collections import Counter
from typing import Any, TypeAlias

from mep.artifacts import Prompt
from mep.artifacts.findings import Findings
from mep.config import parts
from mep.errors import DataError
from mep.methods.sources import Record as Source
from mep.recipe.model import Experiment
from mep.runner.split_ahead import some_are_trained
from mep.stages.dataset.labels import listed_labels
from mep.stages.dataset.stage import list_records
from mep.stages.prompts.template import Record, Writer
from mep.stages.prompts.truth import TRUTH, truths

Listing: TypeAlias = tuple[int, Counter[str], list[str], Findings]
"""Number of images, those of each label, the steps of their truth, and the findings behind the labels."""


def listing_of(experiment: Experiment, *, trained_on: bool = False) -> Listing | None:
    """What the source lists; None where it cannot be listed without fetching it.

    trained_on      without labels that might be those of no training image
    """
    if any(part.missing() for part in parts(experiment.dataset.source)):
        return None
    records, _ = list_records(experiment.dataset)
    texts, findings = listed_labels(records, experiment.dataset)
    labels = Counter(sorted(text for text in texts if text is not None))
    if trained_on:
        of_label: dict[str | None, list[Source]] = {}
        for record, text in zip(records, texts, strict=True):
            of_label.setdefault(text, []).append(record)
        sure = [label for label in labels if some_are_trained(experiment.dataset, of_label[label])]
        labels = Counter({label: labels[label] for label in sure})
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


def sure_prompts(experiment: Experiment) -> list[list[Prompt]]:
    """Prompts of which it is known that they come to be, as far as it costs nothing to tell: one at least of each list.

    Labels are those that training images are sure to have, unless the source has to open its files to list them.
    """
    config, balancing = experiment.prompts, experiment.balancing
    labels, steps, findings = Counter[str](), list[str](), Findings()
    if config.names & {"label", TRUTH}:
        listing = None if experiment.dataset.source.opens_to_list else listing_of(experiment, trained_on=True)
        if listing is None:
            return []
        _, labels, steps, findings = listing
        if "label" in config.names and experiment.dataset.is_labelled and not labels:
            return []
    fewest = _fewest_clusters(experiment.clustering.method)
    found = possible_prompts(experiment, labels, steps, findings)
    found = [prompt for prompt in found if prompt.cluster is None or prompt.cluster < fewest]
    drops = balancing.method.kind == "uniform_per_prompt"
    if not drops and TRUTH not in config.names:
        return [[prompt] for prompt in found]
    of_label: dict[str | None, list[Prompt]] = {}  # of a label only some clusters, and steps of truth, may be left
    for prompt in found:
        of_label.setdefault(prompt.label if not drops or balancing.keys[0] == "label" else None, []).append(prompt)
    return [*of_label.values()]


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
