"""What a reader of the verdict may ask next, a sentence each."""

from collections.abc import Iterator

from mep.recipe.controls import is_control
from mep.report.tables.comparison import Comparison, Metric
from mep.report.tables.verdict import headline, leading_arm, unmeasured
from mep.report.text import listed, plain
from mep.report.wording import REFERENCES

MOST_STATEMENTS = 3
"""Arms whose usefulness is told in a sentence each."""


def remarks(comparison: Comparison) -> Iterator[str]:
    """How the other numbers fall, what the headline is to be held against, seeds, usefulness, arms without numbers."""
    metric = headline(comparison)
    if metric is None:
        return
    if arm := leading_arm(comparison, metric):
        yield from _about_choice(comparison, arm)
        yield from _about_other_numbers(comparison, metric, arm)
        delta = metric.differences.get(arm)
        if delta is not None and delta.sentence:
            yield f"{delta.sentence[0].upper()}{delta.sentence[1:]}."
            yield from _of_images_alone(comparison, arm)
        elif "seed" in comparison.fields:
            yield "Arms of other seeds are other trainings: their spread, not these intervals, speaks of the method."
    yield from _for_scale(metric)
    yield from unmeasured(comparison, metric)
    if any("rank_deficient" in number.score.kind.flags for number in metric.arms.values()):
        yield "There are too few images for a distance in so many dimensions: take it for a first look."
    yield from _usefulness(comparison)


def _of_images_alone(comparison: Comparison, arm: str) -> Iterator[str]:
    """What holds no spread between trainings, where the headline does."""
    unknown = [
        metric.name
        for metric in comparison.metrics
        if metric.in_overview and arm in metric.differences and not metric.differences[arm].speaks_of_methods
    ]
    if unknown:
        yield f"Of {listed(list(dict.fromkeys(unknown)))} it is not known: their intervals speak of these images alone."


def _about_choice(comparison: Comparison, arm: str) -> Iterator[str]:
    others = [label for label in comparison.arms if label != comparison.baseline and not is_control(label)]
    if len(others) > 1:
        yield (
            f"{plain(arm)} is the best of {len(others)} arms beside the baseline, picked after they were measured; its "
            "interval allows for that."
        )


def _about_other_numbers(comparison: Comparison, of: Metric, label: str) -> Iterator[str]:
    """How the other numbers of the same pair fall, so that the headline does not stand for all of them."""
    others = [
        metric
        for metric in comparison.metrics
        if metric is not of and metric.in_overview and label in metric.differences
    ]
    clear = [metric for metric in others if metric.differences[label].is_clear]
    n_better = sum(metric.is_better(metric.differences[label]) for metric in clear)
    counts = {
        f"clearly for {plain(label)}": n_better,
        f"clearly for {plain(comparison.baseline)}": len(clear) - n_better,
        "open": len(others) - len(clear),
    }
    parts = [f"{count} {outcome}" for outcome, count in counts.items() if count]
    if others:
        yield f"The {len(others)} other number{'s' * (len(others) > 1)}: {listed(parts)}."


def _for_scale(metric: Metric) -> Iterator[str]:
    parts = [
        f"{title} reach {number.text}" if title.startswith(REFERENCES["train"]) else f"the {title} is {number.text}"
        for title, number in metric.references.items()
    ]
    if parts and len(parts) <= 4:
        yield f"For scale, {metric.metric}: {listed(parts)}."


def _usefulness(comparison: Comparison) -> Iterator[str]:
    """What training a classifier on the images of each arm came to, in the words of the stage that did it."""
    statements = {
        label: test.statement
        for metric in comparison.metrics
        for label, number in metric.arms.items()
        if metric.group == "all" and (test := number.score.kind.non_inferiority) and test.statement
        if not number.repeats and not is_control(label)
    }
    if len(statements) <= MOST_STATEMENTS:
        yield from (f"{plain(label)}: {plain(statement)}" for label, statement in statements.items())
