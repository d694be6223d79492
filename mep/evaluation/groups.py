"""Scores label by label, cluster by cluster, prompt by prompt, and what they come to.

A set can be right as a whole and wrong in each part: cancer drawn as healthy and healthy as cancer. Groups are small,
so each is scored by what small sets allow, and a group that is too small says so and has no number.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mep.evaluation.evaluate import PLANE, Numbers, Scored, Space, complete, drawn, measured_rows
from mep.methods.scores import Score
from mep.statistics.intervals import standard_error

if TYPE_CHECKING:
    from numpy.typing import NDArray

Keys = Sequence[str | None]
"""The group of every image; None for an image that belongs to none."""

FEWEST_IN_A_GROUP = 11
"""2 k + 1 of the widest neighbourhoods, k = 5: of fewer images no number is told."""

AGGREGATES = {
    "macro": "mean over groups",
    "weighted": "mean over groups, each by its share of the held-out images",
    "worst": "the worst group",
}


def evaluate_groups(
    space: Space,
    scores: Sequence[Score],
    kind: str,
    of_real: Keys,
    of_fake: Keys,
    *,
    seed: int,
    n_halves: int,
    device: str = "cpu",
) -> list[Scored]:
    """Rows of every group of one kind, `label=healthy` and so on, and of the aggregates over them.

    kind        label, cluster or prompt
    of_real     group of every held-out image
    of_fake     group of every sample; groups without a sample are missing from the captions, and are no groups here
    """
    names = sorted({name for name in of_fake if name is not None})
    scores = [score for score in scores if score.grouped]
    found: dict[tuple[int, str], list[tuple[Scored, int]]] = {}
    rows = []
    plane = _plane(space)
    for name in names:
        real = np.flatnonzero([key == name for key in of_real])
        fake = np.flatnonzero([key == name for key in of_fake])
        for place, row in _group(space, plane, scores, f"{kind}={name}", real, fake, seed, n_halves, device):
            found.setdefault((place, row.row.metric), []).append((row, len(real)))
            rows.append(row)
    for (place, metric), members in found.items():
        rows += _aggregates(scores[place], metric, kind, members)
    return rows


def _plane(space: Space) -> Space:
    """The space in its largest components, fitted on real images once for all groups, where it is wider than that."""
    d = space.real.shape[1]
    if d <= PLANE:
        return space
    pool = space.real if space.train is None else np.concatenate([space.real, space.train])
    if len(pool) < PLANE:
        return space
    from sklearn.decomposition import PCA

    fitted = PCA(PLANE, random_state=0).fit(pool)
    about = f"{space.protocol['preprocessing']}, {PLANE} principal components of real images"
    return Space(
        protocol=space.protocol | {"d": PLANE, "preprocessing": about},
        real=fitted.transform(space.real).astype(np.float32),
        fakes={"samples": fitted.transform(space.fakes["samples"]).astype(np.float32)},
        groups=space.groups,
    )


def _group(
    space: Space,
    plane: Space,
    scores: Sequence[Score],
    group: str,
    real: NDArray[np.int64],
    fake: NDArray[np.int64],
    seed: int,
    n_halves: int,
    device: str,
) -> Iterator[tuple[int, Scored]]:
    """(place of the score, row) of one group at equal numbers."""
    n = min(len(real), len(fake))
    kept_real, kept_fake = real[drawn(len(real), n, seed, 3)], fake[drawn(len(fake), n, seed, 4)]
    slides = None if space.groups is None else space.groups[kept_real]
    for place, score in enumerate(scores):
        own = plane if score.kind == "frechet" else space
        pair = own.real[kept_real], own.fakes["samples"][kept_fake]
        refusal = _refusal(score, own, n, len(real), len(fake))
        known: dict[str, Any] = {"subject": "samples", "reference": "heldout", "group": group, "seed": seed}
        known |= {"n_real": n, "n_fake": n, "n_real_of": len(real), "n_fake_of": len(fake)}
        known["n_groups"] = None if slides is None else len(np.unique(slides))
        if refusal:
            nothing: Numbers = {"value": None, "reason": refusal}, np.full(n_halves, np.nan)
            numbers = dict.fromkeys(score.better, nothing)
        else:
            numbers = measured_rows([score], *pair, slides, n_halves=n_halves, seed=seed, device=device)[0]
        nulls = {} if score.excess or refusal else score.null(*pair, None, seed=seed)
        for metric, (values, halves) in numbers.items():
            name = f"{metric}_pca{PLANE}" if own is not space else metric
            about = {"metric": name, "better": score.better[metric], "null": nulls.get(metric)}
            if about["null"] is None:
                about["null_reason"] = refusal or "told for all images together only"
            yield place, Scored(complete(own.protocol, score, metric, known | about | values), halves)


def _refusal(score: Score, space: Space, n: int, n_real: int, n_fake: int) -> str:
    needed = 2 * space.real.shape[1] if score.kind == "frechet" else max(score.minimum(), FEWEST_IN_A_GROUP)
    if n >= needed:
        return ""
    return f"{n_real} held-out and {n_fake} generated images, at least {needed} of each are needed"


def _aggregates(score: Score, metric: str, kind: str, members: list[tuple[Scored, int]]) -> Iterator[Scored]:
    """Macro mean, mean by real frequency, and the worst group, over the groups that have a number."""
    first = members[0][0].row.to_json()
    known = [(row, size) for row, size in members if row.row.estimate.value is not None]
    missing = len(members) - len(known)
    told = f"{missing} of {len(members)} groups are too small and left out" if missing else None
    for aggregate in AGGREGATES:
        fields = {name: value for name, value in first.items() if name not in ("k", "kernel", "settings", "flags")}
        fields |= dict.fromkeys(("value", "se", "low", "high", "method", "null", "null_reason", "n_groups"))
        fields |= {"group": f"{kind}:{aggregate}", "reason": told}
        for name in ("n_real", "n_fake", "n_real_of", "n_fake_of"):
            fields[name] = sum(getattr(row.row.counts, name) for row, _ in known)
        halves = np.full(len(members[0][0].halves), np.nan)
        if known:
            values = np.array([row.row.estimate.value for row, _ in known])
            weights = _weights(aggregate, values, np.array([size for _, size in known], dtype=float), first["better"])
            halves = weights @ np.stack([row.halves for row, _ in known])
            errors = [row.row.estimate.se for row, _ in known if row.row.estimate.se is not None]
            fields["value"] = float(weights @ values)
            nulls = [row.row.null.value for row, _ in known if row.row.null.value is not None]
            if len(nulls) == len(known):
                fields["null"] = float(weights @ np.array(nulls))
            if np.isfinite(halves).all() and len(halves) > 1:
                fields |= {"se": standard_error(halves), "method": known[0][0].row.estimate.method}
            elif len(errors) == len(known):
                fields |= {"se": float(np.sqrt(np.square(weights) @ np.square(errors))), "method": "groups added up"}
        else:
            fields["reason"] = f"all {len(members)} groups are too small"
        if fields["null"] is None:
            reasons = [row.row.null.reason for row, _ in known if row.row.null.value is None]
            fields["null_reason"] = reasons[0] if reasons else fields["reason"]
        fields["flags"] = ["groups_left_out"] if missing else []
        yield Scored(complete({}, score, metric.split("_pca")[0], fields), halves)


def _weights(
    aggregate: str, values: NDArray[np.float64], sizes: NDArray[np.float64], better: str
) -> NDArray[np.float64]:
    if aggregate == "macro":
        return np.full(len(values), 1 / len(values))
    if aggregate == "weighted":
        return sizes / sizes.sum()
    worst = values.argmax() if better == "lower" else values.argmin()
    return np.eye(len(values))[worst]
