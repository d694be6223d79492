"""Loss curves of a report: of the autoencoder where a run trained one, and of the denoiser of every arm."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from mep.artifacts import BaseModel, Model
from mep.report.data.runs import Report
from mep.report.figures.charts import Curve, line_chart, smoothed, window_for
from mep.report.text import listed

Logs = list[tuple[list[str], list[dict[str, Any]]]]
"""Arms that share a training, and the lines of its log."""


def charts(report: Report) -> list[dict[str, Any]]:
    """A chart for every kind of loss that was written down."""
    logs: dict[str, Logs] = {
        "Autoencoder": [(arms, base.losses) for arms, base in report.sharing(BaseModel)],
        "UNet": [(arms, model.losses) for arms, model in report.sharing(Model)],
    }
    drawn = [_chart(title, report, found) for title, found in logs.items() if any(losses for _, losses in found)]
    watched = [(arms, model.validation) for arms, model in report.sharing(Model)]
    return [*drawn, *_validation(report, [(arms, rows) for arms, rows in watched if len(rows) > 1])]


def _validation(report: Report, logs: Logs) -> Iterator[dict[str, Any]]:
    """The denoising loss on validation images, which arms of one base can be compared by."""
    places = {arm.name: place for place, arm in enumerate(report.arms)}
    curves = []
    for arms, rows in logs:
        steps, values = (np.array([row[name] for row in rows], dtype=np.float64) for name in ("step", "loss"))
        curves.append(Curve(listed(arms), steps, values, places[arms[0]]))
    if curves:
        about = f"validation loss of {listed([one.name for one in curves])}"
        svg = line_chart(curves, label="loss on validation images", description=about)
        yield {"title": "UNet on validation images", "svg": svg, "curves": curves, "windows": []}


def _chart(title: str, report: Report, logs: Logs) -> dict[str, Any]:
    places = {arm.name: place for place, arm in enumerate(report.arms)}
    curves = [
        smoothed(
            "all arms" if len(arms) == len(report.arms) > 1 else listed(arms),
            [(row["step"], row["loss"]) for row in losses],
            places[arms[0]],
        )
        for arms, losses in logs
        if losses
    ]
    svg = line_chart(curves, label="loss", description=f"{title} loss of {listed([one.name for one in curves])}")
    return {
        "title": title,
        "svg": svg,
        "curves": curves,
        "windows": sorted({window_for(len(losses)) for _, losses in logs if losses}),
    }
