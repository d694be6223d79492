"""What the numbers of a comparison rest on, a sentence or two each."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mep.report.tables.significance import holm_note
from mep.report.text import listed, plain
from mep.report.wording import ARROWS, EXTRACTORS, FLAGS, REFERENCES

if TYPE_CHECKING:
    from mep.report.tables.comparison import Comparison, Metric


def notes_of(found: "Comparison") -> Iterator[str]:
    yield from _state_notes(found)
    metrics = found.metrics
    if not metrics:
        return
    yield from _protocol_notes(metrics)
    yield from _reference_notes(metrics)
    numbers = [number for metric in metrics for number in metric.arms.values()]
    if any(number.repeats for number in numbers):
        most = max(len(number.repeats) for number in numbers)
        yield f"± of repeated arms is the standard deviation over up to {most} trainings, beside their mean."
    elif any(number.se is not None for number in numbers):
        yield (
            "± is one standard error and intervals are of 95 %, by a delete-half jackknife. They say whether two sets "
            "of images differ; one training seed cannot support a claim about the method."
        )
    if note := holm_note(metrics):
        yield note
    bold = "Bold: the best arm. " if any(metric.best for metric in metrics) else ""
    if any(metric.better in ARROWS for metric in metrics):
        yield f"{bold}↓ lower is better, ↑ higher is better."
    if any(metric.scale == 1000 for metric in metrics):
        yield "kid is shown times 1000; it is unbiased, so that it may be negative."
    touched: dict[str, dict[str, None]] = {}
    for metric in metrics:
        for flag in (flag for one in metric.arms.values() for flag in one.flags if metric.touched_by(flag)):
            touched.setdefault(flag, {})[metric.metric] = None
    for flag, names in touched.items():
        listing = listed(list(names)) if len(names) <= 6 else f"{len(names)} metrics"
        yield f"‡ {plain(flag)}: {FLAGS.get(flag, 'flagged by the metric')} ({listing})."
    yield from _refusal_notes(found)


def _state_notes(found: "Comparison") -> Iterator[str]:
    for state, sign in (("failed", "! the run failed before this number was made"), ("", "- there is no such number")):
        lacking = [label for label in found.arms if (found.states[label] == "failed") == bool(state)]
        if any(label not in metric.arms for metric in found.metrics for label in lacking):
            yield f"{sign}."


def _protocol_notes(metrics: "list[Metric]") -> Iterator[str]:
    sizes: dict[tuple[int, int], dict[str, None]] = {}
    for metric in metrics:
        for label, number in metric.arms.items():
            sizes.setdefault((number.n_real, number.n_fake), {})[label] = None
    if len(sizes) == 1:
        n_real, n_fake = next(iter(sizes))
        yield f"Every number compares {n_fake} generated images with {n_real} held-out real ones (n_fake and n_real)."
    elif len(sizes) <= 6:
        listing = "; ".join(
            f"{listed([plain(label) for label in labels]) if len(labels) <= 6 else f'{len(labels)} arms'} {n_fake} "
            f"with {n_real}"
            for (n_real, n_fake), labels in sizes.items()
        )
        yield f"Generated images compared with held-out real ones (n_fake and n_real): {listing}."
    seen = set()
    for metric in metrics:
        for number in metric.arms.values():
            digest, side = number.stored("digest"), number.stored("eval_resolution")
            if (metric.extractor, digest, side) not in seen:
                seen.add((metric.extractor, digest, side))
                about = EXTRACTORS.get(metric.extractor, "its numbers compare only with those of the same weights")
                parts = {"dimensions": number.stored("d"), "px a side": side}
                told = [f"{value} {what}" for what, value in parts.items() if value]
                told += [f"digest {str(digest)[:8]}"] if digest else []
                yield f"{plain(metric.extractor)} ({', '.join(told)}): {about}."


def _reference_notes(metrics: "list[Metric]") -> Iterator[str]:
    titles = {title for metric in metrics for title in metric.references}
    if any(title.startswith(REFERENCES["train"]) for title in titles):
        yield (
            "Real training images: what real images reach against the held-out ones, at the same number of images. A "
            "perfect model would come out about there, and not at zero."
        )
    if any(title.startswith(REFERENCES["floor"]) for title in titles):
        yield (
            "Autoencoder floor: the held-out images after a pass through the autoencoder, about the best that a model "
            "on this autoencoder can draw."
        )


def _refusal_notes(found: "Comparison") -> Iterator[str]:
    """Every reason once, with the metrics that it concerns; what a footnote says is not said again."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for metric in found.metrics:
        for label, why in metric.refusals.items():
            if label not in metric.arms or not metric.arms[label].mark:
                reasons.setdefault((label, why), []).append(metric.metric)
    for (label, why), names in reasons.items():
        if label in found.missing:
            continue
        concerned = "" if len(names) == len(found.metrics) else f" in {listed(list(dict.fromkeys(names)))}"
        yield f"No difference is given for {plain(label)} and {plain(found.baseline)}{concerned}: {why}."
