"""Where an instrument contradicts what is known: samples that it ranks above real images."""

import math
from collections.abc import Iterator

from mep.report.data.calibration import HEADLINE
from mep.report.tables.comparison import Comparison, Metric, Number
from mep.report.text import listed, plain
from mep.report.wording import REFERENCES
from mep.statistics.intervals import Z_95


def distrust(comparison: Comparison) -> list[str]:
    """A sentence for every extractor whose kernel distance puts samples, or reconstructions, nearer than real images.

    Training images are as real as held-out ones, so no model can be expected to come nearer than they do. An
    autoencoder can: its reconstructions are of the held-out images themselves. It either loses nothing, or loses what
    the extractor does not see.
    """
    return [
        sentence
        for metric in comparison.metrics
        if metric.metric == HEADLINE and metric.group == "all" and metric.reference != "train"
        for sentence in _of_metric(metric)
    ]


def _of_metric(metric: Metric) -> Iterator[str]:
    train, floor = (_reference(metric, subject) for subject in ("train", "floor"))
    if train is None:
        return
    nearer = [plain(label) for label, number in metric.arms.items() if _is_nearer(number, train)]
    name = plain(metric.extractor)
    if nearer:
        yield f"{name} ranks the samples of {listed(nearer)} above real training images: it cannot be trusted here."
    if floor is not None and _is_nearer(floor, train):
        yield (
            f"{name} ranks reconstructions above real training images: the autoencoder loses nothing that "
            f"{name} can see."
        )


def _reference(metric: Metric, subject: str) -> Number | None:
    title = REFERENCES[subject]
    return next((number for name, number in metric.references.items() if name.startswith(title)), None)


def _is_nearer(number: Number, train: Number) -> bool:
    """Clearly, by the errors of both: the interval of the difference leaves zero out."""
    if number.value is None or train.value is None:
        return False
    error = math.hypot(number.se or 0.0, train.se or 0.0)
    return train.value - number.value > Z_95 * error
