"""Answers against the key: sensitivity, specificity, accuracy, by reader and over all of them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from mep.errors import DataError
from mep.reader_study.answers import Answers
from mep.reader_study.study import REAL, SYNTHETIC
from mep.statistics.proportions import agreement, binomial_p, clopper_pearson, over_readers

DEFINITIONS = {
    "sensitivity": "share of synthetic images called synthetic",
    "specificity": "share of real images called real",
    "accuracy": "share of images called right; 0.5 is guessing",
}
MEASURES = tuple(DEFINITIONS)


def score(answers: list[Answers], key: dict[str, Any]) -> dict[str, Any]:
    """What the readers made of the study, ready for JSON.

    readers     one entry each: measures with exact intervals, the p-value of guessing, seconds an image
    pooled      the same over all readers, on images that all of them answered
    arms        sensitivity on each arm's images, by reader and pooled
    agreement   Fleiss' kappa, with two readers or more

    DataError   an answer to an image that the study does not have
    """
    truth = {row["item"]: row["truth"] for row in key["items"]}
    arm_of = {row["item"]: row["arm"] for row in key["items"]}
    for one in answers:
        if unknown := sorted(set(one.given) - set(truth)):
            raise DataError(f"{one.file} answers image {unknown[0]}; the study has {len(truth)}")
    shared = [item for item in truth if all(item in one.given for one in answers)]
    arms = [arm for arm in dict.fromkeys(arm_of.values()) if arm]
    return {
        "study": key["study"],
        "run_id": key["run_id"],
        "n_images": len(truth),
        "n_real": sum(one == REAL for one in truth.values()),
        "definitions": DEFINITIONS,
        "readers": [_of_reader(one, truth) for one in answers],
        "pooled": {
            "n_readers": len(answers),
            "n_images": len(shared),
            **{name: asdict(over_readers(_right(answers, _items(name, shared, truth), truth))) for name in MEASURES},
        },
        "arms": {arm: _of_arm(answers, [i for i in truth if arm_of[i] == arm], truth) for arm in sorted(arms)},
        "agreement": asdict(agreement(_counts(answers, shared))) if len(answers) > 1 else None,
    }


def _items(measure: str, items: list[int], truth: dict[int, str]) -> list[int]:
    wanted = {"sensitivity": SYNTHETIC, "specificity": REAL}.get(measure)
    return [item for item in items if wanted is None or truth[item] == wanted]


def _right(answers: list[Answers], items: list[int], truth: dict[int, str]) -> np.ndarray:
    """bool (readers, items)"""
    return np.array([[one.given[item] == truth[item] for item in items] for one in answers], dtype=bool)


def _of_reader(one: Answers, truth: dict[int, str]) -> dict[str, Any]:
    found: dict[str, Any] = {"reader": one.reader, "file": one.file, "n_images": len(one.given)}
    found["n_open"] = len(truth) - len(one.given)
    for name in MEASURES:
        items = _items(name, list(one.given), truth)
        found[name] = asdict(clopper_pearson(int(_right([one], items, truth).sum()), len(items)))
    found["p_guessing"] = binomial_p(int(_right([one], list(one.given), truth).sum()), len(one.given))
    seconds = [value for value in one.seconds.values() if np.isfinite(value)]
    found["median_seconds"] = float(np.median(seconds)) if seconds else None
    return found


def _of_arm(answers: list[Answers], items: list[int], truth: dict[int, str]) -> dict[str, Any]:
    shared = [item for item in items if all(item in one.given for one in answers)]
    readers = []
    for one in answers:
        own = [item for item in items if item in one.given]
        found = clopper_pearson(int(_right([one], own, truth).sum()), len(own))
        readers.append({"reader": one.reader, "sensitivity": asdict(found)})
    return {"readers": readers, "pooled": asdict(over_readers(_right(answers, shared, truth)))}


def _counts(answers: list[Answers], items: list[int]) -> np.ndarray:
    """int64 (items, 2): readers who said real, readers who said synthetic."""
    called = np.array([[one.given[item] == REAL for one in answers] for item in items], dtype=np.int64)
    n_real = called.reshape(len(items), len(answers)).sum(1)
    return np.stack([n_real, len(answers) - n_real], axis=1)
