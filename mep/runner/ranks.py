"""A stage by ranks: workers of a cluster that train one model together, where the engine places them."""

import os
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from mep.artifacts import Artifact
from mep.machine.devices import peak_memory_mb
from mep.machine.jobs import Job
from mep.machine.settings import MachineConfig
from mep.machine.work import Work
from mep.runner.elsewhere import Outcome, Watch, make, told
from mep.runner.environment import forget_peak_memory, traits
from mep.runner.plan import Task
from mep.runner.process import leave_group
from mep.runner.side_by_side import alone
from mep.store import Store


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


def make_in_ranks(task: Task, work: Work, store: Store) -> tuple[Artifact, Outcome]:
    """The artifact of a task, and how the first rank ended; a stop is heard where the training can go on.

    EnvironmentLacks    there is no room for the ranks, or they are lost again and again
    """
    watch = Watch(work)
    try:
        outcome = work.machine.engine.compute_together(
            MakeTogether(),
            told(task, work, store),
            device=work.machine.device,
            stop=work.stop_if_asked,
            look=watch.look,
            say=work.say,
        )
        watch.look()
    finally:
        watch.end()
    return task.stage.output.load(work.out, task.config), outcome
