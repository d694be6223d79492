"""How far trainings of one arm lie apart: in earlier runs on the same images, else as measured on the sample.

The spread is relative: the standard deviation of the headline over trainings of one arm, as a share of their mean. It
holds all that changes from one training to the next, the images that are drawn among it.
"""

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace

from mep.recipe.model import repeat_of
from mep.store import Store

HEADLINE = "kid"
"""The metric that spreads are known of: to matched held-out images where there are such rows."""


@dataclass(frozen=True)
class Spread:
    """
    relative            standard deviation over trainings of one arm from other seeds, as a share of their mean
    freedom             degrees of freedom that it was estimated with
    n_images            generated images behind each number: what they add by chance is part of the spread
    source              where it comes from, in words that go on after "spread between seeds 2.7 %"
    of_these_images     whether it is that of the images in question; else it may help to plan, and judges nothing
    """

    extractor: str
    relative: float
    freedom: int
    n_images: int
    source: str
    of_these_images: bool = True

    @property
    def text(self) -> str:
        """2.7 % as on the sample that ships with mep"""
        return f"{percent(self.relative)} {self.source}"


SHIPPED = (
    # recipes/claim.yaml of 2026-11-26, five arms of eight trainings, 512 images an arm: KID x 1000 of 555 to 615 on
    # average, standard deviations between trainings of 9 to 20, pooled 16.3 of 595: 2.7 %.
    Spread("efficientnet_lite0", 0.027, 35, 512, "as on the sample that ships with mep"),
)
"""Measured on the sample."""


def spread_between_trainings(
    store: Store, dataset: str, source: str, extractor: str, n_images: int | None
) -> Spread | None:
    """The spread between seeds of earlier runs on the same images, else the shipped one; None where neither is known.

    dataset     artifact of the images, stage/fingerprint
    source      kind of their source
    n_images    runs that scored as many generated images are taken, where there are some
    """
    if spread := _of_earlier_runs(store, dataset, extractor, n_images):
        return spread
    shipped = next((row for row in SHIPPED if row.extractor == extractor), None)
    if shipped is None or source == "sample":
        return shipped
    return replace(shipped, source=f"{shipped.source}; your images may differ", of_these_images=False)


def _of_earlier_runs(store: Store, dataset: str, extractor: str, n_images: int | None) -> Spread | None:
    """Pooled over arms; None where none has repeats."""
    rows = store.db.query(
        "SELECT DISTINCT uses.run_id, uses.arm, scores.reference, scores.artifact_id, scores.value, scores.n_fake"
        " FROM uses AS images JOIN uses USING (run_id, arm) JOIN scores ON scores.artifact_id = uses.artifact_id"
        " WHERE images.stage = 'dataset' AND images.artifact_id = ? AND scores.extractor = ? AND scores.metric = ?"
        " AND scores.subject = 'samples' AND scores.reference IN ('matched', 'heldout') AND scores.value IS NOT NULL"
        " AND COALESCE(json_extract(scores.protocol, '$.group'), 'all') = 'all'",
        *(dataset, extractor, HEADLINE),
    )
    references = {row["reference"] for row in rows}
    rows = [row for row in rows if row["reference"] == ("matched" if "matched" in references else "heldout")]
    alike = [row for row in rows if row["n_fake"] == n_images]
    for kept, of_other_size in ((alike, ""), (rows, " of other numbers of images")):
        groups: dict[tuple[str, str], dict[str, float]] = defaultdict(dict)
        for row in kept:
            groups[row["run_id"], repeat_of(row["arm"])[0]][row["artifact_id"]] = row["value"]
        largest = _without_parts(groups)
        relative, freedom = pooled(values.values() for values in largest.values())
        if relative is not None:
            n_runs = len({run_id for run_id, _ in largest})
            source = f"as in {n_runs} run{'s' * (n_runs > 1)} of this store{of_other_size}"
            return Spread(extractor, relative, freedom, max(row["n_fake"] for row in kept), source)
    return None


def _without_parts(groups: dict[tuple[str, str], dict[str, float]]) -> dict[tuple[str, str], dict[str, float]]:
    """Groups of at least two trainings; one whose trainings another has too, since a run reused them, counts once."""
    kept: dict[tuple[str, str], dict[str, float]] = {}
    for key, values in sorted(groups.items(), key=lambda group: -len(group[1])):
        if len(values) > 1 and not any(values.keys() <= larger.keys() for larger in kept.values()):
            kept[key] = values
    return kept


def percent(share: float) -> str:
    return f"{100 * share:.2g} %" if share < 0.1 else f"{100 * share:.0f} %"


def pooled(groups: Iterable[Iterable[float]]) -> tuple[float | None, int]:
    """Relative standard deviation within groups of trainings, pooled by their degrees of freedom, and these.

    Groups whose mean is not above zero have no relative spread and are left out: an unbiased distance may be negative.
    Without any other the deviation is None.
    """
    squares, freedom = 0.0, 0
    for group in groups:
        values = list(group)
        mean = sum(values) / len(values)
        if len(values) > 1 and mean > 0:
            squares += sum((value / mean - 1) ** 2 for value in values)
            freedom += len(values) - 1
    return (math.sqrt(squares / freedom) if freedom else None), freedom
