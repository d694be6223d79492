"""What the script of the page draws: arms, metrics and curves as JSON inside the page."""

import json
from collections.abc import Sequence

from markupsafe import Markup

from mep.report.figures.charts import CurveSet
from mep.report.figures.styles import STYLES
from mep.report.tables.comparison import Number
from mep.report.tables.sheet import Contrast, Row, Sheet
from mep.report.text import plain
from mep.store.database import Row as Record


def payload(arms: Sequence[str], styles: dict[str, int], found: Sheet, curves: Sequence[CurveSet]) -> Markup:
    """JSON that no markup can break out of.

    arms        labels of all arms of the page, and `styles` the place of each among the styles
    """
    lead = found.rows[0].metric.extractor if found.rows else ""
    data = {
        "arms": [{"label": plain(label), "style": styles[label]} for label in arms],
        "styles": [{"dash": " ".join(map(str, style.dash)), "symbol": style.symbol} for style in STYLES],
        "baseline": plain(found.baseline),
        "rows": [
            _row(row, group.title, lead=lead)
            for group in found.groups
            for row in group.rows
            if row.metric.group == "all"
        ],
        "curves": [curve_set.as_data() for curve_set in curves],
    }
    text = json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def _row(row: Row, group: str, *, lead: str) -> Record:
    scale = row.metric.scale
    return {
        "id": row.metric.id,
        "name": row.name,
        "title": row.metric.name + (f", {plain(row.metric.extractor)}" if row.metric.extractor != lead else ""),
        "group": group,
        "better": row.metric.better,
        "arms": {plain(label): _number(number, scale) for label, number in row.values.items() if _has(number)},
        "references": {title: _number(number, scale) for title, number in row.references.items() if _has(number)},
        "differences": {
            plain(contrast.arm): _difference(contrast, scale) for contrast in row.contrasts if contrast.delta
        },
    }


def _has(number: Number) -> bool:
    return number.value is not None


def _number(number: Number, scale: float) -> Record:
    value, error = number.value or 0.0, number.se
    return {"value": value * scale, "se": None if error is None else error * scale, "text": number.shown}


def _difference(contrast: Contrast, scale: float) -> Record:
    delta = contrast.delta
    assert delta is not None  # the caller has looked
    return {
        "value": delta.value * scale,
        "low": delta.low * scale,
        "high": delta.high * scale,
        "outcome": contrast.outcome,
        "text": f"{contrast.difference} {contrast.interval}",
        "p": contrast.p,
    }
