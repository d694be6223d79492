"""What the numbers of a comparison rest on, a sentence or two each."""

from collections.abc import Iterable, Iterator, Sequence

from mep.report.tables.comparison import Comparison, Metric, Number
from mep.report.tables.level import level_of
from mep.report.tables.overview import OF_TRAINING_IMAGES, headline_of
from mep.report.tables.remarks import remarks
from mep.report.tables.significance import holm_note
from mep.report.text import listed, plain
from mep.report.wording import ARROWS, EXTRACTORS, FLAGS, REFERENCES

MOST_LISTED = 6
"""Names in a sentence; more are counted."""
ABOUT = {
    REFERENCES["train"]: "Real training images: what real images reach against the held-out ones, at the same number "
    "of images. A perfect model would come out about there, and not at zero.",
    REFERENCES["floor"]: "Autoencoder floor: the held-out images after a pass through the autoencoder, about the best "
    "that a model on this autoencoder can draw.",
}
"""Beginning of the title of a row of references -> what it is."""


def notes_of(comparison: Comparison) -> Iterator[str]:
    metrics = comparison.metrics
    yield from remarks(comparison)
    yield from _gap_notes(comparison)
    if not metrics:
        return
    yield from _size_notes(metrics)
    yield from _extractor_notes(metrics)
    titles = [title for metric in metrics for title in metric.references]
    yield from (text for subject, text in ABOUT.items() if any(title.startswith(subject) for title in titles))
    yield from _error_notes([number for metric in metrics for number in metric.arms.values()])
    headline = headline_of(metric.key for metric in metrics)
    yield from filter(None, [level_of(metric) for metric in metrics if metric.key == headline])
    if note := holm_note(metrics):
        yield note
    yield from _reading_notes(metrics)
    yield from _flag_notes(metrics)
    yield from _refusal_notes(comparison)


def _gap_notes(comparison: Comparison) -> Iterator[str]:
    gaps = {label for metric in comparison.metrics for label in comparison.arms if label not in metric.arms}
    failed = {label for label in gaps if comparison.states[label] == "failed"}
    if failed:
        yield "! the run failed before this number was made."
    if gaps - failed:
        yield "- there is no such number."


def _reading_notes(metrics: Sequence[Metric]) -> Iterator[str]:
    if any(metric.better in ARROWS for metric in metrics):
        bold = "Bold: the best arm, where it clearly differs. " if any(metric.best for metric in metrics) else ""
        yield f"{bold}↓ lower is better, ↑ higher is better."
    if any(metric.scale == 1000 for metric in metrics):
        yield "kid is shown times 1000; it is unbiased, so that it may be negative."


def _size_notes(metrics: Sequence[Metric]) -> Iterator[str]:
    labels_of: dict[tuple[int, int], dict[str, None]] = {}
    for metric in metrics:
        if metric.metric in OF_TRAINING_IMAGES:
            continue
        for label, number in metric.arms.items():
            labels_of.setdefault((number.score.n_real, number.score.n_fake), {})[label] = None
    if len(labels_of) == 1:
        n_real, n_fake = next(iter(labels_of))
        yield f"Every number compares {n_fake} generated images with {n_real} held-out real ones (n_fake and n_real)."
    elif len(labels_of) <= MOST_LISTED:
        listing = "; ".join(
            f"{_listed_or_counted(map(plain, labels), 'arms')} {n_fake} with {n_real}"
            for (n_real, n_fake), labels in labels_of.items()
        )
        yield f"Generated images compared with held-out real ones (n_fake and n_real): {listing}."
    if any(metric.metric in OF_TRAINING_IMAGES for metric in metrics):
        yield "Attacks hold training images (n_fake) against as many held-out ones (n_real)."


def _extractor_notes(metrics: Sequence[Metric]) -> Iterator[str]:
    """What each feature space is, once for all numbers in it."""
    seen = set()
    for metric in metrics:
        for number in metric.arms.values():
            protocol = number.score.kind.protocol
            space = metric.extractor, protocol.digest, protocol.eval_resolution
            if space in seen:
                continue
            seen.add(space)
            about = EXTRACTORS.get(metric.extractor, "its numbers compare only with those of the same weights")
            sizes = {"dimensions": protocol.d, "px a side": protocol.eval_resolution}
            parts = [f"{value} {unit}" for unit, value in sizes.items() if value]
            parts += [f"digest {protocol.digest[:8]}"] if protocol.digest else []
            yield f"{plain(metric.extractor)} ({', '.join(parts)}): {about}."


def _error_notes(numbers: Sequence[Number]) -> Iterator[str]:
    most = max((len(number.repeats) for number in numbers), default=0)
    if most:
        yield f"± of repeated arms is the standard deviation over up to {most} trainings, beside their mean."
    elif any(number.se is not None for number in numbers):
        yield (
            "± is one standard error and intervals are of 95 %. They say whether two sets of images differ; one "
            "training seed cannot support a claim about the method."
        )


def _flag_notes(metrics: Sequence[Metric]) -> Iterator[str]:
    flagged: dict[str, dict[str, None]] = {}
    for metric in metrics:
        flags = [flag for number in metric.arms.values() for flag in number.score.kind.flags if metric.concerns(flag)]
        for flag in flags:
            flagged.setdefault(flag, {})[metric.metric] = None
    for flag, names in flagged.items():
        yield f"‡ {plain(flag)}: {FLAGS.get(flag, 'flagged by the metric')} ({_listed_or_counted(names, 'metrics')})."


def _refusal_notes(comparison: Comparison) -> Iterator[str]:
    """Every reason once, with the metrics that it concerns; what a footnote says is not said again."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for metric in comparison.metrics:
        for label, why in metric.refusals.items():
            has_footnote = label in metric.arms and metric.arms[label].mark
            if not has_footnote and label not in comparison.missing:
                reasons.setdefault((label, why), []).append(metric.metric)
    for (label, why), names in reasons.items():
        everywhere = len(names) == len(comparison.metrics)
        concerned = "" if everywhere else f" in {listed(list(dict.fromkeys(names)))}"
        yield f"No difference is given for {plain(label)} and {plain(comparison.baseline)}{concerned}: {why}."


def _listed_or_counted(names: Iterable[str], noun: str) -> str:
    names = list(names)
    return listed(names) if len(names) <= MOST_LISTED else f"{len(names)} {noun}"
