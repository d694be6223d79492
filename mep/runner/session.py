"""The state machine: one process carries the tasks of a plan to `done`, and keeps what a stopped one has reached."""

import json
import math
import os
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from mep.errors import Interrupted, MepError, StageFailed
from mep.machine.devices import resolve_device
from mep.machine.memory import peak_memory_mb
from mep.machine.settings import MachineConfig
from mep.machine.work import Work
from mep.runner import environment
from mep.runner.attempt import continued, drop_empty, first_error_first
from mep.runner.callback import RunCallback
from mep.runner.faults import explain
from mep.runner.launch import launch
from mep.runner.plan import Plan, Task, lineage_of
from mep.runner.run_log import LoggedProgress, RunLog
from mep.runner.signals import Signals, listening
from mep.store import Store, now
from mep.store.crash_points import hit
from mep.store.database import Entry, Row
from mep.store.journal import Journal


class Session:
    """One process at work on a run: the first is `mep run`, the others `mep resume`.

    wait_s      seconds to wait for another process that makes a stage which this one needs
    """

    def __init__(
        self, run_id: str, store: Store, machine: MachineConfig, callback: RunCallback, wait_s: float = math.inf
    ):
        self.run_id, self.store, self.machine = run_id, store, machine
        self.callback, self.wait_s = callback, wait_s
        self.journal = Journal(store.db, store.run_folder(run_id))
        self.log = RunLog(store.run_folder(run_id))
        self.uses: list[Entry] = []
        self.run: Row = {}
        self.session: Row = {}

    def begin(self, run: Row, entries: list[Entry], recipe_commit: str) -> None:
        """Say in journal and database that this process works on the run; `entries` are rows that go with it."""
        environment_id, described = environment.rows()
        number = self.journal.sessions() + 1
        at = self.journal.now()
        self.run = run | {"state": "running", "started_at": run.get("started_at", at), "ended_at": None, "error": ""}
        self.run |= {"host": environment.host(), "pid": os.getpid()}
        self.session = {"run_id": self.run_id, "session": number, "state": "running", "started_at": at}
        self.session |= {"ended_at": None, "host": self.run["host"], "pid": self.run["pid"]}
        self.session |= {"environment_id": environment_id, "recipe_commit": recipe_commit, "error": ""}
        said = [self.journal.event("started" if number == 1 else "resumed", f"on {self.run['host']}")]
        if (clock := now()) < at:
            said.append(self.journal.event("clock", f"stands at {clock}, before the last run began"))
        self.journal.write(
            [*described, ("runs", self.run), *entries, *self._left_open(), ("sessions", self.session), *said]
        )

    def _left_open(self) -> list[Entry]:
        """Rows that a killed process could not close."""
        closed: list[Entry] = []
        for row in self.journal.db.query("SELECT * FROM attempts WHERE run_id = ? AND state = 'running'", self.run_id):
            found = self.store.find(*row["artifact_id"].split("/"))
            made = found is not None and found["made_by"] == self.run_id
            row.pop("attempt_id")
            closed.append(("attempts", row | {"state": "done" if made else "interrupted"}))
        for row in self.journal.db.query("SELECT * FROM sessions WHERE run_id = ? AND state = 'running'", self.run_id):
            closed.append(("sessions", row | {"state": "interrupted"}))
        return closed

    def carry_out(self, plan: Plan) -> None:
        """Carry every task to its end."""
        state, error = "failed", ""
        try:
            self.callback.planned(self.run_id, plan)
            with self.log.of_libraries(), listening(self._signalled) as asked:
                for task in plan.tasks:
                    asked.stop_if_any()
                    self._settle(task, asked)
            state = "done"
        except Interrupted:
            state = "interrupted"
            raise
        except MepError as problem:
            error = problem.message
            raise
        finally:
            with first_error_first(state):
                self._end(state, error)

    def _end(self, state: str, error: str) -> None:
        self.log.write(f"{state} {error}")
        end = {"state": state, "ended_at": self.journal.now(), "error": error}
        said = self.journal.event(state, error)
        self._write([("runs", self.run | end), ("sessions", self.session | end), said])

    def _signalled(self, number: int, again: bool) -> None:
        self.callback.signalled(number, again)
        self.log.write(f"signal {number}" + (", again: stopping at once" if again else ""))

    def _settle(self, task: Task, asked: Signals) -> None:
        """Reuse or make the artifact of a task."""
        name, fingerprint = task.stage.name, task.fingerprint
        found = self.store.find(name, fingerprint)
        if found is None:
            lock = self.store.lock(
                name,
                fingerprint,
                wait_s=self.wait_s,
                on_wait=lambda holder: self._waits(task, holder),
                while_waiting=asked.stop_if_any,
            )
            with lock:
                found = self.store.find(name, fingerprint)  # somebody else may have made it meanwhile
                if found is None:
                    self._make(task, asked)
                    return
        self.callback.reused(task)
        # A run that is resumed meets what it made before it was stopped.
        self._use(task, "made" if found["made_by"] == self.run_id else "reused")

    def _waits(self, task: Task, holder: str) -> None:
        self.callback.waiting(task, holder)
        self.log.write(f"waits: {holder} is making it", task)
        self.journal.write([self.journal.event("waits", holder, task.artifact_id)])

    def _use(self, task: Task, how: str) -> None:
        """Note which arms an artifact serves; reused ones wait for company, a transaction has its price."""
        row = {"run_id": self.run_id, "stage": task.stage.name, "artifact_id": task.artifact_id, "how": how}
        self.uses += [("uses", {"run_id": self.run_id, "arm": arm} | row) for arm in task.arms]

    def _write(self, entries: list[Entry], beside: list[Entry] | None = None) -> None:
        """Write rows, with the uses that wait, in one transaction."""
        waiting, self.uses = self.uses, []
        self.journal.write([*waiting, *entries], beside or [])

    def _make(self, task: Task, asked: Signals) -> None:
        hit("before-intent", task.stage.name)
        started = time.monotonic()
        with self._attempt(task, asked) as row:
            work = self._work(task, asked)
            inputs = {
                role: self.store.load(one.stage, one.fingerprint, one.config) for role, one in task.inputs.items()
            }
            if self.machine.accelerate and task.stage.parallel:
                artifact = launch(task, work, self.store)
            else:
                artifact = task.stage.function(task.config, **inputs, work=work)
            artifact.save(work.out)
            facts = artifact.facts()
            hit("after-outputs", task.stage.name)

            def commit(rows: list[Entry]) -> None:
                row.update(state="done", ended_at=self.journal.now(), wall_s=time.monotonic() - started)
                row.update(peak_memory_mb=peak_memory_mb())
                self._use(task, "made")
                self._write([("attempts", row)], rows)

            notes = {"resume": row["resume"], "machine": json.loads(row["machine"])}
            notes |= {"environment": self.session["environment_id"]}
            made = (task.stage, task.fingerprint, task.ingredients, artifact, work.out, self.run_id)
            self.store.publish(*made, notes=notes, commit=commit)
        self.log.write(f"made in {time.monotonic() - started:.1f} s", task)
        self.callback.finished(task, time.monotonic() - started, facts)

    def _work(self, task: Task, asked: Signals) -> Work:
        return Work(
            folder=self.store.work_folder(task.stage.name, task.fingerprint),
            seed=task.seed,
            machine=self.machine,
            progress=LoggedProgress(task, self.callback.started(task), self.log),
            stop_signal=asked.look,
            cache=self.store.root / "cache",
            lineage=lineage_of(task),
            earlier=self.store.relatives(task.stage, task.ingredients) if task.stage.extendable_fields else (),
        )

    @contextmanager
    def _attempt(self, task: Task, asked: Signals) -> Iterator[Row]:
        """The row of an attempt, from `running` to how it ended."""
        row = self._opened(task)
        started = time.monotonic()
        environment.forget_peak_memory()
        self.journal.write([("attempts", row)])
        hit("after-intent", task.stage.name)
        self.log.write(f"starts: {row['why']}" + (f"; resume: {row['resume']}" if row["resume"] else ""), task)
        state, error = "failed", ""
        try:
            yield row
            state = "done"
        except Interrupted:
            state = "interrupted"
            raise
        except MepError as problem:
            error = problem.message
            raise
        except Exception as problem:
            if asked.left and asked.number is not None:  # a library in the middle of an import wraps what it meets
                state = "interrupted"
                raise Interrupted(asked.number) from problem
            error = f"{type(problem).__name__}: {problem}"
            known = explain(problem, self.store.root)
            if known is not None:
                error = known.message
                raise type(known)(f"stage {task.stage.name}: {known.message}", hint=known.hint) from problem
            raise StageFailed(
                f"stage {task.stage.name} failed: {error}", hint=f"the traceback is in {self.log.path}"
            ) from problem
        finally:
            if state != "done":
                with first_error_first(state):
                    self._failed(task, row, state, error, time.monotonic() - started)

    def _failed(self, task: Task, row: Row, state: str, error: str, wall_s: float) -> None:
        self.log.write(f"{state}\n{traceback.format_exc()}" if state == "failed" else state, task)
        row.update(state=state, error=error, ended_at=self.journal.now(), wall_s=wall_s)
        row.update(peak_memory_mb=peak_memory_mb())
        self.journal.write([("attempts", row)])
        drop_empty(self.store.work_folder(task.stage.name, task.fingerprint))

    def _opened(self, task: Task) -> Row:
        traits = environment.traits(self.machine, resolve_device(self.machine.device))
        row: Row = {"run_id": self.run_id, "number": self.journal.next_attempt(), "session": self.session["session"]}
        row |= {"artifact_id": task.artifact_id, "arms": json.dumps(task.arms), "why": task.why or "asked again"}
        row |= {"state": "running", "started_at": self.journal.now(), "ended_at": None, "wall_s": None}
        row |= {"peak_memory_mb": None, "error": "", "machine": json.dumps(traits)}
        return row | {"resume": continued(self.store, task, traits)}
