"""Side by side: tasks that do not need each other, each by processes of its own with their part of the machine."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mep.errors import Interrupted, Locked, MepError
from mep.machine.settings import MachineConfig
from mep.machine.work import Work
from mep.runner.elsewhere import Outcome, Watch, told
from mep.runner.plan import Task
from mep.runner.slurm_jobs import SlurmJobs, refuse_where_sent
from mep.runner.worker_jobs import MakeTask, MakeTogether
from mep.stage import Stage

if TYPE_CHECKING:
    from mep.runner.session import Session
    from mep.runner.signals import Signals
    from mep.store.database import Row

STAGES = (
    *("calibration", "embedding", "ceiling", "heldout", "references"),
    *("training", "generation", "utility", "metrics", "privacy"),
)
"""Those that are worth a process, which takes some four seconds to begin and may do several."""


WHOLE_GPU = ("training", "generation")
"""Those that have a GPU for themselves."""


class Way(Enum):
    """Where the tasks of a stage are made."""

    HERE = auto()
    """In this process, or in those that `accelerate launch` starts for it."""
    APART = auto()
    """Each in a process of its own."""
    IN_RANKS = auto()
    """Each by several workers of a cluster."""


def way_of(stage: Stage, machine: MachineConfig) -> Way:
    if stage.parallel and machine.trains_together:
        return Way.IN_RANKS if machine.engine.trains_together else Way.HERE
    elsewhere = machine.at_once > 1 or machine.slurm is not None
    return Way.APART if elsewhere and stage.name in STAGES else Way.HERE


def batches(tasks: Iterable[Task], machine: MachineConfig) -> Iterator[list[Task]]:
    """The tasks in their order: those that may be made at the same time together, every other one alone."""
    batch: list[Task] = []
    for task in tasks:
        way = way_of(task.stage, machine)
        needs_batch = any(source is other for source in task.inputs.values() for other in batch)
        if batch and (way is Way.HERE or needs_batch or way is not way_of(batch[0].stage, machine)):
            yield batch
            batch = []
        batch.append(task)
    if batch:
        yield batch


@dataclass(frozen=True)
class _Begun:
    """A task that some process is at.

    held    its lock and its attempt: both end with it
    """

    task: Task
    held: ExitStack
    attempt: Row
    work: Work
    watch: Watch
    started: float


class SideBySide:
    """Tasks that do not need each other, as many at once as the machine says: in processes of this host, on a Ray
    cluster, or each as a job of Slurm."""

    def __init__(self, session: Session, tasks: Sequence[Task], signals: Signals, *, waits: bool = False):
        """waits: whether a task that another run is making is waited for, and made if nothing comes of it"""
        self.session, self.tasks, self.signals, self.waits = session, tasks, signals, waits
        self.begun: list[_Begun] = []
        self.errors: list[MepError] = []
        self.elsewhere: list[Task] = []

    def carry_out(self) -> list[Task]:
        """Make or reuse all of them; those that other runs are making right now are left, and returned.

        When one fails the others that have begun go on to their end, and no further one begins.

        MepError    what the first of them failed with
        """
        with ExitStack() as all_held:
            for position, outcome in self._made(self._beginnings(all_held)):
                self._end(self.begun[position], outcome)
        failures = [error for error in self.errors if not isinstance(error, Interrupted)]
        for error in failures or self.errors:
            raise error
        self.signals.stop_if_any()
        return self.elsewhere

    def _made(self, beginnings: Iterator[dict[str, Any]]) -> Iterator[tuple[int, Outcome]]:
        machine = self.session.machine
        if (first := next(beginnings, None)) is None:
            return iter(())  # all are there: no process has to begin
        beginnings = itertools.chain([first], beginnings)
        if machine.slurm is not None:
            return SlurmJobs(machine.slurm, self._say).run(beginnings, partial(self._look, True))
        n = min(machine.at_once, len(self.tasks))
        if way_of(self.tasks[0].stage, machine) is Way.IN_RANKS:
            found = machine.engine.map_together(
                MakeTogether(), beginnings, n, device=machine.device, look=self._look, say=self._say_of
            )
            return ((number, Outcome(end, 0) if isinstance(end, Exception) else end) for number, end in found)
        return machine.engine.map_side_by_side(
            MakeTask(machine.engine.kind != "local", any(task.stage.name in WHOLE_GPU for task in self.tasks)),
            beginnings,
            n,
            device=machine.device,
            look=self._look,
            say=self._say_of,
        )

    def _beginnings(self, all_held: ExitStack) -> Iterator[dict[str, Any]]:
        """What the processes are told, task by task as they come to it."""
        session = self.session
        for task in self.tasks:
            if self.errors or self.signals.look() is not None:
                return
            if session.reuse(task):
                continue
            held = all_held.enter_context(ExitStack())
            try:
                held.enter_context(session.locked(task, self.signals, wait_s=None if self.waits else 0))
            except Locked:
                if self.waits:
                    raise
                self.elsewhere.append(task)
                continue
            if session.reuse(task) or session.fetched(task, self.signals):
                held.close()  # somebody else has made it, meanwhile or elsewhere
                continue
            work = session.work(task, self.signals)
            if session.machine.slurm is None:
                refuse_where_sent(work.folder)
            attempt = held.enter_context(session.attempts.at(task, self.signals))
            watch = Watch(work, stops=session.machine.slurm is None)
            self.begun.append(_Begun(task, held, attempt, work, watch, time.monotonic()))
            yield told(task, work, session.store)

    def _look(self, is_busy: bool) -> None:
        if not is_busy or self.session.machine.slurm is not None:
            self.signals.stop_if_any()  # nobody would hear of it, or nobody has to: jobs go on
        for begun in self.begun:
            if begun.attempt["state"] == "running":
                begun.watch.look()

    def _say_of(self, text: str, number: int | None = None) -> None:
        """number: of the task that waits; None where it is whichever is not there yet"""
        left = [task for task in self.tasks if self.session.store.find(task.artifact_id) is None]
        if number is not None:
            left = [self.begun[number].task]
        self.session.waits(text, left[0] if len(left) == 1 else None)

    def _say(self, folder: Path, text: str) -> None:
        [begun] = (begun for begun in self.begun if begun.work.folder == folder)
        self.session.log.write(text, begun.task)
        begun.work.progress.update(0, 1, text)

    def _end(self, begun: _Begun, outcome: Outcome) -> None:
        try:
            with begun.held:
                begun.watch.look()
                begun.watch.end()
                begun.attempt["peak_memory_mb"] = outcome.peak_memory_mb
                if outcome.machine is not None:
                    begun.attempt["machine"] = json.dumps(outcome.machine)
                if outcome.error is not None:
                    raise outcome.error
                artifact = begun.task.stage.output.load(begun.work.out, begun.task.config)
                self.session.commit(begun.task, begun.attempt, begun.work, artifact, begun.started)
        except MepError as error:
            self.errors.append(error)
