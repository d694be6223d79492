"""What readers' confidence, repeated images and named types amount to."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray

from mep.reader_study.answers import Answers
from mep.reader_study.candidates import REAL, SYNTHETIC
from mep.statistics.intervals import agreement, clopper_pearson, over_readers
from mep.statistics.roc import area_of_reader, area_over_readers, roc_points


def more_of_reader(
    whole: Answers, sheet: Answers, truth: Mapping[int, str], repeats: Mapping[int, int], types: Mapping[int, str]
) -> dict[str, object]:
    """One reader's area under the ROC curve, agreement with themselves, and types named right.

    whole       with the answers to repeated images, `sheet` without
    repeats     item -> item that shows the same image
    types       item -> what it shows; empty without a second question
    """
    rated = [item for item in sheet.given if item in sheet.confidence]
    positives, negatives = _ratings([sheet], rated, truth)
    pairs = [(again, first) for again, first in repeats.items() if again in whole.given and first in whole.given]
    same = sum(whole.given[again] == whole.given[first] for again, first in pairs)
    named = [item for item in sheet.types if item in types]
    right = sum(sheet.types[item] == types[item] for item in named)
    return {
        "auc": asdict(area_of_reader(positives[0], negatives[0])),
        "roc": roc_points(positives[0], negatives[0]) if positives.size and negatives.size else [],
        "same_answer": asdict(clopper_pearson(same, len(pairs))),
        "type_right": asdict(clopper_pearson(right, len(named))),
    }


def more_over_readers(
    answers: Sequence[Answers], shared: Sequence[int], truth: Mapping[int, str], types: Mapping[int, str]
) -> dict[str, object]:
    """The mean area and the share of types named right, on images that all of them rated and named."""
    rated = [item for item in shared if all(item in sheet.confidence for sheet in answers)]
    named = [item for item in shared if item in types and all(item in sheet.types for sheet in answers)]
    right = np.array([[sheet.types[item] == types[item] for item in named] for sheet in answers], dtype=bool)
    return {
        "auc": asdict(area_over_readers(*_ratings(answers, rated, truth))),
        "type_right": asdict(over_readers(right)),
    }


def types_named(
    answers: Sequence[Answers], types: Mapping[int, str], of_origin: Mapping[str, Sequence[int]]
) -> dict[str, object] | None:
    """What readers named on real images and on those of each arm, where all of them named something.

    of_origin   `real` or an arm -> items; what its captions asked for is the right type of a synthetic image
    """
    if not types:
        return None
    named = [item for item in types if all(item in sheet.types for sheet in answers)]
    known = [item for item in named if types[item] is not None]
    right = {item: [sheet.types[item] == types[item] for sheet in answers] for item in known}
    confusion: dict[str, dict[str, int]] = {}
    for item in known:
        for sheet in answers:
            of_type = confusion.setdefault(types[item], {})
            of_type[sheet.types[item]] = of_type.get(sheet.types[item], 0) + 1
    kinds = sorted({sheet.types[item] for item in named for sheet in answers})
    counts = np.array([[sum(sheet.types[item] == kind for sheet in answers) for kind in kinds] for item in named])
    return {
        "right": {
            origin: asdict(over_readers(np.array([right[item] for item in items if item in right], dtype=bool).T))
            for origin, items in of_origin.items()
            if any(item in right for item in items)
        },
        "named_as": confusion,
        "agreement": asdict(agreement(counts.astype(np.int64))) if len(answers) > 1 and len(named) else None,
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
