"""The rows of attempts: what a process tried, with what, how it ended, and how long it took."""

import json
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from mep.errors import Interrupted, MepError, StageFailed
from mep.machine.devices import peak_memory_mb, resolve_device
from mep.machine.settings import MachineConfig
from mep.runner import environment
from mep.runner.attempt import continued, drop_empty, first_error_first
from mep.runner.faults import explain
from mep.runner.plan import Task
from mep.runner.run_log import RunLog
from mep.runner.side_by_side import is_apart
from mep.runner.signals import Signals
from mep.store import Store
from mep.store.crash_points import hit
from mep.store.database import Row
from mep.store.journal import Journal
from mep.store.runs import State


@dataclass(frozen=True)
class Attempts:
    """Those of one session of a run; `session` is its row."""

    store: Store
    machine: MachineConfig
    journal: Journal
    log: RunLog
    session: Row

    @contextmanager
    def at(self, task: Task, signals: Signals) -> Iterator[Row]:
        """The row of an attempt, from `running` to how it ended."""
        attempt = self._opened(task)
        started = time.monotonic()
        environment.forget_peak_memory()
        self.journal.write([("attempts", attempt)])
        hit("after-intent", task.stage.name)
        resume = f"; resume: {attempt['resume']}" if attempt["resume"] else ""
        self.log.write(f"starts: {attempt['why']}{resume}", task)
        state: State = "failed"
        error = ""
        try:
            yield attempt
            state = "done"
        except Interrupted:
            state = "interrupted"
            raise
        except MepError as problem:
            error = problem.message
            raise
        except Exception as problem:
            if signals.left and signals.number is not None:  # a library wraps what it meets in the middle of an import
                state = "interrupted"
                raise Interrupted(signals.number) from problem
            error, explained = self._explained(task, problem)
            raise explained from problem
        finally:
            if state != "done":
                with first_error_first(state):
                    self._failed(task, attempt, state, error, time.monotonic() - started)

    def _explained(self, task: Task, problem: Exception) -> tuple[str, MepError]:
        """What the row says of an unexpected error, and the error that the person sees."""
        if explained := explain(problem, self.store.root):
            message = f"stage {task.stage.name}: {explained.message}"
            return explained.message, type(explained)(message, hint=explained.hint)
        error = f"{type(problem).__name__}: {problem}"
        hint = f"the traceback is in {self.log.path}"
        return error, StageFailed(f"stage {task.stage.name} failed: {error}", hint=hint)

    def _failed(self, task: Task, attempt: Row, state: State, error: str, wall_s: float) -> None:
        self.log.write(f"{state}\n{traceback.format_exc()}" if state == "failed" else state, task)
        self.close(attempt, state, error, wall_s)
        self.journal.write([("attempts", attempt)])
        drop_empty(self.store.work_folder(task.artifact_id))

    def close(self, attempt: Row, state: State, error: str, wall_s: float) -> None:
        attempt.update({"state": state, "error": error, "ended_at": self.journal.now()})
        attempt.update({"wall_s": wall_s, "peak_memory_mb": attempt["peak_memory_mb"] or peak_memory_mb()})

    def _opened(self, task: Task) -> Row:
        self.journal.n_attempts += 1
        device = resolve_device(self.machine.device)
        at_once = self.machine.at_once if is_apart(task.stage, self.machine) else 1
        traits = environment.traits(self.machine, device, at_once)
        return {
            "run_id": self.session["run_id"],
            "number": self.journal.n_attempts,
            "session": self.session["session"],
            "artifact_id": task.artifact_id,
            "arms": json.dumps(task.arms),
            "why": task.why or "asked again",
            "state": "running",
            "started_at": self.journal.now(),
            "ended_at": None,
            "wall_s": None,
            "peak_memory_mb": None,
            "error": "",
            "machine": json.dumps(traits),
            "resume": continued(self.store, task, traits),
        }
