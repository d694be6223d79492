"""Ceiling: what classifiers trained on real images reach, shared by all arms."""

import itertools
from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from mep.artifacts import TRAIN, VALIDATION, BaseModel, Images, RealBaseline
from mep.artifacts.score_row import JsonObject
from mep.artifacts.scores import Part, part_name
from mep.evaluation.features import SQUARE, features_of, protocol_of
from mep.machine.work import Work
from mep.methods.probes import Examples, Inputs, Probe
from mep.sections.utility import CeilingConfig
from mep.stage import stage
from mep.stages.references import Squares
from mep.stages.utility.probing import Predictions, Subset, nested_order, shortage, train_and_predict
from mep.stages.utility.tasks import Task, tasks_of

CARVED = 5
"""Without validation images in the dataset, one in five training images is kept from the probes in their place."""


@stage(version=4, section="utility", draws=True)
def ceiling(config: CeilingConfig, images: Images, base: BaseModel, *, work: Work) -> RealBaseline:
    """Train the probe on shares of the real training images and let it predict the held-out ones.

    Where images may show several findings a probe is trained for each of them, to tell it from all else.
    """
    size = config.eval_resolution or base.resolution
    about: JsonObject = {"eval_resolution": size, "seed": work.seed}
    train, validation, source = _parts(images, work.rng("validation"))
    tasks, refused = _tasks(config, images, train, validation)
    if not tasks:
        rows, reason = np.zeros(0, np.int64), next(iter(refused.values()))
        return RealBaseline(reason, np.zeros((0, 0), np.float32), rows[None], rows, {}, {}, about)
    features, protocol = real_features(config, images, size, work)
    read = _inputs(config.probe, features, images, size)
    strata, groups = images.strata[train], images.groups[train]
    order = np.stack([train[nested_order(strata, groups, work.rng("order", r))] for r in range(config.repeats)])
    heldout = np.flatnonzero(images.heldout)
    predictions: dict[Part, Predictions] = {}
    planned = list(itertools.product(tasks, config.fractions))
    for number, (task, share) in enumerate(planned):
        watched, tested = (Examples(read, part, task.labels[part]) for part in (validation, heldout))
        subsets = list(real_subsets(config.probe, order, share, task.labels))
        if all(len(np.unique(subset.labels)) == len(task.names) for subset in subsets):
            name = task.called(f"real {share}")
            predictions[task.finding, share] = train_and_predict(config.probe, name, subsets, watched, tested, work)
        work.progress.update(number + 1, len(planned))
    about |= {"protocol": protocol, "validation_from": source} | ({"refused": refused} if refused else {})
    about["chosen"] = {part_name(part): of_part.chosen for part, of_part in predictions.items()}
    probabilities = {part: of_part.probabilities for part, of_part in predictions.items()}
    cuts = {part: of_part.cuts for part, of_part in predictions.items()}
    return RealBaseline("", features, order, validation, probabilities, cuts, about)


def real_subsets(probe: Probe, order: NDArray[np.int64], share: float, labels: NDArray[np.int64]) -> Iterator[Subset]:
    """The beginnings of the orders; one is enough of the whole where trainings on it cannot differ."""
    n = max(round(share * order.shape[1]), 1)
    for rows in order[: None if share < 1 or probe.draws else 1, :n]:
        yield Subset(rows, labels[rows], n, 0)


def real_features(
    config: CeilingConfig, images: Images, size: int, work: Work
) -> tuple[NDArray[np.float32], JsonObject]:
    """float32 (n, d) and their protocol; d is 0 where the probe sees pixels."""
    if config.probe.sees != "features":
        return np.zeros((len(images), 0), np.float32), {"resize": f"{SQUARE} @{size}"}
    features = features_of("features", Squares(images, size), len(images), config.extractor, work)
    return features, {"dtype": "float32"} | protocol_of(config.extractor, features.shape[1], size)


def _inputs(probe: Probe, features: NDArray[np.float32], images: Images, size: int) -> Inputs:
    if probe.sees == "features":
        return lambda rows: features[rows]
    return lambda rows: np.stack([images.read_square(int(row), size) for row in rows])


def _parts(images: Images, rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64], str]:
    """Rows of training and of validation images, and where the latter come from."""
    train, validation = (np.flatnonzero(images.splits == split) for split in (TRAIN, VALIDATION))
    if len(validation) or not images.label_names:
        return train, validation, "the dataset"
    strata, groups = images.strata[train], images.groups[train]
    aside = nested_order(strata, groups, rng)[: max(len(train) // CARVED, 1)]
    carved, source = np.isin(groups, groups[aside]), "training images, whole groups"
    if carved.all():
        carved, source = np.isin(np.arange(len(train)), aside), "training images of the same groups"
    return train[~carved], train[carved], source


def _tasks(
    config: CeilingConfig, images: Images, train: NDArray[np.int64], validation: NDArray[np.int64]
) -> tuple[list[Task], dict[str, str]]:
    """What probes can be trained for, and by finding (empty: the label) why there is nothing."""
    if config.probe.sees == "nothing":
        return [], {"": "utility.probe is none"}
    if not images.label_names:
        return [], {"": "the dataset has no labels, so that nothing can be learned from its images"}
    if len(images.label_names) < 2:
        return [], {"": f"all images are labelled '{images.label_names[0]}'"}
    parts = {"held-out": np.flatnonzero(images.heldout), "training": train, "validation": validation}
    tasks = tasks_of(images)
    short = {task.finding: _shortage(task, parts) for task in tasks}
    return [task for task in tasks if not short[task.finding]], {name: why for name, why in short.items() if why}


def _shortage(task: Task, parts: Mapping[str, NDArray[np.int64]]) -> str:
    """Of what the first part that cannot serve has too few images; empty where all can."""
    return next((why for part, rows in parts.items() if (why := shortage(task.labels[rows], task.names, part))), "")
