"""Pages that are written while a run goes on: its own and the list of all runs, as stages end and every minute."""

import logging
import os
import threading
import time
from pathlib import Path
from typing import Self

from mep.report.page.running import EVERY_S
from mep.store import Store

LOOK_S = 2.0
"""Between two looks at whether a stage has ended."""
SHARE = 0.01
"""Of the run's time that writing may take; more is not written before there is room."""
FIRST_S = 0.5
"""Seconds of work that are always allowed, so that short runs have a page too."""


class LivePages:
    """`with LivePages(root)`: a thread with a connection of its own, which ends with the run of this process."""

    def __init__(self, root: Path, every_s: float = EVERY_S):
        self.store, self.every_s = Store(root), every_s
        self.began, self.spent_s, self.last_s, self.n_written = time.monotonic(), 0.0, 0.0, 0
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._watch, name="live pages", daemon=True)

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Say on the page how the run ended, where nothing else does: a finished run gets its whole report."""
        self.over.set()
        self.thread.join(timeout=30)

    def _watch(self) -> None:
        """Write where something is new; a page that cannot be written must not stop a run, and says so in the log."""
        seen, written_at = None, 0.0
        try:
            while not self.over.wait(LOOK_S):
                state = self._state()
                due = state != seen or time.monotonic() - written_at >= self.every_s
                if state and due and self.affordable:
                    seen, written_at = state, time.monotonic()
                    self._write(state[0])
            if (state := self._state()) and state[1] != "done":
                self._write(state[0])
        except Exception:
            logging.getLogger("mep").exception("the live page is no longer written")
        finally:
            self.store.close()

    @property
    def affordable(self) -> bool:
        """Whether writing once more, at the price of the last time, stays within its share of the run."""
        allowed = FIRST_S + SHARE * (time.monotonic() - self.began)
        return self.spent_s + self.last_s <= allowed

    def _state(self) -> tuple[str, str, int] | None:
        """Run, state and how many artifacts it has used; None before this process has begun one."""
        rows = self.store.db.query(
            "SELECT run_id, state, (SELECT count(*) FROM uses WHERE run_id = runs.run_id) AS n FROM runs"
            " WHERE pid = ? ORDER BY started_at DESC LIMIT 1",
            os.getpid(),
        )
        return (rows[0]["run_id"], rows[0]["state"], rows[0]["n"]) if rows else None

    def _write(self, run_id: str) -> None:
        from mep.report.page.index import write_index
        from mep.report.page.running import write_running

        before = time.thread_time()
        write_running(self.store, run_id, self.store.run_folder(run_id) / "report.html")
        write_index(self.store)
        self.last_s = time.thread_time() - before
        self.spent_s += self.last_s
        self.n_written += 1
