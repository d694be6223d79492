"""The state machine: carry every task of a plan to `done`, and keep what a stopped one has reached."""

import hashlib
import json
import os
import platform
import signal
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from importlib import metadata
from pathlib import Path
from types import FrameType
from typing import Any, Protocol, cast

import mep
from mep.artifacts import Artifact
from mep.errors import DataError, Interrupted, MepError, Mistake, RecipeError, StageFailed, UsageError
from mep.files import write_text
from mep.machine import peak_memory_mb
from mep.recipe import Recipe, load_recipe
from mep.recipe.model import MachineConfig
from mep.runner.launch import launch
from mep.runner.lock import lock_of, refuse_unlike_inputs
from mep.runner.plan import Plan, Task, lineage_of, make_plan
from mep.runner.preflight import check
from mep.stage import Progress, Silent, Work
from mep.store import Store, locks, now
from mep.workers import resolve

PACKAGES = ("torch", "diffusers", "transformers", "accelerate", "numpy", "scikit-learn", "scikit-image", "hdbscan")


class Watcher(Protocol):
    """Who hears what the runner does; the console is one."""

    def planned(self, run_id: str, plan: Plan) -> None: ...
    def started(self, task: Task) -> Progress: ...
    def reused(self, task: Task) -> None: ...
    def waiting(self, task: Task, holder: str) -> None: ...
    def finished(self, task: Task, seconds: float, facts: dict[str, Any]) -> None: ...


class Unwatched:
    """Nobody listens."""

    def planned(self, run_id: str, plan: Plan) -> None:
        """Say nothing."""

    def started(self, task: Task) -> Progress:
        return Silent()

    def reused(self, task: Task) -> None:
        """Say nothing."""

    def waiting(self, task: Task, holder: str) -> None:
        """Say nothing."""

    def finished(self, task: Task, seconds: float, facts: dict[str, Any]) -> None:
        """Say nothing."""


def run(recipe: Recipe, store: Store, watcher: Watcher | None = None) -> str:
    """Carry a recipe to its end as a new run; what the store already has is reused. The run's id.

    StageFailed, DataError      the run is marked failed; other errors of the tree as they come
    Interrupted                 a signal came; `resume` goes on
    """
    plan = make_plan(recipe, store)  # before the run exists: a recipe whose input is unreadable leaves no trace
    refuse_unlike_inputs(plan, store)
    check(plan, device_of(recipe.machine))
    run_id = _new_id(recipe, store)
    folder = store.run_folder(run_id)
    write_text(folder / "recipe.yaml", recipe.text)
    write_text(folder / "recipe.lock.yaml", lock_of(plan, store, folder))
    with locks.hold(folder / "lock", wait=False):
        _record_run(run_id, recipe, store)
        _carry_out(run_id, plan, store, watcher or Unwatched())
    write_text(folder / "recipe.lock.yaml", lock_of(plan, store, folder))  # now with the counts of the dataset
    return run_id


def resume(run_id: str, store: Store, watcher: Watcher | None = None) -> str:
    """Go on with a run that was stopped, under its own id and its locked recipe.

    Locked      the run is still going on
    """
    folder = store.run_folder(run_id)
    recipe = load_recipe(folder / "recipe.lock.yaml")
    with locks.hold(folder / "lock", wait=False):
        with store.db.write() as db:
            db.table("runs").update(run_id, {"state": "running", "ended_at": None, "error": ""})
        plan = make_plan(recipe, store)
        refuse_unlike_inputs(plan, store)
        _carry_out(run_id, plan, store, watcher or Unwatched())
    write_text(folder / "recipe.lock.yaml", lock_of(plan, store, folder))
    return run_id


def state_of(row: dict[str, Any], store: Store) -> str:
    """State of a run, derived: one that says `running` while nobody holds its lock was interrupted."""
    running = row["state"] == "running"
    return "interrupted" if running and not locks.is_held(store.run_folder(row["run_id"]) / "lock") else row["state"]


