"""An arm minus the baseline, with an interval and a p that hold up: over images, over trainings, over several arms."""

import math
import statistics
from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from mep.config import canonical_json
from mep.evaluation.differences import COMPARED, Difference, at_once, difference_by_error, holm, paired_by_seed
from mep.evaluation.uncertainty import freedom_of
from mep.recipe.controls import is_control
from mep.report.data.arms import Key, StoredScore
from mep.report.data.halves import Halves
from mep.report.tables.comparison import Delta, Metric
from mep.report.text import listed
from mep.runner.spreads import Spread
from mep.statistics.influence import error_of_difference

LEVEL = 0.05
Repeats = dict[int, StoredScore]
"""Number of the repeat -> its score."""


def unlike_in(repeats: Repeats, standard: Repeats) -> dict[str, str]:
    """What was done otherwise in any repeat than in that of the standard which it is paired with, else in its first."""
    first = next(iter(standard.values()))
    unlike = [unlike_of(score, standard.get(number, first)) for number, score in repeats.items()]
    return {words: values for deviations in reversed(unlike) for words, values in deviations.items()}


def unlike_of(score: StoredScore, standard: StoredScore) -> dict[str, str]:
    """What was done otherwise -> both values; empty for numbers that can be compared."""
    same_images = (score.n_real, score.n_fake, score.dataset) == (standard.n_real, standard.n_fake, standard.dataset)
    if score.kind is standard.kind and same_images:
        return {}
    mine, theirs = score.as_json(), standard.as_json()
    deviations = {
        words: f"{_short(mine.get(name))}, not {_short(theirs.get(name))}"
        for name, words in COMPARED.items()
        if mine.get(name) != theirs.get(name)
    }
    if score.dataset != standard.dataset:
        deviations["the real images"] = f"{score.dataset[:16]}, not {standard.dataset[:16]}"
    return deviations


def _short(value: object) -> str:
    text = value if isinstance(value, str) else canonical_json(value)
    return text if len(text) <= 40 else f"{text[:12]}…"


def difference_of(arm: Repeats, base: Repeats, deviations: dict[str, str], halves: Halves) -> Delta | str:
    """Arm minus baseline, over pairs of repeats or on shared halves; else why there is none."""
    if not arm or not base:
        return "one of them has no such number"
    if deviations:
        return f"they differ in {listed(list(deviations))}"
    if len(arm) > 1 or len(base) > 1:
        return _paired(arm, base)
    return _on_halves(next(iter(arm.values())), next(iter(base.values())), halves)


def _on_halves(mine: StoredScore, theirs: StoredScore, halves: Halves) -> Delta | str:
    if mine.value is None or theirs.value is None:
        return mine.kind.reason or theirs.kind.reason or "there are too few images"
    if None in (mine.se, theirs.se):
        constant = "no_spread" in (*mine.kind.flags, *theirs.kind.flags)
        return "one of them is the same on every half" if constant else "there are too few images for halves"
    value = mine.value - theirs.value
    a, b = halves.influence_of(mine), halves.influence_of(theirs)
    if a and b:
        return _delta(difference_by_error(value, error_of_difference(a, b)))
    se = halves.error_of_difference(mine, theirs)
    if se is None:
        return "the halves behind them have been deleted since"
    my_halves, their_halves = halves.of(mine), halves.of(theirs)
    if my_halves is None or their_halves is None or my_halves.shape != their_halves.shape:
        return "they were measured in two ways, by two versions of mep or with unlike numbers of halves"
    if not math.isfinite(se):
        return "there are too few halves of them"
    return _delta(difference_by_error(value, se, freedom_of(my_halves)))


def _delta(difference: Difference) -> Delta:
    return Delta(**vars(difference))


def _paired(arm: Repeats, base: Repeats) -> Delta | str:
    mine, theirs = (
        {repeat: score.value for repeat, score in repeats.items() if score.value is not None} for repeats in (arm, base)
    )
    if not mine or not theirs:
        return "one of them has no such number"
    if not set(mine) & set(theirs):
        return "they have no repeat in common"
    paired = paired_by_seed(mine, theirs)
    if paired.low is None or paired.high is None or paired.p is None:
        return paired.sentence
    values = list(paired.values.values())
    se = statistics.stdev(values) / math.sqrt(len(values))
    n, said = len(values), paired.sentence
    return Delta(paired.value, se, paired.low, paired.high, paired.p, n, said, freedom=n - 1)


