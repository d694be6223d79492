"""Attempts at stages: with what each began, how it ended and how long it took, and what one that failed leaves."""

import json
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mep.errors import Interrupted, Locked, MepError, StageFailed
from mep.machine.devices import peak_memory_mb, resolve_device
from mep.machine.files import look_anew
from mep.machine.settings import MachineConfig
from mep.runner import environment
from mep.runner.faults import explain
from mep.runner.plan import Task
from mep.runner.run_log import RunLog
from mep.runner.side_by_side import Way, way_of
from mep.runner.signals import Signals
from mep.store import Store
from mep.store.crash_points import hit
from mep.store.database import Row
from mep.store.journal import Journal
from mep.store.runs import State

LEARNING = {"base", "training"}
FIXED = "machine.deterministic"


@dataclass(frozen=True)
class Attempts:
    """The rows of those of one session of a run; `session` is its row."""

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
        error, ours = "", True
        try:
            yield attempt
            state = "done"
        except Interrupted:
            state = "interrupted"
            raise
        except MepError as problem:
            error, ours = problem.message, not isinstance(problem, Locked)
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
                    if ours:  # else another process is at work there
                        drop_empty(self.store.work_folder(task.artifact_id))

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

    def close(self, attempt: Row, state: State, error: str, wall_s: float) -> None:
        attempt.update({"state": state, "error": error, "ended_at": self.journal.now()})
        attempt.update({"wall_s": wall_s, "peak_memory_mb": attempt["peak_memory_mb"] or peak_memory_mb()})

    def _opened(self, task: Task) -> Row:
        self.journal.n_attempts += 1
        device = resolve_device(self.machine.device)
        at_once = self.machine.at_once if way_of(task.stage, self.machine) is Way.APART else 1
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


def continued(store: Store, task: Task, traits: dict[str, object]) -> str:
    """Whether unfinished work is continued exactly: 'exact' or what differs now; '' if there is none.

    traits      of this machine, from `environment.traits`
    """
    folder = store.work_folder(task.artifact_id)
    look_anew(store.root, folder)  # another host may have begun it
    if not any(path.is_file() for path in folder.rglob("*")):
        return ""
    earlier = store.db.query(
        "SELECT DISTINCT machine FROM attempts WHERE artifact_id = ? AND state != 'done'", task.artifact_id
    )
    changed = {
        f"{name} {before.get(name)} -> {value}"
        for before in (json.loads(row["machine"]) for row in earlier)
        for name, value in traits.items()
        if before.get(name) != value
    }
    if task.stage.name in LEARNING and str(traits["device"]).startswith("cuda") and not traits[FIXED]:
        changed.add(f"{FIXED} is off, and a GPU adds up in another order each time")
    return "not exact: " + "; ".join(sorted(changed)) if changed else "exact"


@contextmanager
def first_error_first(state: str) -> Iterator[None]:
    """An error while a failure is recorded (a full disk, say) must not hide the failure itself.

    The rows then still say `running`. As nobody holds the run's lock, the run counts as interrupted.
    """
    try:
        yield
    except (MepError, OSError):
        if state == "done":
            raise


def drop_empty(folder: Path) -> None:
    """Remove folders in which a failed attempt left nothing to continue from."""
    for path in sorted((path for path in (folder, *folder.rglob("*")) if path.is_dir()), reverse=True):
        if not any(path.iterdir()):
            path.rmdir()
