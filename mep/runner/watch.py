"""Who hears what the runner does: the console, the run's log, or nobody."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from mep.machine.work import Progress, Silent
from mep.runner.plan import Plan, Task
from mep.store import now
from mep.store.crash_points import reach

LOG = "log.txt"
LOG_EVERY_S = 10.0
"""Lines of a long stage in the log come this often."""


class Watcher(Protocol):
    """Hears what the runner does."""

    def planned(self, run_id: str, plan: Plan) -> None: ...
    def started(self, task: Task) -> Progress: ...
    def reused(self, task: Task) -> None: ...
    def waiting(self, task: Task, holder: str) -> None: ...
    def finished(self, task: Task, seconds: float, facts: dict[str, Any]) -> None: ...
    def signalled(self, number: int, again: bool) -> None: ...


class Unwatched:
    """Nobody listens."""

    def planned(self, run_id: str, plan: Plan) -> None:
        """Say nothing."""

    def started(self, task: Task) -> Progress:
        return Silent()

    def reused(self, task: Task) -> None:
        """Say nothing."""

    def waiting(self, task: Task, holder: str) -> None:
        """Say nothing."""

    def finished(self, task: Task, seconds: float, facts: dict[str, Any]) -> None:
        """Say nothing."""

    def signalled(self, number: int, again: bool) -> None:
        """Say nothing."""


class Log:
    """The run's log: one line an event, `time stage[arms] text`; further lines of a text begin with a space."""

    def __init__(self, folder: Path):
        self.path = folder / LOG

    def write(self, text: str, task: Task | None = None) -> None:
        name = f"{task.stage.name}[{','.join(task.arms)}]" if task else "run"
        with self.path.open("a", encoding="utf-8") as file:
            file.write(f"{now()} {name} " + text.rstrip().replace("\n", "\n  ") + "\n")

    @contextmanager
    def of_libraries(self) -> Iterator[None]:
        """Keep what libraries warn of, too."""
        handler = _ToLog(self)
        logging.getLogger().addHandler(handler)
        try:
            yield
        finally:
            logging.getLogger().removeHandler(handler)


class _ToLog(logging.Handler):
    def __init__(self, log: Log):
        super().__init__(logging.WARNING)
        self.log = log

    def emit(self, record: logging.LogRecord) -> None:
        self.log.write(f"{record.levelname.lower()}: {record.name}: {record.getMessage()}")


class Noted:
    """Progress of a stage that is passed on, and now and then written to the log."""

    def __init__(self, task: Task, progress: Progress, log: Log):
        self.task, self.progress, self.log = task, progress, log
        self.next_at = time.monotonic() + LOG_EVERY_S

    def update(self, done: int, total: int, note: str = "") -> None:
        self.progress.update(done, total, note)
        if time.monotonic() >= self.next_at:
            self.next_at = time.monotonic() + LOG_EVERY_S
            self.log.write(f"{done}/{total} {note}", self.task)
        reach("mid-work", self.task.stage.name)
