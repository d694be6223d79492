"""Scores as rows: every number with its uncertainty, what real images reach, and all that it depends on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

import mep
from mep.artifacts.score_row import COLUMNS, ScoreRow
from mep.errors import DataError
from mep.evaluation.uncertainty import halves_of_all
from mep.methods.scores import Measured, Score, measure_all
from mep.statistics.intervals import Z_95, standard_error

if TYPE_CHECKING:
    from numpy.typing import NDArray

N_HALVES = 40
"""Random halves of the delete-half jackknife."""

PLANE = 64
"""Components in which groups are compared by their Fréchet distance: the whole space would need thousands of images."""

FEWEST_GROUPS = 10
"""Slides or patients below which an uncertainty over them is itself a guess."""

MetricName = Callable[[str, int, dict[str, Any]], str]
"""A metric, the number of images and the score's settings -> what it is called in this feature space."""


@dataclass(frozen=True, eq=False)
class Scored:
    """A score, and its values on random halves; nan where there are none."""

    row: ScoreRow
    halves: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Space:
    """Sets of images in one feature space.

    protocol    extractor, digest, layer, d, preprocessing, eval_resolution, resize, image_format and the like
    real        float32 (n, d)      held-out images
    fakes       subject -> float32 (m, d); `samples` are the generated images
    train       float32 (t, d)      training images; None where there are none
    groups      int64 (n,)          slide or patient of every real image; None where they are not known
    paired      subjects whose images are the real ones, changed: they are drawn together
    """

    protocol: dict[str, Any]
    real: NDArray[np.floating]
    fakes: dict[str, NDArray[np.floating]]
    train: NDArray[np.floating] | None = None
    groups: NDArray[np.int64] | None = None
    paired: frozenset[str] = frozenset()
    metric_name: MetricName = field(default=lambda metric, n, settings: metric)


def evaluate(
    space: Space,
    scores: Sequence[Score],
    *,
    seed: int,
    n_halves: int = N_HALVES,
    most: int | None = None,
    device: str = "cpu",
) -> list[Scored]:
    """Every score of every subject against held-out images, and of the samples against training images.

    All sets are first brought to the size of the smallest, and of `most`, by a draw that depends on the seed and their
    sizes only.
    """
    sets = _Sets(space, seed, most)
    return [
        row
        for score_rows in (_heldout_rows, _gap_rows, _train_rows)
        for row in score_rows(sets, [score for score in scores if score.reads == "features"], n_halves, device)
    ]


class _Sets:
    """The sets of a space at equal size."""

    def __init__(self, space: Space, seed: int, most: int | None):
        self.space, self.seed = space, seed
        train = [] if space.train is None else [len(space.train)]
        n = min([len(space.real), *map(len, space.fakes.values()), *train, *([most] if most else [])])
        rows = drawn(len(space.real), n, seed, 0)
        self.real = space.real[rows]
        self.groups = None if space.groups is None else space.groups[rows]
        self.fakes = {
            subject: features[rows if subject in space.paired else drawn(len(features), n, seed, 1)]
            for subject, features in space.fakes.items()
        }
        self.train = None if space.train is None else space.train[drawn(len(space.train), n, seed, 2)]
        if self.train is not None:
            self.fakes["train"] = self.train
        self.against_heldout: dict[int, dict[str, Numbers]] = {}
        self.nulls: dict[int, Nulls] = {}

    def row(self, score: Score, metric: str, subject: str, **fields: Any) -> ScoreRow:
        n = len(self.real)
        available = {"train": self.space.train, **self.space.fakes}[subject]
        known = {
            "metric": self.space.metric_name(metric, n, score.dump()),
            "subject": subject,
            "reference": "heldout",
            "group": "all",
            "n_real": n,
            "n_fake": len(self.fakes[subject]),
            "n_real_of": len(self.space.real),
            "n_fake_of": 0 if available is None else len(available),
            "n_groups": None if self.groups is None else len(np.unique(self.groups)),
            "seed": self.seed,
        }
        return complete(self.space.protocol, score, metric, known | fields)


def drawn(n_rows: int, n: int, seed: int, stream: int) -> NDArray[np.int64]:
    """n of the rows in random order, the same for the same sizes and seed."""
    return np.random.default_rng([seed, 17, stream, n_rows]).permutation(n_rows)[:n]


