"""The state machine: one process carries the tasks of a plan to `done`, and keeps what a stopped one has reached."""

import json
import math
import os
import socket
import time
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

from mep.artifacts import Artifact
from mep.errors import Interrupted, MepError
from mep.machine.mounts import mount_of
from mep.machine.settings import MachineConfig
from mep.machine.work import Work
from mep.runner import environment
from mep.runner.attempts import Attempts, first_error_first
from mep.runner.callback import RunCallback
from mep.runner.launch import launch
from mep.runner.plan import Plan, Task, inputs_of, lineage_of
from mep.runner.run_log import LoggedProgress, RunLog
from mep.runner.shared_stores import SharedStores
from mep.runner.side_by_side import SideBySide, Way, batches, way_of
from mep.runner.signals import Signals, listening
from mep.runner.slurm_jobs import refuse_where_sent
from mep.store import Store, locks, now
from mep.store.crash_points import hit
from mep.store.database import Entry, Row
from mep.store.journal import Journal
from mep.store.manifest import Origin
from mep.store.runs import State


@dataclass
class Session:
    """One process at work on a run: the first is `mep run`, the others `mep resume`.

    wait_s      seconds to wait for another process that makes a stage which this one needs
    shared      where else an artifact may be
    """

    run_id: str
    store: Store
    machine: MachineConfig
    callback: RunCallback
    wait_s: float = math.inf
    shared: SharedStores = field(default_factory=lambda: SharedStores(()))

    def __post_init__(self) -> None:
        self.shared.warn = self._warn
        folder = self.store.run_folder(self.run_id)
        self.journal, self.log = Journal(self.store.db, folder), RunLog(folder)
        self.unwritten_uses: list[Entry] = []

    def begin(self, run: Row, entries: list[Entry], recipe_commit: str, started_at: str = "") -> None:
        """Note in journal and database that this process works on the run.

        entries         rows that go with that of the run
        recipe_commit   of the repository that the recipe lies in, with a plus if files there have changed since
        started_at      of a run that is resumed
        """
        environment_id, environment_rows = environment.rows()
        number = self.journal.n_sessions + 1
        at = self.journal.now()
        host, pid = socket.gethostname(), os.getpid()
        present = {"state": "running", "ended_at": None, "error": "", "host": host, "pid": pid}
        self.run = run | present | {"started_at": started_at or at}
        self.session: Row = {
            "run_id": self.run_id,
            "session": number,
            "started_at": at,
            "environment_id": environment_id,
            "recipe_commit": recipe_commit,
            **present,
        }
        self.attempts = Attempts(self.store, self.machine, self.journal, self.log, self.session)
        events = [self.journal.event("started" if number == 1 else "resumed", f"on {host}")]
        if (clock := now()) < at:
            events.append(self.journal.event("clock", f"stands at {clock}, before the last run began"))
        self.journal.write(
            [*environment_rows, ("runs", self.run), *entries, *self._left_open(), ("sessions", self.session), *events]
        )

    def _left_open(self) -> list[Entry]:
        """Rows that a killed process could not close."""
        running = "WHERE run_id = ? AND state = 'running'"
        closed: list[Entry] = []
        for attempt in self.store.db.query(f"SELECT * FROM attempts {running}", self.run_id):
            artifact = self.store.find(attempt["artifact_id"])
            made = artifact is not None and artifact["made_by"] == self.run_id
            attempt.pop("attempt_id")
            closed.append(("attempts", {**attempt, "state": "done" if made else "interrupted"}))
        for session in self.store.db.query(f"SELECT * FROM sessions {running}", self.run_id):
            closed.append(("sessions", {**session, "state": "interrupted"}))
        return closed

    def carry_out(self, plan: Plan) -> None:
        """Carry every task to its end."""
        state: State = "failed"
        error = ""
        try:
            self.callback.planned(self.run_id, plan)
            self._warn_of_locks()
            with self.log.of_libraries(), listening(self._signalled) as signals:
                for tasks in batches(plan.tasks, self.machine):
                    if way_of(tasks[0].stage, self.machine) is Way.HERE:
                        self._settle(tasks[0], signals)
                        continue
                    for task in SideBySide(self, tasks, signals).carry_out():
                        SideBySide(self, [task], signals, waits=True).carry_out()
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

    def _end(self, state: State, error: str) -> None:
        self.log.write(f"{state} {error}")
        end = {"state": state, "ended_at": self.journal.now(), "error": error}
        event = self.journal.event(state, error)
        self._write([("runs", {**self.run, **end}), ("sessions", {**self.session, **end}), event])

    def _signalled(self, number: int, again: bool) -> None:
        self.callback.signalled(number, again)
        self.log.write(f"signal {number}" + (", again: stopping at once" if again else ""))

    def _settle(self, task: Task, signals: Signals) -> None:
        """Reuse or make the artifact of a task."""
        signals.stop_if_any()
        if self.reuse(task):
            return
        with self.locked(task, signals):
            is_there = self.reuse(task) or self.fetched(task, signals)  # somebody has made it, meanwhile or elsewhere
            if not is_there:
                self._make(task, signals)

    def reuse(self, task: Task) -> bool:
        """Use the artifact of a task, if the store has it."""
        artifact = self.store.find(task.artifact_id)
        if artifact is None:
            return False
        self.callback.reused(task)
        # A run that is resumed meets what it made before it was stopped.
        self._use(task, "made" if artifact["made_by"] == self.run_id else "reused")
        return True

    def fetched(self, task: Task, signals: Signals) -> bool:
        """Use the artifact of a task from a shared store, if one has it; who calls holds its lock."""
        address = self.shared.take(task, self.store, signals.stop_if_any, lambda: self.callback.started(task))
        if not address:
            return False
        self.callback.fetched(task, address)
        self.log.write(f"from {address}", task)
        self._use(task, "reused")
        self._write([self.journal.event("fetched", f"from {address}", task.artifact_id)])
        return True

    def _warn_of_locks(self) -> None:
        mount = mount_of(self.store.root)
        if mount is not None and (why := mount.locks_of_one_host):
            self._warn(f"{self.store.root} is on {mount.kind}, and {why}: use it from one host at a time")

    def _warn(self, text: str) -> None:
        self.callback.warned(text)
        self.log.write(f"warning: {text}")
        self.journal.write([self.journal.event("warning", text)])

    def locked(self, task: Task, signals: Signals, wait_s: float | None = None) -> AbstractContextManager[None]:
        """The right to make a task; Locked where another process has it for longer than this run waits."""

        def on_wait(holder: str) -> None:
            self.waits(f"{holder} is making it", task)

        return locks.hold(
            self.store.lock_path(task.artifact_id),
            wait_s=self.wait_s if wait_s is None else wait_s,
            on_wait=on_wait,
            while_waiting=signals.stop_if_any,
        )

    def waits(self, why: str, task: Task | None = None) -> None:
        """Say everywhere what a task waits for, or several of them."""
        if task is None:
            self.callback.warned(f"waits: {why}")
        else:
            self.callback.waiting(task, why)
        self.log.write(f"waits: {why}", task)
        self.journal.write([self.journal.event("waits", why, task.artifact_id if task else "")])

    def _use(self, task: Task, how: Literal["made", "reused"]) -> None:
        """Note which arms an artifact serves. The rows wait for others: every transaction has its price."""
        use = {"stage": task.stage.name, "artifact_id": task.artifact_id, "how": how}
        self.unwritten_uses += [("uses", {"run_id": self.run_id, "arm": arm} | use) for arm in task.arms]

    def _write(self, entries: list[Entry], beside: Iterable[Entry] = ()) -> None:
        """Write rows in one transaction, together with the uses that wait."""
        uses, self.unwritten_uses = self.unwritten_uses, []
        self.journal.write([*uses, *entries], beside)

    def _make(self, task: Task, signals: Signals) -> None:
        refuse_where_sent(self.store.work_folder(task.artifact_id))
        hit("before-intent", task.stage.name)
        started = time.monotonic()
        with self.attempts.at(task, signals) as attempt:
            work = self.work(task, signals)
            self.commit(task, attempt, work, self._run_stage(task, work), started)

    def commit(self, task: Task, attempt: Row, work: Work, artifact: Artifact, started: float) -> None:
        """Put what a stage has written into the store, and say so.

        started     of the attempt, by the monotonic clock
        """
        hit("after-outputs", task.stage.name)
        locks.refuse_lost(self.store.lock_path(task.artifact_id))

        def note(artifact_rows: list[Entry]) -> None:
            """Called once the files are in their place: with these rows the artifact counts."""
            self.attempts.close(attempt, "done", "", time.monotonic() - started)
            self._use(task, "made")
            self._write([("attempts", attempt)], artifact_rows)

        origin: Origin = {
            "made_by": self.run_id,
            "resume": attempt["resume"],
            "machine": json.loads(attempt["machine"]),
            "environment": self.session["environment_id"],
        }
        facts = artifact.facts()
        self.store.publish(task.ingredients, task.fingerprint, artifact, work.out, origin, commit=note)
        self.log.write(f"made in {time.monotonic() - started:.1f} s", task)
        self.callback.finished(task, time.monotonic() - started, facts)

    def _run_stage(self, task: Task, work: Work) -> Artifact:
        """What the stage gives, with its files in the folder that is published."""
        if self.machine.accelerate and task.stage.parallel:
            artifact = launch(task, work, self.store)
        else:
            artifact = task.stage.function(task.config, **inputs_of(task, self.store), work=work)
        artifact.save(work.out)
        return artifact

    def work(self, task: Task, signals: Signals) -> Work:
        return Work(
            folder=self.store.work_folder(task.artifact_id),
            seed=task.seed,
            machine=self.machine,
            progress=LoggedProgress(task, self.callback.started(task), self.log),
            stop_signal=locks.guarded(self.store.lock_path(task.artifact_id), signals.look),
            cache=self.store.root / "cache",
            lineage=lineage_of(task),
            say=partial(self.waits, task=task),
            earlier=self.store.relatives(task.stage, task.ingredients) if task.stage.extendable_fields else (),
        )
