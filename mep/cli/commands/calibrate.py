"""`mep calibrate`: what the metrics of a recipe can see on its images, before anything is trained."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mep.cli.commands._shared import JSON, RECIPE, SET, make_part, open_store
from mep.cli.console import out, safe, show_json, show_rows, tell

if TYPE_CHECKING:
    from mep.artifacts import Calibration

HEADINGS = {
    "precision": "prec.",
    "density": "dens.",
    "coverage": "cov.",
    "copy_rate": "copies",
    "kid by label": "by label",
}
"""Metrics whose names are too long for a terminal of 80 columns."""


@click.command("calibrate")
@RECIPE
@SET
@JSON
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="Picture. Default: beside the runs.")
@click.pass_obj
def calibrate_command(runs: Path, recipe: Path, overrides: tuple[str, ...], as_json: bool, output: Path | None) -> None:
    """Harm real images in known steps and say from which dose on metrics notice; nothing is trained."""
    from mep.artifacts import Calibration
    from mep.machine.files import write_text
    from mep.recipe import load_recipe
    from mep.report.data.calibration import sentences
    from mep.report.figures.calibration import drawing

    loaded = load_recipe(recipe, overrides)
    store = open_store(runs, must_exist=False)
    tasks = make_part(loaded, store, "calibration")
    rows = []
    for number, task in enumerate(tasks):
        calibration = store.load(Calibration, task.artifact_id, task.config)
        rows.append({"arms": task.arms} | _as_data(calibration))
        if as_json:
            continue
        if len(tasks) > 1:
            out().print(f"[bold]{safe(', '.join(task.arms))}[/]")
        _show(calibration)
        for line in sentences(calibration):
            out().print(safe(line))
        if calibration.effects:
            path = output or store.root / f"calibration-{loaded.name}.svg"
            path = path if number == 0 else path.with_stem(f"{path.stem}-{number + 1}")
            write_text(path, drawing(calibration))
            tell(f"picture: {path}")
    if as_json:
        show_json(rows)


def _as_data(calibration: Calibration) -> dict[str, object]:
    effects = [
        asdict(effect) | {"signal": effect.signal, "power": effect.power, "noticed": effect.noticed}
        for effect in calibration.effects
    ]
    about = {"n": calibration.n, "size_px": calibration.size_px, "left_out": calibration.left_out}
    return about | {"effects": effects}


def _show(calibration: Calibration) -> None:
    """For every extractor a table: harm down, metrics across, the dose from which on each notices it."""
    from mep.imaging.degradations import KINDS
    from mep.report.data.calibration import findings
    from mep.report.figures.calibration import metrics_of

    found = findings(calibration)
    metrics = [metric for metric, _ in metrics_of(calibration)]
    for extractor in dict.fromkeys(one.extractor for one in found):
        out().print(f"[bold]{safe(extractor)}[/], {calibration.n} images: noticed from this dose on")
        cells = {(one.harm, one.metric): one.cell for one in found if one.extractor == extractor}
        rows = [
            {"harm": f"{harm} ({change.unit})"} | {HEADINGS.get(m, m): cells.get((harm, m), "") for m in metrics}
            for harm, change in KINDS.items()
            if any(kind == harm for kind, _ in cells)
        ]
        show_rows(rows, list(rows[0]))
        out().print()
    if any(one.misled for one in found):
        out().print("! the metric calls harmed images better")
    for line in calibration.left_out:
        out().print(safe(f"left out: {line}"))
