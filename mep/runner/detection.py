"""Power before money: which difference a run could detect, from how far trainings of one arm lie apart.

The spread between seeds is relative: the standard deviation over trainings of one arm, as a share of their mean. It
holds all that changes from one training to the next, the images that are drawn among it. Two arms draw independently,
so that a difference spreads by sqrt(2) times as much.
"""

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from mep.evaluation.uncertainty import FEWEST_SEEDS
from mep.recipe.model import MOST_SEEDS, repeat_of
from mep.runner.plan import Plan
from mep.runner.spreads import SHIPPED, Spread
from mep.statistics.power import detectable, seeds_needed
from mep.store import Store

METRIC = "kid"
"""The headline: the kernel distance, to matched held-out images where there are such rows."""
ASKED = (0.02, 0.05, 0.10)
"""Differences that the seeds are told for, as shares of the metric."""


@dataclass(frozen=True)
class Detection:
    """What a run could detect, four times in five, at a two-sided level of 5 %.

    metric, extractor   what is compared
    seeds               trainings an arm
    n_images            images an arm; None where they are not known yet
    spread              between seeds, as a share of the metric; None where it is not known
    source              where the spread comes from, in words
    detectable          smallest true difference, as a share of the metric; None for one seed
    with_fewest         the same for the fewest seeds that support a claim
    seeds_needed        difference in percent -> trainings an arm; None: more than a recipe takes
    """

    metric: str
    extractor: str
    seeds: int
    n_images: int | None
    spread: float | None
    source: str
    detectable: float | None = None
    with_fewest: float | None = None
    seeds_needed: dict[str, int | None] = field(default_factory=dict)


def detection(plan: Plan, store: Store, n_images: int | None) -> Detection | None:
    """What the run of a plan could detect; None for a recipe of a single arm, which compares nothing.

    n_images    that an arm draws, where that is known
    """
    recipe = plan.recipe
    if len({repeat_of(arm)[0] for arm in recipe.arms}) < 2:
        return None
    name, baseline = next(iter(recipe.arms.items()))
    extractor = baseline.metrics.extractors[0].name
    spread = spread_of(store, plan.of_arm(name)["dataset"].artifact_id, extractor, n_images)
    spread = spread or _shipped(baseline.dataset.source.kind, extractor)
    if spread is None:
        return Detection(METRIC, extractor, recipe.seeds, n_images, None, "no run of this store has repeats yet")
    sd = math.sqrt(2) * spread.relative
    return Detection(
        *(METRIC, extractor, recipe.seeds, n_images, spread.relative, spread.source),
        detectable=_detectable(sd, recipe.seeds) if recipe.seeds > 1 else None,
        with_fewest=_detectable(sd, FEWEST_SEEDS),
        seeds_needed={f"{share:.0%}": _needed(sd, share) for share in ASKED},
    )


def _detectable(sd: float, seeds: int) -> float:
    return detectable(sd / math.sqrt(seeds), freedom=seeds - 1)


def _needed(sd: float, share: float) -> int | None:
    n = seeds_needed(sd, share)
    return None if n is None or n > MOST_SEEDS else max(n, FEWEST_SEEDS)


def _shipped(source: str, extractor: str) -> Spread | None:
    """What was measured on the sample, said to be so where other images are meant."""
    known = next((row for row in SHIPPED if (row.extractor, row.metric) == (extractor, METRIC)), None)
    if known is None or source == "sample":
        return known
    return Spread(known.extractor, known.metric, known.relative, f"{known.source}; your images may differ")


def spread_of(store: Store, dataset: str, extractor: str, n_images: int | None) -> Spread | None:
    """The spread between seeds in earlier runs on the same images, pooled over arms; None where none has repeats.

    dataset     artifact of the images, stage/fingerprint
    n_images    runs that scored as many generated images are taken, where there are some
    """
    rows = store.db.query(
        "SELECT DISTINCT uses.run_id, uses.arm, scores.reference, scores.artifact_id, scores.value, scores.n_fake"
        " FROM uses AS images JOIN uses USING (run_id, arm) JOIN scores ON scores.artifact_id = uses.artifact_id"
        " WHERE images.stage = 'dataset' AND images.artifact_id = ? AND scores.extractor = ? AND scores.metric = ?"
        " AND scores.subject = 'samples' AND scores.reference IN ('matched', 'heldout') AND scores.value IS NOT NULL"
        " AND COALESCE(json_extract(scores.protocol, '$.group'), 'all') = 'all'",
        *(dataset, extractor, METRIC),
    )
    references = {row["reference"] for row in rows}
    rows = [row for row in rows if row["reference"] == ("matched" if "matched" in references else "heldout")]
    alike = [row for row in rows if row["n_fake"] == n_images]
    for kept, of_other_size in ((alike, ""), (rows, " of other numbers of images")):
        groups: dict[tuple[str, str], dict[str, float]] = defaultdict(dict)
        for row in kept:
            groups[row["run_id"], repeat_of(row["arm"])[0]][row["artifact_id"]] = row["value"]
        largest = _without_parts(groups)
        if (relative := pooled(values.values() for values in largest.values())) is not None:
            n_runs = len({run_id for run_id, _ in largest})
            source = f"as in {n_runs} earlier run{'s' * (n_runs > 1)} of this store{of_other_size}"
            return Spread(extractor, METRIC, relative, source)
    return None


def _without_parts(groups: dict[tuple[str, str], dict[str, float]]) -> dict[tuple[str, str], dict[str, float]]:
    """Groups of at least two trainings; one whose trainings another has too, since a run reused them, counts once."""
    kept: dict[tuple[str, str], dict[str, float]] = {}
    for key, values in sorted(groups.items(), key=lambda group: -len(group[1])):
        if len(values) > 1 and not any(values.keys() <= larger.keys() for larger in kept.values()):
            kept[key] = values
    return kept


def pooled(groups: Iterable[Iterable[float]]) -> float | None:
    """Relative standard deviation within groups of trainings, pooled by their degrees of freedom; None without any.

    Groups whose mean is not above zero have no relative spread and are left out: an unbiased distance may be negative.
    """
    squares, freedom = 0.0, 0
    for group in groups:
        values = list(group)
        mean = sum(values) / len(values)
        if len(values) > 1 and mean > 0:
            squares += sum((value / mean - 1) ** 2 for value in values)
            freedom += len(values) - 1
    return math.sqrt(squares / freedom) if freedom else None


def sentences(found: Detection) -> list[str]:
    """Two lines for a reader."""
    if found.spread is None:
        return [f"can detect: not known, {found.source}; a run with seeds: {FEWEST_SEEDS} tells"]
    spread = f"spread between seeds {_percent(found.spread)} {found.source}"
    if found.detectable is None:
        first = (
            f"can detect: no difference of methods with one seed, only of two sets of images ({spread}); "
            f"{FEWEST_SEEDS} seeds detect {_percent(found.with_fewest or 0)} of {found.metric}"
        )
    else:
        first = f"can detect: {_percent(found.detectable)} of {found.metric} ({found.seeds} seeds; {spread})"
        if found.seeds < FEWEST_SEEDS:
            first += f"; a claim takes {FEWEST_SEEDS} seeds"
    needed = (f"{share}: {n or f'more than {MOST_SEEDS}'}" for share, n in found.seeds_needed.items())
    head, *rest = (part.replace("%", " %") for part in needed)
    return [first, f"to detect {head} seeds; {'; '.join(rest)}"]


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %" if share < 0.1 else f"{100 * share:.0f} %"
