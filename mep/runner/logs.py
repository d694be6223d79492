"""Reading the log of a run, while it grows where that is wanted."""

import re
import time
from collections.abc import Iterator

from mep.errors import UsageError
from mep.runner.run import state_of
from mep.runner.watch import LOG
from mep.stages import stages
from mep.store import Store

POLL_S = 0.5


def lines_of(store: Store, run_id: str, stage: str | None, *, follow: bool = False) -> Iterator[str]:
    """Lines of a run's log; with a stage, its own and their further lines.

    UsageError      there is no such stage, or no log
    """
    if stage is not None and stage not in stages():
        raise UsageError(f"'{stage}' is no stage", hint=f"stages: {', '.join(stages())}")
    path = store.run_folder(run_id) / LOG
    if not path.exists():
        raise UsageError(f"{run_id} has no log", hint="it was stopped before it began")
    wanted = re.compile(rf"\S+ {stage}\[" if stage else "")
    shown = False
    with path.open(encoding="utf-8") as file:
        while True:
            going_on = follow and _is_running(store, run_id)  # asked first, so that its last lines are read after
            for line in file:
                if not line.startswith(" "):
                    shown = bool(wanted.match(line))
                if shown:
                    yield line.rstrip("\n")
            if not going_on:
                return
            time.sleep(POLL_S)


def _is_running(store: Store, run_id: str) -> bool:
    rows = store.db.query("SELECT * FROM runs WHERE run_id = ?", run_id)
    return bool(rows) and state_of(rows[0], store) == "running"
