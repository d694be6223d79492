"""What a published model is told beside captions: never the vector of one image."""

import shutil
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from mep.artifacts import Images, Model, Prompt, TrainingSet
from mep.diffusion.cues import FOLDER, TABLE, VECTORS, Cues
from mep.sharing.selection import FEWEST

Group = tuple[str | None, int]
"""A label and a cluster."""

MEANS = """\
- The model is told vectors of images. `condition/` has the mean vector of each label and cluster of at least {fewest} \
patients or slides (images, where no column names these); vectors of single images stayed behind."""


def is_told_more(model: Model) -> bool:
    """Whether captions are not all that the model was trained on."""
    return (model.folder / FOLDER).is_dir()


def patients_of(images: Images | None, training_set: TrainingSet | None) -> dict[Group, int]:
    """Label and cluster -> patients, or slides, that it was trained on: images where no column names them."""
    if images is None or training_set is None:
        return {}
    groups = dict(zip(images.ids, images.groups.tolist(), strict=True))
    found: dict[Group, set[int]] = defaultdict(set)
    for image_id, label, cluster in zip(
        training_set.ids, training_set.labels, training_set.clusters.tolist(), strict=True
    ):
        found[label, cluster].add(groups[image_id])
    return {group: len(members) for group, members in found.items()}


def can_be_drawn(prompt: Prompt, patients: Mapping[Group, int]) -> bool:
    """Whether enough patients share a label and cluster of a prompt."""
    return any(
        n >= FEWEST and prompt.label in (None, label) and prompt.cluster in (None, cluster)
        for (label, cluster), n in patients.items()
    )


def write_condition(model: Model, patients: Mapping[Group, int], folder: Path) -> None:
    """Write `condition/` below a folder, where the model has one; of vectors the means that enough patients share."""
    if not is_told_more(model):
        return
    source, target = model.folder / FOLDER, folder / FOLDER
    for path in sorted(source.iterdir()):
        if path.name not in (TABLE, VECTORS):
            target.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target / path.name)
    cues = Cues.load(source)
    if cues.vectors is not None:
        cues = cues.merged()
        pairs = list(zip(cues.labels, cues.clusters.tolist(), strict=True))
        rows = np.array([row for row, group in enumerate(pairs) if patients.get(group, 0) >= FEWEST], dtype=np.int64)
        assert cues.vectors is not None, "means are vectors"
        vectors = replace(cues.vectors, values=cues.vectors.of(rows), places=np.arange(len(rows)))
        labels = [cues.labels[row] for row in rows.tolist()]
        cues = Cues(labels, cues.clusters[rows], cues.weights[rows], vectors)
    cues.save(target)