def error_by_images(arm: Repeats, base: Repeats, halves: Halves) -> float | None:
    """Standard error of the mean difference over the repeats that both have, by their images alone; None: unknown."""
    common = sorted(set(arm) & set(base))
    deltas = [_on_halves(arm[repeat], base[repeat], halves) for repeat in common]
    errors = [delta.se for delta in deltas if isinstance(delta, Delta)]
    return math.hypot(*errors) / len(errors) if errors and len(errors) == len(deltas) else None


def with_spread(
    metric: Metric, spread: Spread, labels: Collection[str], by_images: Mapping[str, float | None] | None = None
) -> Metric:
    """A metric in which differences of fewer trainings than a claim takes hold the spread between trainings.

    One training of either arm knows the error of its images alone. How one training differs from the next is known from
    other arms or other runs; that spread holds the chance of as many images as were drawn there, and the error of the
    images is added where they are fewer. Two trainings say less of their spread than those do. No interval gets
    narrower than its images make it. A spread that is a share of the number says nothing of numbers that are not above
    zero.

    spread      on the same images
    labels      arms that were trained on their own; others share the training of the baseline, or have none
    by_images   label -> error of the difference of two trainings an arm by their images alone
    """
    deltas = dict(metric.differences)
    for label in labels:
        delta = deltas.get(label)
        number = metric.arms.get(label)
        if delta is None or number is None or number.value is None or delta.speaks_of_methods:
            continue
        if spread.relative and min(number.value, number.value - delta.value) <= 0:
            continue
        of_images: Difference = delta
        if delta.n_pairs:
            error_of_images = (by_images or {}).get(label)
            if error_of_images is None and spread.relative:
                continue  # near zero the share is next to nothing, and the images are all that is uncertain
            of_images = difference_by_error(delta.value, error_of_images or 0.0)
        fewer = 0.0 if delta.n_pairs else max(1 - number.score.n_fake / spread.n_images, 0.0)
        of_trainings = spread.at(number.value - delta.value / 2) * math.sqrt(2 / max(delta.n_pairs, 1))
        error = math.hypot(of_trainings, delta.se * math.sqrt(fewer))
        by_spread = difference_by_error(delta.value, error, spread.freedom)
        wider = max(by_spread, of_images, key=lambda one: one.high - one.low)
        sentence = f"the interval holds the spread between trainings, {spread.text}"
        deltas[label] = replace(delta, **_numbers(wider), spread=spread.text, sentence=sentence)
    return replace(metric, differences=deltas)


def _numbers(found: Difference) -> dict[str, Any]:
    return {one.name: getattr(found, one.name) for one in fields(Difference)}


def adjusted(metrics: Sequence[Metric], headline: Key | None) -> list[Metric]:
    """Metrics with intervals and p-values that allow for how many there are to choose from.

    The headline was chosen before the numbers were seen. An arm can be picked after they were seen, so the intervals
    and p-values hold for all arms at once. Controls answer another question and do not count. Of every other metric p
    is adjusted after Holm, arm by arm, over all of them. Parts, label by label and so on, are not among the tests.
    """
    result = [
        _at_once(metric) if metric.key == headline else replace(metric, differences=dict(metric.differences))
        for metric in metrics
    ]
    secondary = [metric for metric in result if metric.key != headline and metric.group == "all"]
    for label in dict.fromkeys(label for metric in secondary for label in metric.differences):
        tested = [metric.differences for metric in secondary if label in metric.differences]
        for deltas, p in zip(tested, holm([deltas[label].p for deltas in tested]), strict=True):
            deltas[label] = replace(deltas[label], p_holm=p)
    return result


def _at_once(metric: Metric) -> Metric:
    """A metric whose intervals and p-values hold for all of its arms at once, controls left alone."""
    n_arms = sum(not is_control(label) for label in metric.differences)
    deltas = {
        label: delta if is_control(label) else replace(at_once(delta, n_arms), n_arms=n_arms)
        for label, delta in metric.differences.items()
    }
    return replace(metric, differences=deltas)


def holm_note(metrics: Sequence[Metric]) -> str:
    """What is left of the differences after Holm, in a sentence; empty where nothing was adjusted."""
    adjusted_ps = [
        (f"{label} in {metric.metric} ({metric.extractor})", delta.p_holm)
        for metric in metrics
        for label, delta in metric.differences.items()
        if delta.p_holm is not None
    ]
    n_tested = sum(any(delta.p_holm is not None for delta in metric.differences.values()) for metric in metrics)
    if n_tested < 2:
        return ""
    significant = ", ".join(name for name, p in adjusted_ps if p <= LEVEL) or "none"
    return (
        f"Of the {n_tested} metrics beside the first, adjusted together after Holm, differ at {LEVEL}: {significant}."
    )
