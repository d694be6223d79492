"""The page of a run that goes on: stages, time left, losses, validation, samples; light enough for every minute."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import mep
from mep.machine.files import read_json_lines, write_text
from mep.report.figures.charts import Curve, CurveSet, smoothed
from mep.report.figures.pictures import Picture
from mep.report.figures.styles import N_STYLES
from mep.report.live import Snapshot, snapshot
from mep.report.page.frame import environment, framed
from mep.report.page.payload import payload
from mep.report.page.sections import looks_in
from mep.report.tables.sheet import Sheet
from mep.report.text import listed
from mep.store import Store
from mep.store.database import Row

EVERY_S = 60
"""After so many seconds the page loads itself again."""
LOOKS_BUDGET = 400_000
"""Bytes of the samples of a training."""
SCRIPTS = ("d3", "plot", "report", "arms", "charts", "lightbox")
NO_SHEET = Sheet(arms=[], controls=[], baseline="", settings={}, references=[], groups=[], reach=1.0)


@dataclass(frozen=True)
class Training:
    """A training that is done or at work; `folder` holds its logs."""

    arms: list[str]
    folder: Path
    log: str


def write_running(store: Store, run_id: str, path: Path) -> Snapshot:
    """Write the page of a run as it stands; the same moment as data."""
    now = snapshot(store, run_id)
    write_text(path, running_page(store, now))
    return now


def running_page(store: Store, now: Snapshot) -> str:
    rows = store.db.query("SELECT arm FROM arms WHERE run_id = ? ORDER BY position", now.run_id)
    arms = [row["arm"] for row in rows]
    styles = {arm: place for place, arm in enumerate(arms)}
    trainings = list(_trainings(store, now))
    charts = _charts(store, now, trainings, styles)
    return (
        environment()
        .get_template("running.html.j2")
        .render(
            now=now,
            at_work={(stage.stage, listed(stage.arms)): stage for stage in now.now},
            every_s=EVERY_S,
            version=mep.__version__,
            charts=charts,
            over_training=list(_looks(trainings)),
            report={"arms": arms},
            comparison={"arms": arms},
            colour={arm: place % N_STYLES for arm, place in styles.items()},
            data=payload(arms, styles, NO_SHEET, charts),
            **framed(*SCRIPTS),
        )
    )


def _trainings(store: Store, now: Snapshot) -> Iterator[Training]:
    """Finished ones first, then the one at work."""
    used = store.db.query(
        "SELECT artifact_id, json_group_array(arm) AS arms FROM uses WHERE run_id = ? AND stage = 'training'"
        " GROUP BY artifact_id ORDER BY min(rowid)",
        now.run_id,
    )
    for row in used:
        yield Training(json.loads(row["arms"]), store.folder(row["artifact_id"]), "losses.jsonl")
    for row in _running(store, now.run_id, "training"):
        yield Training(json.loads(row["arms"]), store.work_folder(row["artifact_id"]), "training.jsonl")


def _running(store: Store, run_id: str, stage: str) -> list[Row]:
    sql = "SELECT artifact_id, arms FROM attempts WHERE run_id = ? AND state = 'running' AND artifact_id LIKE ?"
    return store.db.query(f"{sql} ORDER BY attempt_id", run_id, f"{stage}/%")


def _charts(store: Store, now: Snapshot, trainings: list[Training], styles: dict[str, int]) -> list[CurveSet]:
    """Losses and validation so far; of the autoencoder while that is what is being trained."""
    sets = {
        "UNet": ("loss-unet", "loss"),
        "UNet on validation images": ("loss-validation", "loss on validation images"),
    }
    curves: dict[str, list[Curve]] = {title: [] for title in sets}
    for training in trainings:
        name, style = listed(training.arms), styles[training.arms[0]]
        if (columns := _columns(training.folder / training.log)) is not None:
            curves["UNet"].append(smoothed(name, *columns, style))
        if (columns := _columns(training.folder / "validation.jsonl")) is not None:
            curves["UNet on validation images"].append(Curve(name, *columns, style))
    found = [CurveSet(title, sets[title][1], of, id=sets[title][0]) for title, of in curves.items() if of]
    for stage in now.now:
        if stage.stage != "training" and len(stage.losses) > 1:
            steps = np.arange(1.0, len(stage.losses) + 1)
            curve = smoothed(
                stage.stage, steps, np.array(stage.losses), styles.get(stage.arms[0], 0) if stage.arms else 0
            )
            found.insert(0, CurveSet(f"{stage.stage}, now", "loss", [curve], id=f"loss-{stage.stage}"))
    return found


def _columns(path: Path) -> tuple[np.ndarray, np.ndarray] | None:
    """Steps and losses of a log, float64 (n,); None where there are fewer than two."""
    rows = [row for row in read_json_lines(path) if isinstance(row.get("loss"), int | float)] if path.exists() else []
    if len(rows) < 2:
        return None
    steps, losses = np.array([(row["step"], row["loss"]) for row in rows], dtype=np.float64).T
    return steps, losses


def _looks(trainings: list[Training]) -> Iterator[tuple[list[str], list[tuple[int, list[Picture]]]]]:
    for training in trainings:
        if steps := looks_in(training.folder / "looks", training.arms, LOOKS_BUDGET):
            yield training.arms, steps
