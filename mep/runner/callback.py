"""Who hears what a run does: the console, or nobody. The log of the run is in `run_log.py`."""

from collections.abc import Mapping
from typing import Protocol

from mep.machine.work import NullProgress, Progress
from mep.runner.plan import Plan, Task


class RunCallback(Protocol):
    """Is told of every step of a run."""

    def planned(self, run_id: str, plan: Plan) -> None: ...
    def started(self, task: Task) -> Progress: ...
    def reused(self, task: Task) -> None: ...
    def waiting(self, task: Task, holder: str) -> None: ...
    def finished(self, task: Task, seconds: float, facts: Mapping[str, object]) -> None: ...
    def signalled(self, number: int, again: bool) -> None: ...


class NullCallback:
    """Says nothing."""

    def planned(self, run_id: str, plan: Plan) -> None:
        """Say nothing."""

    def started(self, task: Task) -> Progress:
        return NullProgress()

    def reused(self, task: Task) -> None:
        """Say nothing."""

    def waiting(self, task: Task, holder: str) -> None:
        """Say nothing."""

    def finished(self, task: Task, seconds: float, facts: Mapping[str, object]) -> None:
        """Say nothing."""

    def signalled(self, number: int, again: bool) -> None:
        """Say nothing."""
