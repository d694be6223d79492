"""One stage of a recipe and what it needs, made without a run: a later run of the recipe reuses all of it."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from mep.errors import MepError, StageFailed
from mep.machine.devices import resolve_device
from mep.machine.settings import MachineConfig
from mep.machine.work import Work
from mep.recipe import Recipe
from mep.runner import environment
from mep.runner.attempts import drop_empty
from mep.runner.callback import RunCallback
from mep.runner.faults import explain, explained
from mep.runner.plan import Plan, Task, inputs_of, lineage_of, make_plan
from mep.runner.run import check
from mep.runner.shared_stores import SharedStores
from mep.runner.signals import Signals, listening
from mep.runner.slurm_jobs import refuse_where_sent
from mep.store import Store, locks
from mep.store.manifest import Origin


def make_stage(recipe: Recipe, store: Store, stage: str, callback: RunCallback | None = None) -> list[Task]:
    """Make a stage for every arm, and all that it reads; the tasks of that stage, whose artifacts are in the store.

    Nothing is noted as a run. Until a run uses the artifacts, `mep gc` counts them as nobody's.

    StageFailed, DataError      as a run would end
    Interrupted                 a signal came; the same call goes on
    """
    heard = callback or RunCallback()
    with explained(store.root), store.in_use(shared=True):
        shared = SharedStores(recipe.machine.stores, heard.warned)
        plan = make_plan(recipe, store, shared.plan)
        wanted = [task for task in plan.tasks if task.stage.name == stage]
        needed = {task.artifact_id for task in _with_inputs(wanted)}
        part = Plan(recipe, [task for task in plan.tasks if task.artifact_id in needed])
        check(part)
        heard.planned(f"{stage} of {recipe.name}", part)
        environment_id, environment_rows = environment.rows()
        store.db.put(environment_rows)
        with listening(heard.signalled) as signals:
            maker = _Maker(store, recipe.machine, heard, signals, environment_id, shared)
            for task in part.tasks:
                signals.stop_if_any()
                maker.settle(task)
        return wanted


def _with_inputs(tasks: Iterable[Task]) -> Iterator[Task]:
    for task in tasks:
        yield task
        yield from _with_inputs(task.inputs.values())


@dataclass(frozen=True)
class _Maker:
    store: Store
    machine: MachineConfig
    heard: RunCallback
    signals: Signals
    environment_id: str
    shared: SharedStores

    def settle(self, task: Task) -> None:
        """Reuse the artifact of a task or make it, whoever else wants it too."""
        store, heard = self.store, self.heard
        if store.has(task.artifact_id):
            heard.reused(task)
            return
        lock = locks.hold(
            store.lock_path(task.artifact_id),
            on_wait=lambda holder: heard.waiting(task, f"{holder} is making it"),
            while_waiting=self.signals.stop_if_any,
        )
        with lock:
            if store.has(task.artifact_id):
                heard.reused(task)
            elif address := self.shared.take(task, store, self.signals.stop_if_any, lambda: heard.started(task)):
                heard.fetched(task, address)
            else:
                self._make(task)

    def _make(self, task: Task) -> None:
        started, folder = time.monotonic(), self.store.work_folder(task.artifact_id)
        refuse_where_sent(folder)
        work = Work(
            folder=folder,
            seed=task.seed,
            machine=self.machine,
            progress=self.heard.started(task),
            stop_signal=self.signals.look,
            cache=self.store.root / "cache",
            lineage=lineage_of(task),
            say=partial(self.heard.waiting, task),
        )
        inputs = inputs_of(task, self.store)
        try:
            artifact = task.stage.function(task.config, **inputs, work=work)
        except MepError:
            raise
        except Exception as error:
            message = f"stage {task.stage.name} failed: {type(error).__name__}: {error}"
            raise explain(error, self.store.root) or StageFailed(message, hint="run it to see its log") from error
        finally:
            drop_empty(folder)
        artifact.save(work.out)
        facts = artifact.facts()  # of a model from its files, which move into the store
        traits = environment.traits(self.machine, resolve_device(self.machine.device))
        origin: Origin = {"made_by": "", "machine": traits, "environment": self.environment_id}
        self.store.publish(task.ingredients, task.fingerprint, artifact, work.out, origin)
        self.heard.finished(task, time.monotonic() - started, facts)
