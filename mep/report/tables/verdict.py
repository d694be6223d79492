"""What the numbers say, in a few plain sentences."""

from mep.recipe.controls import is_control
from mep.report.tables.assay import assay_of
from mep.report.tables.comparison import Comparison, Delta, Metric
from mep.report.text import difference_text, interval_text, listed, p_text, plain
from mep.report.wording import REFERENCES

HEADLINE = ("fid", "fd")


def verdict(comparison: Comparison) -> list[str]:
    """Sentences on the headline: the first extractor's Fréchet distance, or the first metric where there is none."""
    measured = [metric for metric in comparison.metrics if metric.group == "all" and metric.arms]
    metrics = [metric for metric in measured if metric.in_overview] or measured
    if not metrics:
        runs = f"the run is {comparison.state}" if len(comparison.runs) == 1 else "the runs are " + comparison.state
        return [f"Nothing can be compared yet: {runs}, and no arm has metrics."]
    metric = next((metric for metric in metrics if metric.metric in HEADLINE), metrics[0])
    sentences = _about_single(metric) if len(metric.arms) == 1 else _about_several(metric, comparison)
    sentences += _about_unmeasured(metric, comparison)
    if any("rank_deficient" in number.score.kind.flags for number in metric.arms.values()):
        sentences.append("There are too few images for a distance in so many dimensions: take it for a first look.")
    assay = assay_of(comparison)
    return [*([assay.sentence] if assay else []), *sentences, *_usefulness(comparison)]


def _about_unmeasured(metric: Metric, comparison: Comparison) -> list[str]:
    labels = [plain(label) for label in comparison.arms if label not in metric.arms]
    if len(labels) > 4:
        return [f"{len(labels)} of {len(comparison.arms)} arms have no metrics yet."]
    return [f"{listed(labels)} {'has' if len(labels) == 1 else 'have'} no metrics yet."] if labels else []


def _usefulness(comparison: Comparison, most: int = 3) -> list[str]:
    """What training a classifier on the images of each arm came to, in the words of the stage that did it."""
    statements = {
        label: test.statement
        for metric in comparison.metrics
        for label, number in metric.arms.items()
        if metric.group == "all" and (test := number.score.kind.non_inferiority) and test.statement
        if not number.repeats
    }
    few = statements.items() if len(statements) <= most else ()
    return [f"{plain(label)}: {plain(statement)}" for label, statement in few]


def _about_single(metric: Metric) -> list[str]:
    label, number = next(iter(metric.arms.items()))
    sentence = f"{plain(label)} has a {metric.name} to held-out images of {number.text}{_unit(metric)}."
    return [sentence, *_for_scale(metric)]


def _about_several(metric: Metric, comparison: Comparison) -> list[str]:
    measured = {
        label: number.value for label, number in metric.arms.items() if number.value is not None and not number.mark
    }
    if len(measured) < 2:
        why = next(iter(metric.refusals.values()), "they were not made alike, as the footnotes say")
        return [f"The arms cannot be compared: {why}.", _listing(metric)]
    baseline = comparison.baseline
    if baseline not in measured:
        return [_listing(metric), *_for_scale(metric)]
    others = {label: value for label, value in measured.items() if label != baseline and not is_control(label)}
    if not others:
        return [_listing(metric), *_for_scale(metric)]
    label = (min if metric.better == "lower" else max)(others, key=lambda name: others[name])
    sentences = [_pair(metric, label, baseline)]
    if len(others) > 1:
        sentences.append(
            f"{plain(label)} is the best of {len(others)} arms beside the baseline, picked after they were measured; "
            "its interval does not allow for that."
        )
    sentences += [*_other_numbers(comparison, metric, label), *_for_scale(metric)]
    return [*sentences, _about_seeds(comparison, metric.differences.get(label))]


