"""Side by side: tasks that do not need each other, each in a process of its own with its part of the machine."""

from __future__ import annotations

import itertools
import json
import pickle
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mep.errors import Interrupted, Locked, MepError
from mep.machine.devices import peak_memory_mb
from mep.machine.jobs import Job
from mep.machine.settings import MachineConfig
from mep.machine.work import Work
from mep.runner.elsewhere import STOP, Outcome, Watch, make, told
from mep.runner.environment import forget_peak_memory, traits
from mep.runner.plan import Task
from mep.runner.slurm_jobs import SlurmJobs, refuse_where_sent
from mep.stage import Stage
from mep.store import locks

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


def is_apart(stage: Stage, machine: MachineConfig) -> bool:
    """Whether the tasks of a stage are made in processes of their own, and so with a part of the cores each."""
    launched = stage.parallel and machine.trains_together
    elsewhere = machine.at_once > 1 or machine.slurm is not None
    return elsewhere and stage.name in STAGES and not launched


def batches(tasks: Iterable[Task], machine: MachineConfig) -> Iterator[list[Task]]:
    """The tasks in their order: those that may be made at the same time together, every other one alone."""
    batch: list[Task] = []
    for task in tasks:
        needs_batch = any(source is other for source in task.inputs.values() for other in batch)
        together = is_apart(task.stage, machine) and not needs_batch
        if batch and not (together and is_apart(batch[0].stage, machine)):
            yield batch
            batch = []
        batch.append(task)
    if batch:
        yield batch


@dataclass(frozen=True)
class MakeTask(Job[dict[str, Any], Outcome]):
    """Makes tasks in a worker process.

    tells_machine   whether what the bits may depend on is known there only
    """

    tells_machine: bool = False
    whole_gpu: bool = True

    def prepare(self, device: str) -> Callable[[dict[str, Any]], Outcome]:
        from mep.machine.libraries import prepare_libraries

        prepare_libraries()

        def compute(spec: dict[str, Any]) -> Outcome:
            forget_peak_memory()
            error = None
            try:
                with alone(spec):
                    artifact, work = make(spec, device)
                    artifact.save(work.out)
            except Exception as problem:  # goes on to the run, which knows what to say of it
                error = _portable(problem)
            here = traits(MachineConfig.model_validate(spec["machine"]), device) if self.tells_machine else None
            return Outcome(error, peak_memory_mb(), here)

        return compute


def alone(spec: dict[str, Any]) -> AbstractContextManager[None]:
    """Wait for a worker that was given up because its host did not answer, and is at the same folder still."""
    folder, root = Path(spec["folder"]), Path(spec["work"]["cache"]).parent

    def stop_if_asked() -> None:
        if (folder / STOP).exists():
            raise Interrupted(int((folder / STOP).read_text()))

    path = root / "locks" / f"{folder.parent.name}-{folder.name}.worker.lock"
    return locks.hold(path, while_waiting=stop_if_asked)


def _portable(error: Exception) -> Exception:
    """An error that survives the way to another process, with its traceback where it is not one of mep's."""
    if isinstance(error, MepError):
        return error
    trace = "".join(traceback.format_exception(error))
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # a library's error may be made from anything
        error = RuntimeError(f"{type(error).__name__}: {error}")
    error.add_note(f"in a process of its own:\n{trace}")
    return error


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

    def __init__(self, session: Session, tasks: Sequence[Task], signals: Signals):
        self.session, self.tasks, self.signals = session, tasks, signals
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
            return SlurmJobs(machine.slurm, self._say).run(beginnings, self._look)
        return machine.engine.map_side_by_side(
            MakeTask(machine.engine.kind != "local", any(task.stage.name in WHOLE_GPU for task in self.tasks)),
            beginnings,
            min(machine.at_once, len(self.tasks)),
            device=machine.device,
            stop=self._look,
            say=self.session.waits,
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
                held.enter_context(session.locked(task, self.signals, wait_s=0))
            except Locked:
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

    def _look(self) -> None:
        if self.session.machine.slurm is not None:
            self.signals.stop_if_any()  # the jobs go on
        for begun in self.begun:
            if begun.attempt["state"] == "running":
                begun.watch.look()

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
