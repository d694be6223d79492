"""What the numbers say, in a few plain sentences."""

from mep.report.tables.comparison import Comparison, Delta, Metric
from mep.report.text import difference_text, interval_text, listed, p_text, plain
from mep.report.wording import REFERENCES

HEADLINE = ("fid", "fd")


def verdict(found: Comparison) -> list[str]:
    """Sentences on the headline: the first extractor's Fréchet distance, or the first metric where there is none."""
    metrics = [metric for metric in found.metrics if metric.in_overview and metric.arms]
    metrics = metrics or [metric for metric in found.metrics if metric.group == "all" and metric.arms]
    if not metrics:
        runs = f"the run is {found.state}" if len(found.runs) == 1 else "the runs are " + found.state
        return [f"Nothing can be compared yet: {runs}, and no arm has metrics."]
    metric = next((one for one in metrics if one.metric in HEADLINE), metrics[0])
    sentences = _one(metric) if len(metric.arms) == 1 else _several(metric, found)
    if lacking := [plain(label) for label in found.arms if label not in metric.arms]:
        if len(lacking) > 4:
            sentences.append(f"{len(lacking)} of {len(found.arms)} arms have no metrics yet.")
        else:
            sentences.append(f"{listed(lacking)} {'has' if len(lacking) == 1 else 'have'} no metrics yet.")
    if any(flag == "rank_deficient" for one in metric.arms.values() for flag in one.flags):
        sentences.append("There are too few images for a distance in so many dimensions: take it for a first look.")
    return [*sentences, *_usefulness(found)]


def _usefulness(found: Comparison, most: int = 3) -> list[str]:
    """What training a classifier on the images of each arm came to, in the words of the stage that did it."""
    told = {
        label: str(one.stored("statement"))
        for metric in found.metrics
        for label, one in metric.arms.items()
        if metric.group == "all" and one.stored("statement") and not one.repeats
    }
    return [f"{plain(label)}: {plain(words)}" for label, words in told.items()] if len(told) <= most else []


def _one(metric: Metric) -> list[str]:
    """A single arm has only real images and reconstructions to be held against."""
    label, number = next(iter(metric.arms.items()))
    told = f"{plain(label)} has a {metric.name} to held-out images of {number.text}{_unit(metric)}."
    return [told, *_beside(metric)]


def _several(metric: Metric, found: Comparison) -> list[str]:
    measured = {label: one.value for label, one in metric.arms.items() if one.value is not None and not one.mark}
    if len(measured) < 2:
        why = next(iter(metric.refusals.values()), "they were not made alike, as the footnotes say")
        return [f"The arms cannot be compared: {why}.", _listing(metric)]
    if found.baseline not in measured:
        return [_listing(metric), *_beside(metric)]
    others = {label: value for label, value in measured.items() if label != found.baseline}
    label = (min if metric.better == "lower" else max)(others, key=lambda name: others[name])
    sentences = [_pair(metric, label, found.baseline)]
    if len(others) > 1:
        sentences.append(
            f"{plain(label)} is the best of {len(others)} arms beside the baseline, picked after they were measured; "
            "its interval does not allow for that."
        )
    return [
        *sentences,
        *_other_numbers(found, metric, label),
        *_beside(metric),
        _seeds(found, metric.differences.get(label)),
    ]


def _listing(metric: Metric, most: int = 5) -> str:
    """Every arm with its number; of many arms the best."""
    shown = list(metric.arms.items())
    if len(shown) <= most:
        return f"{_heading(metric)}: {listed([f'{plain(label)} {one.text}' for label, one in shown])}."
    best = [label for label, _ in shown if label in metric.best][:1] or [shown[0][0]]
    word = {"lower": "lowest", "higher": "highest"}.get(metric.better, "first")
    return f"{_heading(metric)}: {word} in {plain(best[0])} with {metric.arms[best[0]].text}, of {len(shown)} arms."


def _pair(metric: Metric, label: str, baseline: str) -> str:
    """An arm against the baseline: a clear difference, one that may be none, or one without an interval."""
    own, base = metric.arms[label].text, metric.arms[baseline].text
    arm, other, unit = plain(label), plain(baseline), _unit(metric)
    delta = metric.differences.get(label)
    if delta is None:
        why = metric.refusals[label]
        return f"{_heading(metric)}: {arm} {own}, {other} {base}; there is no interval, because {why}."
    if delta.value == 0 and delta.se == 0:
        return f"{arm} and {other} have the same {metric.name} to held-out images, {own}{unit}."
    interval = f"95 % interval {interval_text(delta, metric.scale)}, {p_text(delta.p)}"
    told = f"a difference of {difference_text(delta, metric.scale)} ({interval})"
    if not is_clear(delta):
        return (
            f"{arm} and {other} cannot be told apart by the {metric.name} to held-out images: {own} against "
            f"{base}{unit}, {told} that includes zero."
        )
    if is_better(delta, metric):
        return f"{arm} has the {metric.better} {metric.name} to held-out images: {own} against {base}{unit}, {told}."
    return (
        f"{other} has the {metric.better} {metric.name} to held-out images: {base} against {own}{unit} of "
        f"{arm}, {told} of {arm} to {other}."
    )


def is_clear(delta: Delta) -> bool:
    """Whether the interval leaves zero out."""
    return not delta.low <= 0 <= delta.high


def is_better(delta: Delta, metric: Metric) -> bool:
    """Whether a difference to the baseline is for the better, clear or not."""
    return delta.value < 0 if metric.better == "lower" else delta.value > 0


def _other_numbers(found: Comparison, headline: Metric, label: str) -> list[str]:
    """How the other numbers of the same pair fall, so that the headline does not stand for all of them."""
    others = [one for one in found.metrics if one is not headline and one.in_overview and label in one.differences]
    clear = [one for one in others if is_clear(one.differences[label])]
    better = sum(is_better(one.differences[label], one) for one in clear)
    counts = {f"clearly for {plain(label)}": better, f"clearly for {plain(found.baseline)}": len(clear) - better}
    told = [f"{count} {what}" for what, count in (counts | {"open": len(others) - len(clear)}).items() if count]
    return [f"The {len(others)} other number{'s' * (len(others) > 1)}: {listed(told)}."] if others else []


def _seeds(found: Comparison, delta: Delta | None) -> str:
    """What training runs with one seed can and cannot show."""
    if delta is not None and delta.n_pairs:
        return f"{delta.sentence[0].upper()}{delta.sentence[1:]}."
    if "seed" in found.fields:
        return "Arms of other seeds are other training runs: their spread, not these intervals, speaks of the method."
    return "One training seed per arm: this compares two image sets, not yet two methods."


def _beside(metric: Metric) -> list[str]:
    """What real images and the autoencoder reach."""
    told = [
        f"{title} reach {number.text}" if title.startswith(REFERENCES["train"]) else f"the {title} is {number.text}"
        for title, number in metric.references.items()
    ]
    return [f"For scale: {listed(told)}."] if told and len(told) <= 4 else []


def _heading(metric: Metric) -> str:
    return f"{metric.name[0].upper()}{metric.name[1:]} to held-out images{_unit(metric)}"


def _unit(metric: Metric) -> str:
    return " (×10³)" if metric.scale == 1000 else ""
