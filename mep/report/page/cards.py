"""What `runs/index.html` shows of a run, kept beside the run: a list of five hundred is made from small files."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from mep.imaging.pixels import square
from mep.machine.files import read_json, write_json
from mep.report.data.runs import Report
from mep.report.figures.opening import Opening
from mep.report.figures.pictures import data_uri, pixels_of
from mep.report.text import clipped, plain
from mep.store import Store

NAME = "card.json"
THUMBNAIL_PX, QUALITY, N_THUMBNAILS = 64, 85, 2
MOST_DIFFERENCES = 6


@dataclass(frozen=True)
class Card:
    """
    verdict     its first two sentences; empty before there is one
    differs     `training.steps: 750, was 500`: what the recipe changed since the run before of the same name
    thumbnails  (what it is, data URI): of real images and of each arm
    """

    verdict: list[str] = field(default_factory=list)
    differs: list[str] = field(default_factory=list)
    thumbnails: list[tuple[str, str]] = field(default_factory=list)


def read_card(store: Store, run_id: str) -> Card | None:
    """None where none was written, or by another version of mep."""
    path = store.run_folder(run_id) / NAME
    try:
        data = read_json(path)
        return Card(data["verdict"], data["differs"], [(what, uri) for what, uri in data["thumbnails"]])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_card(store: Store, run_id: str, verdict: Sequence[str] = (), opened: Opening | None = None) -> Card:
    """Keep what the list of runs shows of this one."""
    card = Card(list(verdict[:2]), recipe_differences(store, run_id), _thumbnails(opened) if opened else [])
    folder: Path = store.run_folder(run_id)
    if folder.exists():
        write_json(folder / NAME, asdict(card))
    return card


def card_of(report: Report, verdict: Sequence[str], opened: Opening | None) -> None:
    """The card of the only run of a report; the page of several has none."""
    if len(report.runs) == 1:
        write_card(report.store, report.runs[0].run_id, verdict, opened)


def _thumbnails(opened: Opening) -> list[tuple[str, str]]:
    found = []
    for what, arms, pictures in opened.rows:
        name = ", ".join(map(plain, arms)) or what
        for picture in [picture for picture in pictures if picture.uri][:N_THUMBNAILS]:
            pixels = np.asarray(square(pixels_of(picture), THUMBNAIL_PX))
            found.append((f"{name}: {picture.alt}", data_uri(pixels, QUALITY)))
    return found


def recipe_differences(store: Store, run_id: str) -> list[str]:
    """Fields of the recipe that the run before of the same name had otherwise, in words."""
    before = store.db.query(
        "SELECT run_id FROM runs WHERE name = (SELECT name FROM runs WHERE run_id = ?) AND started_at <"
        " (SELECT started_at FROM runs WHERE run_id = ?) ORDER BY started_at DESC LIMIT 1",
        *(run_id, run_id),
    )
    if not before:
        return []
    ours, theirs = (_parameters(store, name) for name in (run_id, before[0]["run_id"]))
    told: dict[str, list[str]] = {}
    for key in dict.fromkeys([*ours, *theirs]):
        if ours.get(key) != theirs.get(key):
            told.setdefault(f"{key[1]}: {_short(ours.get(key))}, was {_short(theirs.get(key))}", []).append(key[0])
    arms = {arm for arm, _ in ours}
    lines = [text if set(of) >= arms else f"{', '.join(of)}: {text}" for text, of in told.items()]
    more = len(lines) - MOST_DIFFERENCES
    return [*lines[:MOST_DIFFERENCES], *([f"and {more} more"] if more > 0 else [])]


def _parameters(store: Store, run_id: str) -> dict[tuple[str, str], str]:
    rows = store.db.query("SELECT arm, field, value FROM parameters WHERE run_id = ?", run_id)
    return {(row["arm"], row["field"]): row["value"] for row in rows}


def _short(value: str | None) -> str:
    return "not there" if value is None else clipped(plain(json.loads(value)), 40)