def complete(protocol: Mapping[str, Any], score: Score, metric: str, known: Mapping[str, Any]) -> ScoreRow:
    """A row with every field, in order, and its flags."""
    fields: dict[str, Any] = dict.fromkeys(COLUMNS)
    fields |= {"version": mep.__version__, "flags": [], "dtype": "float32"} | dict(protocol)
    fields |= {"settings": score.dump(), **score.protocol(metric)}
    fields |= {name: value for name, value in known.items() if name != "flags"}
    if fields["value"] is not None and fields["se"] is not None:
        reach = Z_95 * fields["se"]
        fields |= {"low": fields["value"] - reach, "high": fields["value"] + reach}
    fields["flags"] = [*fields["flags"], *known.get("flags", ()), *_flags(fields, metric)]
    return ScoreRow.from_json(fields)


def _flags(fields: Mapping[str, Any], metric: str) -> Iterator[str]:
    if fields["value"] is None:
        why = fields["reason"] or ""
        yield "too_few_images" if any(word in why for word in ("needed", "too small", "too few")) else "no_value"
    if metric.startswith("fd") and fields["n_real"] <= (fields["d"] or 0):
        yield "rank_deficient"
    formats = fields["image_format"]
    if fields["n_groups"] is not None and fields["n_groups"] < FEWEST_GROUPS:
        yield "few_groups"
    if isinstance(formats, dict) and formats["real"] != formats["fake"] and "jpeg" in str(formats):
        yield "unlike_formats"


def _heldout_rows(sets: _Sets, scores: Sequence[Score], n_halves: int, device: str) -> Iterator[Scored]:
    scores = [score for score in scores if not score.needs_train]
    measured = {subject: measured_rows(scores, sets.real, fake, sets.groups, n_halves=n_halves, seed=sets.seed,
                                       device=device) for subject, fake in sets.fakes.items()}  # fmt: skip
    for place, score in enumerate(scores):
        sets.against_heldout[id(score)] = measured["samples"][place]
        sets.nulls[id(score)] = nulls = _nulls(score, sets, measured["train"][place] if "train" in measured else {})
        for subject, found in measured.items():
            for metric, (numbers, halves) in found[place].items():
                null = nulls[metric]
                yield Scored(sets.row(score, metric, subject, better=score.better[metric], **null, **numbers), halves)
                if metric in score.excess:
                    yield from _excess_rows(sets, score, metric, subject, numbers | null, halves)


def _nulls(score: Score, sets: _Sets, of_train: dict[str, Numbers]) -> Nulls:
    """What real images reach: as the score knows it, else what training images reach in the place of the fakes."""
    why = "without training images nobody knows what real ones reach"
    try:
        known = score.null(sets.real, sets.fakes["samples"], sets.space.train, seed=sets.seed)
    except DataError as error:
        known, why = {}, error.message
    reached = {metric: numbers["value"] for metric, (numbers, _) in of_train.items()} | known
    reasons = {metric: numbers["reason"] for metric, (numbers, _) in of_train.items() if "reason" in numbers}
    return {
        metric: {"null": reached[metric], "null_reason": None}
        if reached.get(metric) is not None
        else {"null": None, "null_reason": reasons.get(metric, why)}
        for metric in score.better
    }


def _excess_rows(
    sets: _Sets, score: Score, metric: str, subject: str, numbers: dict[str, Any], halves: NDArray[np.float64]
) -> Iterator[Scored]:
    """What real images reach at this n, as a row of its own, and what the subject exceeds it by."""
    null, unknown = numbers["null"], np.full(len(halves), np.nan)
    better = score.better[metric]
    if subject == "samples":
        known = {"value": null, "null": null, "better": better}
        known |= {"reason": numbers["null_reason"], "null_reason": numbers["null_reason"]}
        yield Scored(sets.row(score, f"{metric}_null", subject, **known), unknown)
    value = None if null is None or numbers["value"] is None else numbers["value"] - null
    reason = numbers["null_reason"] or numbers.get("reason")
    known = {"value": value, "se": None if value is None else numbers["se"], "method": numbers["method"], "null": 0.0}
    known |= {"reason": reason, "better": better}
    yield Scored(sets.row(score, f"{metric}_excess", subject, **known), unknown if null is None else halves - null)


def _gap_rows(sets: _Sets, scores: Sequence[Score], n_halves: int, device: str) -> Iterator[Scored]:
    """Distances to training images, and how much farther the held-out ones are: 0 for a model that generalises."""
    scores = [score for score in scores if score.gap]
    if sets.train is None or not scores:
        return
    near = measured_rows(scores, sets.train, sets.fakes["samples"], None, n_halves=n_halves, seed=sets.seed,
                         device=device)  # fmt: skip
    for score, to_train in zip(scores, near, strict=True):
        to_heldout = sets.against_heldout[id(score)]
        for metric, (numbers, halves) in to_train.items():
            known = {"better": score.better[metric]}
            null = sets.nulls[id(score)][metric]
            yield Scored(sets.row(score, metric, "samples", reference="train", **known, **null, **numbers), halves)
            own, own_halves = to_heldout[metric]
            gap: dict[str, Any] = {"reason": own.get("reason") or numbers.get("reason"), "value": None, "null": 0.0}
            if own["value"] is not None and numbers["value"] is not None:
                gap |= {"value": own["value"] - numbers["value"], "se": _spread(own_halves - halves)}
                gap["method"] = own["method"] if gap["se"] is not None else None
            yield Scored(sets.row(score, f"{metric}_gap", "samples", **known, **gap), own_halves - halves)


