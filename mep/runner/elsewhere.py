"""A task that another process makes: what that process is told, how far it says it is, and how it is stopped.

All of it lies in the work folder of the task. The process stops at the next place to go on from once a file `stop`
appears there.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mep.artifacts import Artifact
from mep.machine.files import write_text
from mep.machine.settings import ONE_PROCESS, MachineConfig
from mep.machine.work import NullProgress, Work
from mep.runner.plan import Task
from mep.stages import stages
from mep.store import Store

STOP, PROGRESS = "stop", "progress.json"


def told(task: Task, work: Work, store: Store) -> dict[str, Any]:
    """What another process needs to make a task, as JSON has it; who starts it knows its device better."""
    return {
        "stage": task.stage.name,
        "folder": str(work.folder),
        "config": task.config.model_dump(mode="json"),
        "inputs": {
            role: {
                "stage": source.stage.name,
                "folder": str(store.folder(source.artifact_id)),
                "config": source.config.model_dump(mode="json"),
            }
            for role, source in task.inputs.items()
        },
        "work": {
            "seed": work.seed,
            "cache": str(work.cache),
            "lineage": work.lineage,
            "earlier": [str(folder) for folder in work.earlier],
        },
        "machine": work.machine.model_dump(mode="json", exclude={"engine", "device"}),
        "device": work.machine.device,
    }


def make(spec: dict[str, Any], device: str, *, says: bool = True) -> tuple[Artifact, Work]:
    """Make the task in this process, in its work folder; what the stage gives is not saved yet.

    says    whether this process tells how far it is

    Interrupted     a file asked for a stop
    """
    folder, stage = Path(spec["folder"]), stages()[spec["stage"]]
    machine = MachineConfig.model_validate(spec["machine"] | {"engine": ONE_PROCESS.engine, "device": device})
    stop = folder / STOP
    work = Work(
        folder=folder,
        seed=spec["work"]["seed"],
        machine=machine,
        progress=_ToFile(folder / PROGRESS) if says else NullProgress(),
        stop_signal=lambda: int(stop.read_text()) if stop.exists() else None,
        cache=Path(spec["work"]["cache"]),
        lineage=spec["work"]["lineage"],
        earlier=[Path(path) for path in spec["work"]["earlier"]],
    )
    inputs = {}
    for role, source in spec["inputs"].items():
        maker = stages()[source["stage"]]
        inputs[role] = maker.output.load(Path(source["folder"]), maker.config.model_validate(source["config"]))
    return stage.function(stage.config.model_validate(spec["config"]), **inputs, work=work), work


class _ToFile:
    """Progress in a file that the watching process reads."""

    def __init__(self, path: Path):
        self.path = path

    def update(self, done: int, total: int, note: str = "") -> None:
        temporary = self.path.with_suffix(".tmp")
        temporary.write_text(json.dumps([done, total, note]))
        temporary.replace(self.path)


@dataclass(frozen=True)
class Outcome:
    """How a process ended with a task; its files are in the work folder.

    machine     what the bits may depend on, where that is known of the process only
    """

    error: Exception | None
    peak_memory_mb: float
    machine: Mapping[str, Any] | None = None


class Watch:
    """Passes the progress of a task on, and a signal down to those that make it unless they outlive the run."""

    def __init__(self, work: Work, *, stops: bool = True):
        self.work, self.seen, self.stops = work, 0, stops
        work.folder.mkdir(parents=True, exist_ok=True)
        for name in (STOP, PROGRESS):
            (work.folder / name).unlink(missing_ok=True)

    def look(self) -> None:
        folder = self.work.folder
        number = self.work.stop_signal()
        if self.stops and number is not None and not (folder / STOP).exists():
            write_text(folder / STOP, str(number))
        path = folder / PROGRESS
        if path.exists() and path.stat().st_mtime_ns != self.seen:
            self.seen = path.stat().st_mtime_ns
            self.work.progress.update(*json.loads(path.read_text()))

    def end(self) -> None:
        """Leave nothing behind but unfinished work."""
        for name in (STOP, PROGRESS):
            (self.work.folder / name).unlink(missing_ok=True)
