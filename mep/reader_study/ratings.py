"""What readers' confidence, repeated images and named types amount to."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray

from mep.reader_study.answers import Answers
from mep.reader_study.study import REAL, SYNTHETIC
from mep.statistics.intervals import clopper_pearson, over_readers
from mep.statistics.roc import area_of_reader, area_over_readers, roc_points


def more_of_reader(
    whole: Answers, sheet: Answers, truth: Mapping[int, str], repeats: Mapping[int, int], labels: Mapping[int, str]
) -> dict[str, object]:
    """One reader's area under the ROC curve, agreement with themselves, and types named right.

    whole       with the answers to repeated images, `sheet` without
    repeats     item -> item that shows the same image
    labels      item -> what it shows; empty without a second question
    """
    rated = [item for item in sheet.given if item in sheet.confidence]
    positives, negatives = _ratings([sheet], rated, truth)
    pairs = [(again, first) for again, first in repeats.items() if again in whole.given and first in whole.given]
    same = sum(whole.given[again] == whole.given[first] for again, first in pairs)
    named = [item for item in sheet.types if item in labels]
    right = sum(sheet.types[item] == labels[item] for item in named)
    return {
        "auc": asdict(area_of_reader(positives[0], negatives[0])),
        "roc": roc_points(positives[0], negatives[0]) if positives.size and negatives.size else [],
        "same_answer": asdict(clopper_pearson(same, len(pairs))),
        "type_right": asdict(clopper_pearson(right, len(named))),
    }


def more_over_readers(
    answers: Sequence[Answers], shared: Sequence[int], truth: Mapping[int, str], labels: Mapping[int, str]
) -> dict[str, object]:
    """The mean area and the share of types named right, on images that all of them rated and named."""
    rated = [item for item in shared if all(item in sheet.confidence for sheet in answers)]
    named = [item for item in shared if item in labels and all(item in sheet.types for sheet in answers)]
    right = np.array([[sheet.types[item] == labels[item] for item in named] for sheet in answers], dtype=bool)
    return {
        "auc": asdict(area_over_readers(*_ratings(answers, rated, truth))),
        "type_right": asdict(over_readers(right)),
    }


def _ratings(
    answers: Sequence[Answers], items: Sequence[int], truth: Mapping[int, str]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Ratings of synthetic and of real images, float64 (readers, images): the higher, the more they look synthetic."""
    synthetic, real = (
        np.array([[sheet.rating(item) for item in items if truth[item] == kind] for sheet in answers], dtype=np.float64)
        for kind in (SYNTHETIC, REAL)
    )
    return synthetic, real
