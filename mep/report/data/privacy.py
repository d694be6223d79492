"""What attacks on a generator came to: from its stored rows, in words that claim no more than they show."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from mep.artifacts.score_row import Estimate, ScoreRow
from mep.recipe.controls import is_control
from mep.recipe.model import repeat_of
from mep.report.data.arms import Arm
from mep.report.text import listed, plain
from mep.report.wording import ATTACK_ENDS, ATTACKS, MEASURED
from mep.statistics.intervals import level_at_once, quantile

Outcome = Literal["found", "unsure", "not found", "not tried"]

CHANCE = 0.5
MOST_ARMS = 3
"""Arms that are named in a sentence; of more only how many."""


@dataclass(frozen=True)
class Tried:
    """One attack on one generator.

    name        by the model's loss
    area        AUROC of training against held-out images
    unseen      the same of images that the model has not seen, in their place; None where there are none
    excess      how much the first exceeds the second
    rates       share of the training images found where 10 % and 1 % of the held-out ones are wrongly accused
    n           training images, and as many held-out ones
    why         why it was not tried, or why nobody knows what unseen images give
    among       attacks that were made in all: of many, one finds something by chance
    """

    name: str
    area: Estimate
    unseen: float | None
    excess: Estimate
    rates: list[Estimate]
    n: int
    why: str
    among: int = 1

    @property
    def outcome(self) -> Outcome:
        if self.area.value is None:
            return "not tried"
        if self._lowest(self.area) <= CHANCE:
            return "not found"
        if self.unseen is None:
            return "unsure"
        return "found" if self._lowest(self.excess) > 0 else "not found"

    def _lowest(self, found: Estimate) -> float:
        """Lower end of an interval that holds at once with those of all attacks: its 95 % one, stretched (Šidák)."""
        if found.value is None or found.low is None:
            return -math.inf
        return found.value - (found.value - found.low) * quantile(None, level_at_once(self.among)) / quantile()

    @property
    def told(self) -> str:
        """AUROC 0.61, 95 % interval 0.56 to 0.66; of images that it has not seen 0.65"""
        interval = "" if self.area.low is None else f", 95 % interval {self.area.low:.2f} to {self.area.high:.2f}"
        unseen = "" if self.unseen is None else f"; of images that it has not seen {self.unseen:.2f}"
        return f"AUROC {self.area.value:.2f}{interval}{unseen}"


def tried(rows: Iterable[ScoreRow]) -> list[Tried]:
    """Every attack that rows tell of, in the order of `ATTACKS`."""
    by_metric = {row.metric: row for row in rows}
    return [_tried(how, metric, by_metric) for metric, how in ATTACKS.items() if metric in by_metric]


def _tried(name: str, metric: str, rows: dict[str, ScoreRow]) -> Tried:
    row, absent = rows[metric], Estimate()
    names = [f"{metric}{end}" for end in ATTACK_ENDS if end]
    excess, *rates = (rows[name].estimate if name in rows else absent for name in names)
    why = row.reason or row.null.reason or ""
    return Tried(name, row.estimate, row.null.value, excess, rates, row.counts.n_fake, why)


def n_made(generators: Iterable[Sequence[Tried]]) -> int:
    """Attacks that came to a number, on generators that are asked about together."""
    return sum(attack.area.value is not None for attacks in generators for attack in attacks)


def allowing(attacks: Sequence[Tried], among: int) -> list[Tried]:
    """The same attacks, each as one of so many."""
    return [replace(attack, among=max(among, 1)) for attack in attacks]


def worst(attacks: Sequence[Tried]) -> Tried | None:
    """The attack that speaks for a generator: one that finds training images, else the one with the largest area."""
    order: list[Outcome] = ["found", "unsure", "not found"]
    able = [attack for attack in attacks if attack.outcome in order]
    return min(able, key=lambda one: (order.index(one.outcome), -(one.area.value or 0)), default=None)


def is_asked_about(names: Iterable[str]) -> bool:
    """Whether the answer speaks of one of these arms: not of repeats, and not of controls."""
    return any(repeat_of(name)[1] == 1 and not is_control(name) for name in names)


def answer(arms: Sequence[Arm]) -> str:
    """Whether training images were found in the generators of some arms, in a sentence; empty where none was attacked.

    Repeats of an arm and controls are left out.
    """
    asked = {arm.label: arm for arm in arms if is_asked_about([arm.name])}
    made = {label: tried(_rows(arm)) for label, arm in asked.items()}
    of_artifact = {arm.used.get("privacy", label): made[label] for label, arm in asked.items()}  # arms may share one
    among = n_made(of_artifact.values())
    attacked = {label: worst(allowing(attacks, among)) for label, attacks in made.items()}
    found = {label: attack for label, attack in attacked.items() if attack is not None}
    if not found:
        return ""
    outcomes: list[Outcome] = ["found", "unsure", "not found"]
    outcome = next(one for one in outcomes if any(attack.outcome == one for attack in found.values()))
    concerned = {label: attack for label, attack in found.items() if attack.outcome == outcome}
    label = max(concerned, key=lambda name: concerned[name].area.value or 0)
    attack = concerned[label]
    whom = listed([plain(name) for name in concerned]) if len(concerned) <= MOST_ARMS else f"{len(concerned)} arms"
    most = f" (most in {plain(label)}: {attack.told})" if len(concerned) > 1 else f" ({attack.told})"
    if outcome == "found":
        return f"Training images can be found in {whom}, {attack.name}{most}."
    if outcome == "unsure":
        return (
            f"An attack tells training from held-out images in {whom}, {attack.name}{most}. Whether the model "
            "remembers them, or the two sides of the split are not alike, is not known: set unseen images aside, "
            "dataset.validation."
        )
    return f"No attack that was tried finds training images in {whom}{most}. That is no proof: stronger attacks exist."


def _rows(arm: Arm) -> list[ScoreRow]:
    return [ScoreRow.from_json(one.as_json()) for (subject, _), one in arm.scores.items() if subject == MEASURED]
