"""What workers do with a task: one makes it alone, or the ranks of a cluster make it together."""

import os
import pickle
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mep.errors import Interrupted, MepError
from mep.machine.devices import peak_memory_mb
from mep.machine.jobs import Job
from mep.machine.settings import MachineConfig
from mep.runner.elsewhere import STOP, Outcome, make
from mep.runner.environment import forget_peak_memory, traits
from mep.runner.process import leave_group
from mep.store import locks


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


@dataclass(frozen=True)
class MakeTogether(Job[dict[str, Any], Outcome]):
    """Makes a task in every rank; the first writes its files."""

    def prepare(self, device: str) -> Callable[[dict[str, Any]], Outcome]:
        def compute(spec: dict[str, Any]) -> Outcome:
            is_first = os.environ["RANK"] == "0"
            forget_peak_memory()
            try:
                with alone(spec) if is_first else nullcontext():
                    make(spec, device, says=is_first)
            finally:
                leave_group()
            here = traits(MachineConfig.model_validate(spec["machine"]), device)
            return Outcome(None, peak_memory_mb(), here)

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
