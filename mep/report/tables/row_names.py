"""What stands in front of a row of the comparison, and above its groups."""

from collections.abc import Sequence

from mep.report.tables.comparison import Metric
from mep.report.tables.overview import GROUPS
from mep.report.text import plain
from mep.report.wording import ARROWS, SHORT


def names_of(metrics: Sequence[Metric], group: str) -> list[str]:
    """A name for each metric of a group, such as kid ×10³ ↓; what its group says already is left out.

    Metrics that would share a name are told apart by what they are measured to, then by the features they are in.
    """
    stems = [_stem(metric, group) for metric in metrics]
    names = []
    for metric, stem in zip(metrics, stems, strict=True):
        alike = [other for other, its in zip(metrics, stems, strict=True) if its == stem]
        held_out = metric.reference == "heldout" and any(other.reference == "matched" for other in alike)
        elsewhere = any(other.extractor != metric.extractor for other in alike)
        led = group != "opinion" and metric.extractor == metrics[0].extractor
        space = f", {plain(metric.extractor)}" if elsewhere and not led else ""
        factor = " ×10³" if metric.scale == 1000 else ""
        arrow = f" {ARROWS[metric.better]}" if metric.better in ARROWS else ""
        names.append(f"{stem}{' to all held-out' * held_out}{space}{factor}{arrow}{'‡' * metric.flagged}")
    return names


def title_of(group: str, metrics: Sequence[Metric]) -> str:
    """Of a second opinion with the features that give it, where these are one kind."""
    extractors = {plain(metric.extractor) for metric in metrics}
    by = f" ({next(iter(extractors))})" if group == "opinion" and len(extractors) == 1 else ""
    return GROUPS[group][0] + by


def _stem(metric: Metric, group: str) -> str:
    name = SHORT.get(metric.metric, plain(metric.metric))
    part = "" if metric.group == "all" else f" ({plain(metric.group)})"
    is_said = metric.reference in ("heldout", "matched") or (group, metric.metric) == ("copies", "copy_rate")
    return f"{name}{part}" + ("" if is_said else f" to {plain(metric.reference)}")
