"""Power before money: which difference a run could detect, from how far trainings of one arm lie apart.

Two arms draw independently, so that a difference spreads by sqrt(2) times as much as the trainings of one.
"""

import math
from dataclasses import dataclass, field

from mep.evaluation.differences import FEWEST_SEEDS
from mep.recipe.controls import is_control
from mep.recipe.model import MOST_SEEDS, repeat_of
from mep.runner.plan import Plan
from mep.runner.spreads import HEADLINE, Spread, percent, spread_of_headline, spreads_of
from mep.statistics.power import detectable, level_of_each, seeds_needed
from mep.store import Store

ASKED = (0.02, 0.05, 0.10)
"""Differences that the seeds are told for, as shares of the metric."""


@dataclass(frozen=True)
class Detection:
    """What a run could detect in each arm, four times in five, at a two-sided level of 5 % for all of them at once.

    Controls do not count, as in the report.

    metric, extractor   what is compared
    seeds               trainings an arm
    n_images            images an arm; None where they are not known yet
    spread              between seeds, as a share of the metric; None where it is not known
    source              where the spread comes from, in words
    detectable          smallest true difference, as a share of the metric; None where one seed says nothing
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
    compared = {repeat_of(arm)[0] for arm in recipe.arms if not is_control(arm)} - {name}
    extractor = baseline.metrics.extractors[0].name
    dataset = plan.of_arm(name)["dataset"].artifact_id
    spread = spread_of_headline(spreads_of(store, dataset, baseline.dataset.source.kind, n_images), extractor)
    if spread is None:
        return Detection(HEADLINE, extractor, recipe.seeds, n_images, None, "no run of this store has repeats yet")
    sd, level = math.sqrt(2) * spread.size, level_of_each(len(compared))
    return Detection(
        *(HEADLINE, extractor, recipe.seeds, n_images, spread.size, spread.source),
        detectable=_detectable(sd, recipe.seeds, spread, level),
        with_fewest=_detectable(sd, FEWEST_SEEDS, spread, level),
        seeds_needed={f"{share:.0%}": _needed(sd, share, level) for share in ASKED},
    )


def _detectable(sd: float, seeds: int, spread: Spread, level: float) -> float | None:
    """Few trainings are tested by the spread that is known, if it is that of the same images, as the report does."""
    if seeds < FEWEST_SEEDS and spread.of_these_images:
        return detectable(sd / math.sqrt(seeds), freedom=spread.freedom, level=level)
    return detectable(sd / math.sqrt(seeds), freedom=seeds - 1, level=level) if seeds > 1 else None


def _needed(sd: float, share: float, level: float) -> int | None:
    n = seeds_needed(sd, share, level)
    return None if n is None or n > MOST_SEEDS else max(n, FEWEST_SEEDS)


def sentences(found: Detection) -> list[str]:
    """Two lines for a reader."""
    if found.spread is None:
        return [f"can detect: not known, {found.source}; a run with seeds: {FEWEST_SEEDS} tells"]
    spread = f"spread between seeds {percent(found.spread)} {found.source}"
    if found.detectable is None:
        first = (
            f"can detect: no difference of methods with one seed, only of two sets of images ({spread}); "
            f"{FEWEST_SEEDS} seeds detect {percent(found.with_fewest or 0)} of {found.metric}"
        )
    else:
        seeds = f"{found.seeds} seed{'s' * (found.seeds > 1)}"
        first = f"can detect: {percent(found.detectable)} of {found.metric} ({seeds}; {spread})"
        if found.seeds < FEWEST_SEEDS:
            first += f"; a claim takes {FEWEST_SEEDS} seeds"
    needed = (f"{share}: {n or f'more than {MOST_SEEDS}'}" for share, n in found.seeds_needed.items())
    head, *rest = (part.replace("%", " %") for part in needed)
    return [first, f"to detect {head} seeds; {'; '.join(rest)}"]
