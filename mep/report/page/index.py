"""`runs/index.html`: all runs with their verdict, thumbnails, state and what their recipes changed."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import mep
from mep.machine.files import write_text
from mep.report.page.cards import Card, read_card, write_card
from mep.report.page.frame import environment, framed
from mep.runner.status import all_runs
from mep.store import Store
from mep.store.database import Row

WITH_THUMBNAILS = 100
"""The newest runs, which are shown with pictures."""


@dataclass(frozen=True)
class Entry:
    """A run of the list; page is where its page lies from the list, empty where it has none."""

    run: Row
    card: Card
    page: str
    seconds: float | None


def write_index(store: Store) -> Path:
    """Write the list of all runs, newest first; where it lies."""
    path = store.root / "index.html"
    entries = [_entry(store, run) for run in reversed(all_runs(store))]
    text = (
        environment()
        .get_template("index.html.j2")
        .render(
            entries=entries,
            with_thumbnails=WITH_THUMBNAILS,
            n_running=sum(entry.run["state"] == "running" for entry in entries),
            version=mep.__version__,
            **framed("index"),
        )
    )
    write_text(path, text)
    return path


def _entry(store: Store, run: Row) -> Entry:
    run_id = run["run_id"]
    card = read_card(store, run_id) or write_card(store, run_id)
    page = f"{run_id}/report.html" if (store.run_folder(run_id) / "report.html").exists() else ""
    started, ended = (run[name] and datetime.fromisoformat(run[name]) for name in ("started_at", "ended_at"))
    return Entry(run, card, page, (ended - started).total_seconds() if ended else None)
