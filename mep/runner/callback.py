"""Who hears what a run does: the console, or nobody. The log of the run is in `run_log.py`."""

from collections.abc import Mapping

from mep.machine.work import NullProgress, Progress
from mep.runner.plan import Plan, Task


class RunCallback:
    """Is told of every step of a run, and says nothing; who draws or counts overrides what it needs."""

    def planned(self, run_id: str, plan: Plan) -> None: ...
    def reused(self, task: Task) -> None: ...
    def waiting(self, task: Task, holder: str) -> None: ...
    def finished(self, task: Task, seconds: float, facts: Mapping[str, object]) -> None: ...
    def signalled(self, number: int, again: bool) -> None: ...

    def started(self, task: Task) -> Progress:
        return NullProgress()
