"""The log of a run, `log.txt`: written while it runs, and read again, live if wanted."""

import logging
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mep.errors import UsageError
from mep.machine.work import Progress
from mep.runner.plan import Task
from mep.stages import stages
from mep.store import Store, now
from mep.store.crash_points import hit
from mep.store.runs import RunRow, state_of

NAME = "log.txt"
PROGRESS_EVERY_S = 10.0
"""A long stage writes its progress this often."""
POLL_S = 0.5


class RunLog(logging.Handler):
    """Each event is a line, `time stage[arms] text`; if the text has more lines, these begin with a space."""

    def __init__(self, folder: Path):
        super().__init__(logging.WARNING)
        self.path = folder / NAME

    def write(self, text: str, task: Task | None = None) -> None:
        name = f"{task.stage.name}[{','.join(task.arms)}]" if task else "run"
        with self.path.open("a", encoding="utf-8") as file:
            file.write(f"{now()} {name} " + text.rstrip().replace("\n", "\n  ") + "\n")

    @contextmanager
    def of_libraries(self) -> Iterator[None]:
        """Keep the warnings of libraries, too."""
        logging.getLogger().addHandler(self)
        try:
            yield
        finally:
            logging.getLogger().removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        self.write(f"{record.levelname.lower()}: {record.name}: {record.getMessage()}")


class LoggedProgress:
    """Passes the progress of a stage on, and writes it to the log now and then."""

    def __init__(self, task: Task, progress: Progress, log: RunLog):
        self.task, self.progress, self.log = task, progress, log
        self.next_at = time.monotonic() + PROGRESS_EVERY_S

    def update(self, done: int, total: int, note: str = "") -> None:
        self.progress.update(done, total, note)
        if time.monotonic() >= self.next_at:
            self.next_at = time.monotonic() + PROGRESS_EVERY_S
            self.log.write(f"{done}/{total} {note}", self.task)
        hit("mid-work", self.task.stage.name)


def lines_of(store: Store, run_id: str, stage: str | None, *, follow: bool = False) -> Iterator[str]:
    """The lines of a run's log, or those of one stage.

    follow          wait for new lines until the run ends

    UsageError      there is no such stage, or no log
    """
    if stage is not None and stage not in stages():
        raise UsageError(f"'{stage}' is no stage", hint=f"stages: {', '.join(stages())}")
    path = store.run_folder(run_id) / NAME
    if not path.exists():
        raise UsageError(f"{run_id} has no log", hint="it was stopped before it began")
    wanted = re.compile(rf"\S+ {stage}\[" if stage else "")
    shown = False
    with path.open(encoding="utf-8") as file:
        while True:
            # asked first, so that the last lines are read after it
            rows = store.db.select(RunRow, "SELECT * FROM runs WHERE run_id = ?", run_id) if follow else []
            is_running = any(state_of(row, store) == "running" for row in rows)
            for line in file:
                if not line.startswith(" "):
                    shown = bool(wanted.match(line))
                if shown:
                    yield line.rstrip("\n")
            if not is_running:
                return
            time.sleep(POLL_S)