def _listing(metric: Metric, most: int = 5) -> str:
    numbers = metric.arms
    if len(numbers) <= most:
        return f"{_heading(metric)}: {listed([f'{plain(label)} {number.text}' for label, number in numbers.items()])}."
    best = next((label for label in numbers if label in metric.best), next(iter(numbers)))
    word = {"lower": "lowest", "higher": "highest"}.get(metric.better, "first")
    return f"{_heading(metric)}: {word} in {plain(best)} with {numbers[best].text}, of {len(numbers)} arms."


def _pair(metric: Metric, label: str, baseline: str) -> str:
    """An arm against the baseline: a clear difference, one that may be none, or one without an interval."""
    value, base_value = metric.arms[label].text, metric.arms[baseline].text
    arm, other, unit = plain(label), plain(baseline), _unit(metric)
    delta = metric.differences.get(label)
    if delta is None:
        why = metric.refusals[label]
        return f"{_heading(metric)}: {arm} {value}, {other} {base_value}; there is no interval, because {why}."
    if delta.value == 0 and delta.se == 0:
        return f"{arm} and {other} have the same {metric.name} to held-out images, {value}{unit}."
    interval = f"95 % interval {interval_text(delta, metric.scale)}, {p_text(delta.p)}"
    difference = f"a difference of {difference_text(delta, metric.scale)} ({interval})"
    if not is_clear(delta):
        return (
            f"{arm} and {other} cannot be told apart by the {metric.name} to held-out images: {value} against "
            f"{base_value}{unit}, {difference} that includes zero."
        )
    has_the = f"has the {metric.better} {metric.name} to held-out images:"
    if is_better(delta, metric):
        return f"{arm} {has_the} {value} against {base_value}{unit}, {difference}."
    return f"{other} {has_the} {base_value} against {value}{unit} of {arm}, {difference} of {arm} to {other}."


def is_clear(delta: Delta) -> bool:
    """Whether the interval leaves zero out."""
    return delta.is_clear


def is_better(delta: Delta, metric: Metric) -> bool:
    """Whether a difference to the baseline is for the better, clear or not."""
    return delta.value < 0 if metric.better == "lower" else delta.value > 0


def _other_numbers(comparison: Comparison, headline: Metric, label: str) -> list[str]:
    """How the other numbers of the same pair fall, so that the headline does not stand for all of them."""
    others = [
        metric
        for metric in comparison.metrics
        if metric is not headline and metric.in_overview and label in metric.differences
    ]
    clear = [metric for metric in others if is_clear(metric.differences[label])]
    n_better = sum(is_better(metric.differences[label], metric) for metric in clear)
    counts = {
        f"clearly for {plain(label)}": n_better,
        f"clearly for {plain(comparison.baseline)}": len(clear) - n_better,
        "open": len(others) - len(clear),
    }
    parts = [f"{count} {outcome}" for outcome, count in counts.items() if count]
    return [f"The {len(others)} other number{'s' * (len(others) > 1)}: {listed(parts)}."] if others else []


def _about_seeds(comparison: Comparison, delta: Delta | None) -> str:
    if delta is not None and delta.n_pairs:
        return f"{delta.sentence[0].upper()}{delta.sentence[1:]}."
    if "seed" in comparison.fields:
        return "Arms of other seeds are other training runs: their spread, not these intervals, speaks of the method."
    return "One training seed per arm: this compares two image sets, not yet two methods."


def _for_scale(metric: Metric) -> list[str]:
    parts = [
        f"{title} reach {number.text}" if title.startswith(REFERENCES["train"]) else f"the {title} is {number.text}"
        for title, number in metric.references.items()
    ]
    return [f"For scale: {listed(parts)}."] if parts and len(parts) <= 4 else []


def _heading(metric: Metric) -> str:
    return f"{metric.name[0].upper()}{metric.name[1:]} to held-out images{_unit(metric)}"


def _unit(metric: Metric) -> str:
    return " (×10³)" if metric.scale == 1000 else ""
