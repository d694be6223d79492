"""How far trainings of one arm lie apart: in runs on the same images, else as measured on the sample.

It is the standard deviation of a number over trainings of one arm from other seeds, pooled over arms. It holds all that
changes from one training to the next, the images that are drawn among it. Of distances it is a share of their mean.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from mep.recipe.model import repeat_of
from mep.store import Store
from mep.store.database import Row

HEADLINE = "kid"
"""The metric that plans speak of: to matched held-out images where there are such rows."""
RELATIVE = ("kid", "fd", "fd_excess", "fid", "cmmd", "mmd_rbf")
"""Metrics without an upper end, which spread the more the larger they are."""
SHIPPED: Mapping[str, Mapping[str, float]] = {
    # recipes/claim.yaml of 2026-11-26, five arms of eight trainings: `python tests/bench/bench_spreads.py RUNS`
    "efficientnet_lite0": {
        "kid": 0.027,
        "fd": 0.015,
        "fd_excess": 0.019,
        "precision": 0.0091,
        "density": 0.0050,
        "recall": 0.0029,
        "coverage": 0.0067,
        "copy_rate": 0.0105,
    },
    "random_conv": {
        "kid": 0.116,
        "fd": 0.078,
        "fd_excess": 0.087,
        "precision": 0.0194,
        "density": 0.0118,
        "recall": 0.0334,
        "coverage": 0.0252,
        "copy_rate": 0.0033,
    },
    "assignment": {"label_adherence": 0.0098, "cluster_adherence": 0.0242},
    "linear probe on normalised efficientnet_lite0": {
        "auroc": 0.0122,
        "auroc_gap": 0.0122,
        "auprc": 0.0126,
        "balanced_accuracy": 0.090,
        "ece": 0.054,
        "sensitivity": 0.063,
        "specificity": 0.018,
    },
    "linear probe on efficientnet_lite0": {  # stage utility below version 5
        "auroc": 0.137,
        "auroc_gap": 0.137,
        "auprc": 0.130,
        "balanced_accuracy": 0.097,
        "ece": 0.093,
        "sensitivity": 0.199,
        "specificity": 0.038,
    },
}
"""Feature space -> metric -> spread, measured on the sample with 512 generated images an arm."""
SHIPPED_FREEDOM, SHIPPED_IMAGES = 35, 512
SHIPPED_SOURCE = "as on the sample that ships with mep"


class Place(NamedTuple):
    """What was measured: in which feature space, which metric, to which reference."""

    extractor: str
    metric: str
    reference: str


@dataclass(frozen=True)
class Spread:
    """
    size                standard deviation over trainings of one arm from other seeds
    relative            whether it is a share of the mean
    freedom             degrees of freedom that it was estimated with
    n_images            generated images behind each number: what they add by chance is part of the spread
    source              where it comes from, in words that go on after "spread between seeds 2.7 %"
    of_these_images     whether it is that of the images in question; else it may help to plan, and judges nothing
    """

    size: float
    relative: bool
    freedom: int
    n_images: int
    source: str
    of_these_images: bool = True

    def at(self, level: float) -> float:
        """The standard deviation of a number of that level."""
        return self.size * abs(level) if self.relative else self.size

    @property
    def text(self) -> str:
        """2.7 % as on the sample that ships with mep"""
        return f"{percent(self.size) if self.relative else f'{self.size:.2g}'} {self.source}"


Spreads: TypeAlias = Mapping[Place, Spread]


def spreads_of(store: Store, dataset: str, source: str, n_images: int | None) -> Spreads:
    """All spreads that are known for some images: those of this store before those that are shipped.

    dataset     artifact of the images, stage/fingerprint
    source      kind of their source
    n_images    runs that scored as many generated images are taken, where there are some
    """
    shipped = {
        Place(extractor, metric, reference): Spread(
            *(size, metric in RELATIVE, SHIPPED_FREEDOM, SHIPPED_IMAGES),
            source=SHIPPED_SOURCE + ("" if source == "sample" else "; your images may differ"),
            of_these_images=source == "sample",
        )
        for extractor, sizes in SHIPPED.items()
        for metric, size in sizes.items()
        for reference in ("matched", "heldout", "train")
    }
    return shipped | _of_this_store(store, dataset, n_images)


def spread_of_headline(spreads: Spreads, extractor: str) -> Spread | None:
    """That of the metric that plans speak of."""
    places = (Place(extractor, HEADLINE, reference) for reference in ("matched", "heldout"))
    return next((spreads[place] for place in places if place in spreads), None)


def _of_this_store(store: Store, dataset: str, n_images: int | None) -> dict[Place, Spread]:
    """Pooled over the arms of all runs with repeats on the same images."""
    rows = store.db.query(
        "SELECT DISTINCT uses.run_id, uses.arm, scores.extractor, scores.metric, scores.reference, scores.value,"
        " scores.n_fake, drawn.artifact_id AS drawn"
        " FROM uses AS images JOIN uses USING (run_id, arm) JOIN scores ON scores.artifact_id = uses.artifact_id"
        " JOIN uses AS drawn USING (run_id, arm)"
        " WHERE images.stage = 'dataset' AND images.artifact_id = ? AND scores.subject = 'samples'"
        " AND drawn.stage = 'generation'"
        " AND scores.value IS NOT NULL AND COALESCE(json_extract(scores.protocol, '$.group'), 'all') = 'all'"
        " AND images.run_id IN (SELECT run_id FROM arms WHERE arm LIKE '%#%')",
        dataset,
    )
    by_place: dict[Place, list[Row]] = defaultdict(list)
    for row in rows:
        by_place[Place(row["extractor"], row["metric"], row["reference"])].append(row)
    found = {place: _of_rows(rows, place.metric in RELATIVE, n_images) for place, rows in by_place.items()}
    return {place: spread for place, spread in found.items() if spread is not None}


def _of_rows(rows: list[Row], relative: bool, n_images: int | None) -> Spread | None:
    """Of numbers of the same kind; None where no arm has repeats."""
    alike = [row for row in rows if row["n_fake"] == n_images]
    for kept, of_other_size in ((alike, ""), (rows, " of other numbers of images")):
        groups: dict[tuple[str, str], dict[str, float]] = defaultdict(dict)
        for row in kept:
            groups[row["run_id"], repeat_of(row["arm"])[0]][row["drawn"]] = row["value"]
        largest = _without_parts(groups)
        size, freedom = pooled((values.values() for values in largest.values()), relative)
        if size is not None:
            n_runs = len({run_id for run_id, _ in largest})
            source = f"as in {n_runs} run{'s' * (n_runs > 1)} of this store{of_other_size}"
            return Spread(size, relative, freedom, max(row["n_fake"] for row in kept), source)
    return None


def _without_parts(groups: dict[tuple[str, str], dict[str, float]]) -> dict[tuple[str, str], dict[str, float]]:
    """Groups of at least two trainings; one whose trainings another has too, since a run reused them, counts once, as
    the later run measured it."""
    kept: dict[tuple[str, str], dict[str, float]] = {}
    later_first = sorted(groups.items(), reverse=True)  # run ids begin with their time
    for key, values in sorted(later_first, key=lambda group: -len(group[1])):
        if len(values) > 1 and not any(values.keys() <= larger.keys() for larger in kept.values()):
            kept[key] = values
    return kept


def pooled(groups: Iterable[Iterable[float]], relative: bool) -> tuple[float | None, int]:
    """Standard deviation within groups of trainings, pooled by their degrees of freedom, and these; None without any.

    relative    as a share of the mean of each group; one whose mean is not above zero has none and is left out: an
                unbiased distance may be negative
    """
    squares, freedom = 0.0, 0
    for group in groups:
        values = list(group)
        mean = sum(values) / len(values)
        if len(values) > 1 and (mean > 0 or not relative):
            squares += sum((value - mean) ** 2 for value in values) / (mean**2 if relative else 1)
            freedom += len(values) - 1
    return (math.sqrt(squares / freedom) if freedom else None), freedom


def percent(share: float) -> str:
    return f"{100 * share:.2g} %" if share < 0.1 else f"{100 * share:.0f} %"