def find_run(store: Store, name: str | None) -> dict[str, Any]:
    """The row of a run by its id or the beginning of it; the last one where no name is given.

    UsageError      no run, no such run, or several
    """
    rows = store.db.query("SELECT * FROM runs ORDER BY started_at, run_id")
    if not rows:
        raise UsageError(f"there are no runs in {store.root}", hint="make one: mep run recipes/quickstart.yaml")
    if name is None:
        return rows[-1]
    found = [row for row in rows if row["run_id"] == name] or [row for row in rows if row["run_id"].startswith(name)]
    if len(found) == 1:
        return found[0]
    shown = ", ".join(row["run_id"] for row in (found or rows)[-5:])
    raise UsageError(
        f"'{name}' is {'ambiguous' if found else 'no run'}", hint=f"{'candidates' if found else 'last runs'}: {shown}"
    )


def _carry_out(run_id: str, plan: Plan, store: Store, watcher: Watcher) -> None:
    watcher.planned(run_id, plan)
    state, error = "failed", ""
    uses: list[dict[str, str]] = []
    try:
        with _signals() as asked:
            for task in plan.tasks:
                how = _settle(run_id, task, plan.recipe.machine, store, watcher, asked)
                row = {"run_id": run_id, "stage": task.stage.name, "artifact_id": task.artifact_id, "how": how}
                uses += [row | {"arm": arm} for arm in task.arms]
                if how == "made":  # reused ones wait for company: every transaction costs several fsyncs
                    _record_uses(uses, store)
        state = "done"
    except Interrupted:
        state = "interrupted"
        raise
    except MepError as problem:
        error = problem.message
        raise
    finally:
        _record_uses(uses, store)
        with store.db.write() as db:
            db.table("runs").update(run_id, {"state": state, "ended_at": now(), "error": error})


def _settle(run_id: str, task: Task, machine: MachineConfig, store: Store, watcher: Watcher, asked: "_Signals") -> str:
    """Reuse or make the artifact of a task: 'reused' or 'made'."""
    name, fingerprint = task.stage.name, task.fingerprint
    if store.has(name, fingerprint):
        watcher.reused(task)
        return "reused"
    with store.lock(name, fingerprint, on_wait=lambda holder: watcher.waiting(task, holder)):
        if store.has(name, fingerprint):  # somebody else made it while this process waited
            watcher.reused(task)
            return "reused"
        asked.stop_if_any()
        started = time.monotonic()
        with _attempt(run_id, task, store):
            artifact = _make(run_id, task, machine, store, watcher, asked)
        watcher.finished(task, time.monotonic() - started, artifact.facts())
    return "made"


def _make(
    run_id: str, task: Task, machine: MachineConfig, store: Store, watcher: Watcher, asked: "_Signals"
) -> Artifact:
    work = Work(
        folder=store.work_folder(task.stage.name, task.fingerprint),
        seed=task.seed,
        device=device_of(machine),
        batch_size=machine.batch_size,
        checkpoint_every_s=machine.checkpoint_every_s,
        progress=watcher.started(task),
        machine=machine,
        cache=store.root / "cache",
        lineage=lineage_of(task),
        stop_signal=lambda: asked.number,
        mapper=machine.engine.map,
        spreader=partial(machine.engine.spread, device=machine.device),
        earlier=store.relatives(task.stage, task.ingredients) if task.stage.grows else (),
        generation_batch_size=machine.generation_batch_size,
        decode_batch_size=machine.decode_batch_size,
    )
    inputs = {role: store.load(one.stage, one.fingerprint, one.config) for role, one in task.inputs.items()}
    if machine.accelerate and task.stage.parallel:
        artifact = launch(task, work, store)
    else:
        artifact = task.stage.function(task.config, **inputs, work=work)
    artifact.save(work.out)
    store.publish(task.stage, task.fingerprint, task.ingredients, artifact, work.out, run_id)
    return store.load(task.stage, task.fingerprint, task.config)


@contextmanager
def _attempt(run_id: str, task: Task, store: Store) -> Iterator[None]:
    """The row of an attempt, from `running` to how it ended."""
    row = {"run_id": run_id, "artifact_id": task.artifact_id, "why": task.why or "asked again", "state": "running"}
    with store.db.write() as db:
        number = cast(int, db.table("attempts").insert(row | {"started_at": now()}).last_pk)
    started = time.monotonic()
    end: dict[str, Any] = {"state": "failed", "error": ""}
    try:
        yield
        end["state"] = "done"
    except Interrupted:
        end["state"] = "interrupted"
        raise
    except MepError as problem:
        end["error"] = problem.message
        _log(store, run_id, task)
        raise
    except Exception as problem:
        end["error"] = f"{type(problem).__name__}: {problem}"
        log = _log(store, run_id, task)
        raise StageFailed(
            f"stage {task.stage.name} failed: {end['error']}", hint=f"the traceback is in {log}"
        ) from problem
    finally:
        end["wall_s"] = time.monotonic() - started
        end["peak_memory_mb"] = peak_memory_mb()
        with store.db.write() as db:
            db.table("attempts").update(number, end)
        if end["state"] != "done":
            _drop_empty(store.work_folder(task.stage.name, task.fingerprint))


