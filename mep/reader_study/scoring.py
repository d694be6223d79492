"""Answers against the key: sensitivity, specificity, accuracy, by reader and over all of them."""

from collections.abc import Container
from dataclasses import asdict, replace

import numpy as np
from numpy.typing import NDArray

from mep.errors import DataError
from mep.reader_study.answers import Answers
from mep.reader_study.candidates import REAL, SYNTHETIC
from mep.reader_study.ratings import more_of_reader, more_over_readers, types_named
from mep.reader_study.study import Key
from mep.statistics.intervals import agreement, binomial_p, clopper_pearson, over_readers

DEFINITIONS = {
    "sensitivity": "share of synthetic images called synthetic",
    "specificity": "share of real images called real",
    "accuracy": "share of images called right; 0.5 is guessing",
}
MEASURES = tuple(DEFINITIONS)


def score(answers: list[Answers], key: Key) -> dict[str, object]:
    """What the readers made of the study, ready for JSON.

    readers     one entry each: measures with exact intervals, the area under the ROC curve and its points, the share of
                repeated images that got the same answer twice, of types named right, the p-value of guessing, seconds
    pooled      the same over all readers, on images that all of them answered
    arms        sensitivity on each arm's images, by reader and pooled
    types       share of types named right on real images and on each arm's, how often each was taken for which other,
                and Fleiss' kappa of what readers named; None without a second question
    agreement   Fleiss' kappa, with two readers or more

    DataError   an answer to an image that the study does not have
    """
    everything = {row["item"] for row in key["items"]}
    for sheet in answers:
        if unknown := sorted(set(sheet.given) - everything):
            raise DataError(f"{sheet.file} answers image {unknown[0]}; the study has {len(everything)}")
    # an image that comes a second time speaks of the reader alone
    firsts = [row for row in key["items"] if row.get("repeats") is None]
    truth = {row["item"]: row["truth"] for row in firsts}
    types = {row["item"]: row.get("type", row["label"]) for row in firsts if key.get("types")}
    repeats = {row["item"]: row["repeats"] for row in key["items"] if row.get("repeats") is not None}
    sheets, answers = answers, [_of_items(sheet, truth) for sheet in answers]
    of_arm: dict[str, list[int]] = {}
    for row in firsts:
        of_arm.setdefault(row["arm"], []).append(row["item"])
    shared = [item for item in truth if all(item in sheet.given for sheet in answers)]
    n_real = np.array([[sheet.given[item] == REAL for item in shared] for sheet in answers], dtype=np.int64).sum(0)
    counts = np.stack([n_real, len(answers) - n_real], axis=1)
    return {
        "study": key["study"],
        "run_id": key["run_id"],
        "n_images": len(truth),
        "n_real": list(truth.values()).count(REAL),
        "definitions": DEFINITIONS,
        "readers": [
            _of_reader(sheet, truth) | more_of_reader(whole, sheet, truth, repeats, types)
            for whole, sheet in zip(sheets, answers, strict=True)
        ],
        "pooled": {
            "n_readers": len(answers),
            "n_images": len(shared),
            **{name: asdict(over_readers(_right(answers, _items(name, shared, truth), truth))) for name in MEASURES},
            **more_over_readers(answers, shared, truth, types),
        },
        "arms": {arm: _of_arm(answers, of_arm[arm], truth) for arm in sorted(of_arm) if arm},
        "types": types_named(answers, types, {arm or REAL: of_arm[arm] for arm in sorted(of_arm)}),
        "agreement": asdict(agreement(counts)) if len(answers) > 1 else None,
    }


def _of_items(sheet: Answers, items: Container[int]) -> Answers:
    """The answers to some items alone."""
    return replace(sheet, given={item: answer for item, answer in sheet.given.items() if item in items})


def _items(measure: str, items: list[int], truth: dict[int, str]) -> list[int]:
    wanted = {"sensitivity": SYNTHETIC, "specificity": REAL}.get(measure)
    return [item for item in items if wanted in (None, truth[item])]


def _right(answers: list[Answers], items: list[int], truth: dict[int, str]) -> NDArray[np.bool_]:
    """bool (readers, items)"""
    return np.array([[sheet.given[item] == truth[item] for item in items] for sheet in answers], dtype=bool)


def _of_reader(sheet: Answers, truth: dict[int, str]) -> dict[str, object]:
    n = len(sheet.given)
    scores: dict[str, object] = {"reader": sheet.reader, "file": sheet.file, "n_images": n, "n_open": len(truth) - n}
    for name in MEASURES:
        items = _items(name, list(sheet.given), truth)
        scores[name] = asdict(clopper_pearson(int(_right([sheet], items, truth).sum()), len(items)))
    seconds = [value for value in sheet.seconds.values() if np.isfinite(value)]
    return scores | {
        "p_guessing": binomial_p(int(_right([sheet], list(sheet.given), truth).sum()), n),
        "median_seconds": float(np.median(seconds)) if seconds else None,
    }


def _of_arm(answers: list[Answers], items: list[int], truth: dict[int, str]) -> dict[str, object]:
    readers = []
    for sheet in answers:
        answered = [item for item in items if item in sheet.given]
        sensitivity = clopper_pearson(int(_right([sheet], answered, truth).sum()), len(answered))
        readers.append({"reader": sheet.reader, "sensitivity": asdict(sensitivity)})
    shared = [item for item in items if all(item in sheet.given for sheet in answers)]
    return {"readers": readers, "pooled": asdict(over_readers(_right(answers, shared, truth)))}
