"""What the numbers say, in three plain sentences at most."""

from collections.abc import Mapping

from mep.recipe.controls import is_control
from mep.report.tables.assay import assay_of
from mep.report.tables.comparison import Comparison, Delta, Metric, Number
from mep.report.tables.overview import headline_of
from mep.report.text import difference_text, interval_text, listed, plain, rounded

TO = {
    "heldout": " to held-out images",
    "matched": " to held-out images of the same mix",
    "train": " to training images",
}
"""Reference -> what a distance goes to."""
EACH_A_ROW = "Here every training is a row; without --group-by none, arms are compared over their trainings."
DISTANCES = ("kid", "fd", "fid", "cmmd", "mmd_rbf")


def verdict(comparison: Comparison) -> list[str]:
    """Whether the experiment can be believed, what the headline says, and what it could not have seen.

    The headline is the kernel distance to matched images in the first extractor; see `overview.headline_of`.
    """
    metric = headline(comparison)
    if metric is None:
        runs = f"the run is {comparison.state}" if len(comparison.runs) == 1 else "the runs are " + comparison.state
        return [f"Nothing can be compared yet: {runs}, and no arm has metrics."]
    assay = assay_of(comparison)
    sentences = [assay.sentence] if assay else []
    arm = leading_arm(comparison, metric)
    if arm is None:
        apart = [EACH_A_ROW] if comparison.trainings else []
        return [*sentences, _without_pair(comparison, metric), *apart, *unmeasured(comparison, metric)]
    sentences.append(_pair(metric, arm, comparison.baseline))
    if delta := metric.differences.get(arm):
        sentences.append(_smallest(metric, delta, comparison))
    return sentences


def headline(comparison: Comparison) -> Metric | None:
    """The metric that the verdict speaks of; None where nothing is measured."""
    measured = {metric.key: metric for metric in comparison.metrics if metric.arms}
    whole = [key for key, metric in measured.items() if metric.in_overview and metric.group == "all"]
    key = headline_of(whole or measured)
    return measured[key] if key else None


def leading_arm(comparison: Comparison, metric: Metric) -> str | None:
    """The arm that is held against the baseline: the best of those made alike, controls aside; None without two.

    None as well where trainings are rows of their own: the best of many trainings says little about its arm.
    """
    if comparison.trainings:
        return None
    values = {label: number.value for label, number in metric.arms.items() if not number.mark and not is_control(label)}
    others = {label: value for label, value in values.items() if value is not None and label != comparison.baseline}
    if not others or values.get(comparison.baseline) is None:
        return None
    return metric.best_of(others)


def unmeasured(comparison: Comparison, metric: Metric) -> list[str]:
    """A sentence on the arms that have no number yet; empty where all have one."""
    labels = [plain(label) for label in comparison.arms if label not in metric.arms]
    if len(labels) > 4:
        return [f"{len(labels)} of {len(comparison.arms)} arms have no metrics yet."]
    return [f"{listed(labels)} {'has' if len(labels) == 1 else 'have'} no metrics yet."] if labels else []


def _without_pair(comparison: Comparison, metric: Metric) -> str:
    """Of a single arm its number; of several without a baseline the best one, or why none can be named."""
    measured = _over_trainings(comparison, metric)
    numbers = {label: number for label, number in measured.items() if not is_control(label)} or measured
    alike = [label for label, number in numbers.items() if number.value is not None and not number.mark]
    subject = f"{metric.name}{_to(metric)}{_unit(metric)}"
    if len(numbers) == 1:
        label, number = next(iter(numbers.items()))
        return f"{plain(label)} has a {subject} of {_told(number)}{_trainings(numbers)}."
    told = listed([f"{plain(label)} {_told(number)}" for label, number in numbers.items()])
    if len(alike) < 2:
        why = next(iter(metric.refusals.values()), "they were not made alike, as the footnotes say")
        return f"The arms cannot be compared: {why} ({subject}: {told})."
    if len(numbers) <= 4:
        return f"{subject[0].upper()}{subject[1:]}: {told}{_trainings(numbers)}."
    best = metric.best_of({label: numbers[label].value or 0.0 for label in alike})
    word = "highest" if metric.better == "higher" else "lowest"
    told = f"{_told(numbers[best])}{_trainings(numbers)}"
    return f"Of {len(numbers)} arms {plain(best)} has the {word} {subject}, {told}."


def _over_trainings(comparison: Comparison, metric: Metric) -> dict[str, Number]:
    """Label -> number of every arm; where trainings are rows of their own the mean of an arm."""
    found: dict[str, Number] = {}
    for arm, labels in comparison.trainings.items():
        if numbers := [metric.arms[label] for label in labels if label in metric.arms]:
            mark = max(number.mark for number in numbers)
            found[arm] = Number.of([number.score for number in numbers], metric.scale, mark=mark)
    return found or metric.arms


def _told(number: Number) -> str:
    """Of several trainings with their spread."""
    return number.shown if number.repeats else number.text


def _trainings(numbers: Mapping[str, Number]) -> str:
    counts = sorted({len(number.repeats) for number in numbers.values()})
    if counts[-1] < 2:
        return ""
    return f" (mean and spread of {'up to ' * (len(counts) > 1)}{counts[-1]} trainings an arm)"


def _pair(metric: Metric, label: str, baseline: str) -> str:
    """An arm against the baseline: a clear difference, one that may be none, or one without an interval."""
    value, base_value = metric.arms[label].text, metric.arms[baseline].text
    arm, other, unit = plain(label), plain(baseline), _unit(metric)
    by = f"by the {metric.name}{_to(metric)}"
    delta = metric.differences.get(label)
    if delta is None:
        why = metric.refusals[label]
        return f"{arm} has {value} and {other} {base_value} {by}{unit}; there is no interval, because {why}."
    if delta.value == 0 and delta.se == 0:
        return f"{arm} and {other} are the same {by}: {value}{unit}."
    over = f"Over {delta.n_pairs} trainings an arm " if delta.n_pairs else ""
    difference = (
        f"(difference {difference_text(delta, metric.scale)}, 95 % interval {interval_text(delta, metric.scale)})"
    )
    if not delta.is_clear:
        told = f"{arm} and {other} cannot be told apart {by}: {value} against {base_value}{unit} {difference}."
    elif metric.is_better(delta):
        told = f"{arm} is better than {other} {by}: {value} against {base_value}{unit} {difference}."
    else:
        told = f"{arm} is worse than {other} {by}: {value} against {base_value}{unit} {difference}."
    return over + told


def _smallest(metric: Metric, delta: Delta, comparison: Comparison) -> str:
    """What the comparison could have seen, and whether it speaks of the methods at all."""
    size = delta.detectable * metric.scale
    base = metric.arms[comparison.baseline].value
    share = f" ({100 * delta.detectable / abs(base):.0f} %)" if base else ""
    sentence = f"The smallest difference that this run could have seen is {rounded(size, size)}{share}"
    if delta.spread:
        return f"{sentence}, if trainings spread as is known: by {delta.spread}."
    if delta.n_pairs or "seed" in comparison.fields:
        return f"{sentence}."
    return f"{sentence}; with one training an arm it speaks of these images, not yet of the methods."


def _to(metric: Metric) -> str:
    """What a distance goes to; other numbers say it in their name."""
    return TO.get(metric.reference, f" to {plain(metric.reference)}") if metric.metric in DISTANCES else ""


def _unit(metric: Metric) -> str:
    return " (×10³)" if metric.scale == 1000 else ""