def _log(store: Store, run_id: str, task: Task) -> Path:
    path = store.run_folder(run_id) / "log.txt"
    with path.open("a") as file:
        file.write(f"{now()} {task.artifact_id}\n{traceback.format_exc()}\n")
    return path


def _drop_empty(folder: Path) -> None:
    """Remove folders in which a failed attempt left nothing to continue from."""
    for path in sorted((path for path in folder.rglob("*") if path.is_dir()), reverse=True):
        if not any(path.iterdir()):
            path.rmdir()
    if folder.exists() and not any(folder.iterdir()):
        folder.rmdir()


def _record_run(run_id: str, recipe: Recipe, store: Store) -> None:
    row: dict[str, Any] = {"run_id": run_id, "name": recipe.name, "recipe_file": str(recipe.file), "state": "running"}
    row |= {"recipe_sha256": hashlib.sha256(recipe.text.encode()).hexdigest(), "started_at": now()}
    row |= {"host": platform.node(), "pid": os.getpid(), "environment": json.dumps(environment())}
    parameters = []
    for arm, experiment in recipe.arms.items():
        for field, value in _leaves(experiment.model_dump(mode="json"), ""):
            origin = str(recipe.origins[arm].get(field, "default"))
            parameters.append(
                {"run_id": run_id, "arm": arm, "field": field, "value": json.dumps(value)} | {"origin": origin}
            )
    arms = [{"run_id": run_id, "arm": arm, "position": place} for place, arm in enumerate(recipe.arms)]
    with store.db.write() as db:
        db.table("runs").insert(row)
        db.table("arms").insert_all(arms)
        db.table("parameters").insert_all(parameters)


def _record_uses(uses: list[dict[str, str]], store: Store) -> None:
    """Write the waiting rows and forget them."""
    with store.db.write() as db:
        # A resumed run meets its own work again; what it made stays `made`.
        db.table("uses").insert_all(uses, ignore=True)
    uses.clear()


def _leaves(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _leaves(item, f"{name}.{key}" if name else str(key))
    else:
        yield name, value


def environment() -> dict[str, Any]:
    """Versions of what a result may depend on."""
    found = {"mep": mep.__version__, "python": platform.python_version(), "platform": platform.platform()}
    for package in PACKAGES:
        found[package] = metadata.version(package)
    return found


def device_of(machine: MachineConfig) -> str:
    """The device that `auto` stands for here."""
    return resolve(machine.device)


def _new_id(recipe: Recipe, store: Store) -> str:
    """Time and name, so that runs sort and can be typed: 20261122-0745-quickstart."""
    stem = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{recipe.name}"
    for number in range(1, 1000):
        run_id = stem if number == 1 else f"{stem}-{number}"
        try:
            store.run_folder(run_id).mkdir(parents=True)
        except FileExistsError:
            continue
        return run_id
    raise UsageError(f"there are a thousand runs called {stem}")


class _Signals:
    """The first signal is remembered and the work stops at the next safe place; a second one ends the process."""

    number: int | None = None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self.number is not None:
            raise KeyboardInterrupt
        self.number = number

    def stop_if_any(self) -> None:
        if self.number is not None:
            raise Interrupted(self.number)


@contextmanager
def _signals() -> Iterator[_Signals]:
    asked = _Signals()
    try:
        before = {number: signal.signal(number, asked) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not the main thread: whoever called is in charge of signals
        yield asked
        return
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def recipe_mistake(error: DataError, recipe: Recipe) -> RecipeError | DataError:
    """A data error that points at a recipe field, told with the place where that field was written."""
    for arm in recipe.arms:
        place = recipe.place_of(arm, error.field) if error.field else None
        if place and place.line:
            lines = recipe.text.splitlines() if place.file == str(recipe.file) else []
            line = lines[place.line - 1] if place.line <= len(lines) else ""
            return DataError(str(Mistake(error.field, error.message, place, line)), hint=error.hint)
    return error