def _train_rows(sets: _Sets, scores: Sequence[Score], n_halves: int, device: str) -> Iterator[Scored]:
    """Scores that look for the samples among all training images, beside what held-out images reach."""
    for score in scores:
        if not score.needs_train:
            continue
        known: dict[str, Any] = {"reference": "train"}
        try:
            real, fake = score.describe(sets.real, sets.fakes["samples"], sets.space.train, seed=sets.seed,
                                        device=device)  # fmt: skip
            null = score.null(real, fake, None, seed=sets.seed)
            found = described_rows(score, real, fake, sets.groups, n_halves=n_halves, seed=sets.seed)
        except DataError as error:
            null, nothing = {}, ({"value": None, "reason": error.message}, np.full(n_halves, np.nan))
            found = dict.fromkeys(score.better, nothing)
        for metric, (numbers, halves) in found.items():
            numbers = numbers | {"null": null.get(metric), "better": score.better[metric]}
            if numbers["null"] is None:
                numbers["null_reason"] = numbers.get("reason", "held-out images have no such value")
            yield Scored(sets.row(score, metric, "samples", **known, **numbers), halves)


Numbers = tuple[dict[str, Any], "NDArray[np.float64]"]
"""Value, error and method of a metric, and its values on halves."""
Nulls = dict[str, dict[str, Any]]
"""Metric -> null and null_reason of its rows."""


def measured_rows(
    scores: Sequence[Score],
    real: NDArray[np.floating],
    fake: NDArray[np.floating],
    groups: NDArray[np.int64] | None,
    *,
    n_halves: int,
    seed: int,
    device: str = "cpu",
) -> list[dict[str, Numbers]]:
    """Metric -> numbers, for every score, all of them in one pass and one a half."""
    measured = measure_all(scores, real, fake, device=device)
    spread: list[dict[str, NDArray[np.float64]]] = [{} for _ in scores]
    if n_halves and min(len(real), len(fake)) >= 4:
        able = [place for place, score in enumerate(scores) if score.halved and not measured[place].refusal]
        options: dict[str, Any] = {"n_halves": n_halves, "seed": seed, "groups": groups, "device": device}
        found = halves_of_all([scores[place] for place in able], real, fake, **options)
        for place, own in zip(able, found, strict=True):
            spread[place] = own
    told = f"delete-half jackknife, {n_halves} halves{'' if groups is None else ' of whole slides or patients'}"
    return [
        _numbers(score, found, halves, n_halves, told, trust_errors=groups is None)
        for score, found, halves in zip(scores, measured, spread, strict=True)
    ]


def described_rows(
    score: Score,
    real: NDArray[np.floating],
    fake: NDArray[np.floating],
    groups: NDArray[np.int64] | None,
    *,
    n_halves: int,
    seed: int,
) -> dict[str, Numbers]:
    """Metric -> numbers of one score that reads described images."""
    return measured_rows([score], real, fake, groups, n_halves=n_halves, seed=seed)[0]


def _numbers(
    score: Score,
    found: Measured,
    halves: dict[str, NDArray[np.float64]],
    n_halves: int,
    told: str,
    trust_errors: bool,
) -> dict[str, Numbers]:
    """trust_errors: whether images are independent, as errors in closed form suppose."""
    rows: dict[str, Numbers] = {}
    for metric in score.better:
        own = halves.get(metric, np.full(n_halves, np.nan))
        value = found.values.get(metric)
        numbers: dict[str, Any] = {"value": value, "se": None, "method": None}
        if value is None:
            numbers["reason"] = found.refusal or "it does not apply to these images"
        elif metric in found.errors and trust_errors:
            numbers |= {"se": found.errors[metric], "method": "jackknife, one image at a time"}
        elif (se := _spread(own)) is not None:
            # a share that is 0 or 1 on every half is not certain: nobody knows how far from it the truth may be
            numbers |= {"se": se, "method": told} if se > 0 else {"flags": ["no_spread"]}
        rows[metric] = numbers, own
    return rows


def _spread(halves: NDArray[np.float64]) -> float | None:
    return standard_error(halves) if len(halves) > 1 and np.isfinite(halves).all() else None
