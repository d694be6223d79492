"""Vectors, outliers, clusters and captions that were made elsewhere and do not fit the images, told before a run."""

from collections.abc import Sequence

import numpy as np

from mep.artifacts import Images, Prompt
from mep.config import parts
from mep.machine.tables import read_table
from mep.methods.captioners.given import Given as GivenCaptions
from mep.methods.clusterers.given import Given as GivenClusters
from mep.methods.detectors.given import Given as GivenOutliers
from mep.methods.embedders.table import FIELD as VECTORS
from mep.methods.embedders.table import Table as GivenVectors
from mep.methods.sources import Record
from mep.recipe.model import Experiment
from mep.runner.caption_lengths import longest_captions
from mep.runner.split_ahead import may_be_trained, some_are_trained
from mep.stages.dataset.columns import in_steps, metadata_table
from mep.stages.dataset.stage import list_records
from mep.stages.prompts.given import FIELD as CAPTIONS
from mep.stages.prompts.given import refuse_long

FEWEST = 5
"""Images with captions that are too long below which all may yet be left out: as outliers, or without a cluster."""


def refuse_what_does_not_fit(experiment: Experiment) -> None:
    """DataError where a table or a column of the dataset is not about its images, or captions are too long.

    Nothing is decoded. Where the source has to be fetched, or has to open its files to list them, the stages tell.
    """
    config = experiment.dataset
    sections = (experiment.embedding.model, experiment.outliers.method, experiment.clustering.method)
    given = [one for one in (*sections, experiment.prompts.method) if one.kind in ("given", "table")]
    if not given or config.source.opens_to_list or any(part.missing() for part in parts(config.source)):
        return
    records = in_steps(list_records(config)[0], config.steps)
    images = _listed(experiment, records)
    for method in given:
        if isinstance(method, GivenVectors):
            table = read_table(method.ids or method.path, method.id, VECTORS)
            table.refuse_absent(table.strangers(images.ids), len(images), "vector")
        elif isinstance(method, GivenOutliers):
            method.check(images)
        elif isinstance(method, GivenClusters):
            method.names_of(images)
        elif isinstance(method, GivenCaptions):
            _check_captions(experiment, method, records, images)


def _listed(experiment: Experiment, records: Sequence[Record]) -> Images:
    """The images as they are listed: their names and columns, and nothing of their pixels."""
    n, config = len(records), experiment.dataset
    nothing = np.full(n, -1, dtype=np.int64)
    splits, sizes = np.zeros(n, dtype=np.int8), np.zeros((n, 2), dtype=np.int64)
    names, columns = [record.id for record in records], metadata_table(records)
    return Images(names, nothing, [], splits, [""] * n, sizes, columns, config.source, config.group)


def _check_captions(experiment: Experiment, method: GivenCaptions, records: Sequence[Record], images: Images) -> None:
    """DataError: captions of no image, or so many that are too long that some of their images are trained on."""
    if method.path is not None:
        table = read_table(method.path, method.id, CAPTIONS)
        if len(table.strangers(images.ids)) < len(images):
            table.column(method.column)
            images = images.select([record.id for record in records if may_be_trained(experiment.dataset, record)])
    texts = dict(zip(images.ids, method.texts(images), strict=True))
    shown = [record for record in records if texts.get(record.id) and may_be_trained(experiment.dataset, record)]
    captions = dict.fromkeys(str(texts[record.id]) for record in shown)
    prompts = [Prompt("", text, None, None, 1) for text in captions]
    long = longest_captions(experiment, prompts, fetch=True) if method.too_long == "refuse" else []
    lengths = {text: n for text, n, _ in long}
    too_long = [record for record in shown if texts[record.id] in lengths]
    keeps = experiment.balancing.method.kind != "uniform_per_prompt" or 2 * len(too_long) >= len(shown)
    if len(too_long) >= FEWEST and keeps and some_are_trained(experiment.dataset, too_long):
        refuse_long(lengths, len(captions), long[0][2])
