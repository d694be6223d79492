"""Start a run, go on with one, find one."""

import hashlib
import json
import math
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

from mep.config import leaves, parts
from mep.errors import DataError, Mistake, RecipeError, UsageError
from mep.machine.files import write_text
from mep.recipe import Recipe, load_recipe
from mep.recipe.controls import RUN
from mep.runner import environment
from mep.runner.callback import RunCallback
from mep.runner.faults import explained
from mep.runner.lockfile import locked_of, refuse_unlike_inputs, write_lock
from mep.runner.plan import Plan, make_plan
from mep.runner.session import Session
from mep.runner.shared_stores import SharedStores
from mep.store import Store, locks
from mep.store.database import Entry, Row
from mep.store.runs import RunRow


def run(recipe: Recipe, store: Store, callback: RunCallback | None = None, *, wait_s: float = math.inf) -> str:
    """Carry a recipe to its end as a new run; what the store already has is reused. The run's id.

    wait_s      seconds to wait for another process that is making a stage which this run needs

    StageFailed, DataError      the run is marked failed; other errors of the tree as they come
    Interrupted                 a signal came; `resume` goes on
    Locked                      another process was still making the stage
    """
    with _using(store):
        shared = SharedStores(recipe.machine.stores)
        # before the run exists: a recipe whose input is unreadable leaves no trace
        plan = make_plan(recipe, store, shared.plan)
        refuse_unlike_inputs(plan, store)
        check(plan)
        run_id = _new_id(recipe, store)
        folder = store.run_folder(run_id)
        write_text(folder / "recipe.yaml", recipe.text)
        locked = locked_of(recipe, store)
        write_lock(plan, store, folder, locked)
        with locks.hold(folder / "lock", wait_s=0):
            session = Session(run_id, store, recipe.machine, callback or RunCallback(), wait_s, shared)
            session.begin(*_rows_of(run_id, recipe), _commit_of(recipe))
            session.carry_out(plan)
            write_lock(plan, store, folder, locked)  # now with the counts of the dataset
    return run_id


def resume(run_id: str, store: Store, callback: RunCallback | None = None, *, wait_s: float | None = None) -> str:
    """Go on with a run that was stopped, under its own id and its locked recipe.

    wait_s      as for `run`; where it is given, also how long to wait for a process that is at work on this run

    Locked      the run is still going on
    """
    folder = store.run_folder(run_id)
    recipe = load_recipe(folder / "recipe.lock.yaml")
    with _using(store), locks.hold(folder / "lock", wait_s=wait_s or 0):
        [row] = store.db.select(RunRow, "SELECT * FROM runs WHERE run_id = ?", run_id)
        if row["state"] == "done":  # by the process that was waited for
            return run_id
        shared = SharedStores(recipe.machine.stores)
        plan = make_plan(recipe, store, shared.plan)
        refuse_unlike_inputs(plan, store)
        stages_wait_s = math.inf if wait_s is None else wait_s
        session = Session(run_id, store, recipe.machine, callback or RunCallback(), stages_wait_s, shared)
        session.begin(dict(row), [], _commit_of(recipe), started_at=row["started_at"])
        session.carry_out(plan)
        write_lock(plan, store, folder, recipe.locked or locked_of(recipe, store))
    return run_id


def check(plan: Plan) -> None:
    """What a run needs of the machine, asked before its first stage and not hours later.

    EnvironmentLacks    a model that neither this machine nor the hub has, a package, or a kind of arithmetic
    DataError           a table that is not about the images, a caption that is longer than the text encoder reads
    """
    for lack in plan.lacks:
        raise lack
    missing = [task for task in plan.tasks if not task.is_made]
    machine = plan.recipe.machine
    if missing:
        machine.engine.require()
        for experiment in plan.recipe.arms.values():
            experiment.require()
    if any(task.stage.name == "training" for task in missing):
        machine.require_for_training()
    for task in missing:
        for part in parts(task.config):
            part.require()
        if machine.slurm is None:  # else the job asks, on its node
            task.config.check_machine(machine)
    _refuse_what_does_not_fit(plan)


def _refuse_what_does_not_fit(plan: Plan) -> None:
    """DataError for tables that are not about the images, and captions that are longer than the text encoder reads, as
    far as both are known before a run."""
    from mep.runner.caption_lengths import refuse_long_captions
    from mep.runner.prompts_ahead import sure_prompts
    from mep.runner.tables_ahead import refuse_what_does_not_fit

    for task in plan.tasks:
        if task.stage.name == "prompts" and not task.is_made:
            experiment = plan.recipe.arms[task.arms[0]]
            refuse_what_does_not_fit(experiment)
            refuse_long_captions(experiment, sure_prompts(experiment))


@contextmanager
def _using(store: Store) -> Iterator[None]:
    """While a run goes on, nothing is collected, and errors of the machine come with what to do about them."""
    with explained(store.root), store.in_use(shared=True):
        yield


def _rows_of(run_id: str, recipe: Recipe) -> tuple[Row, list[Entry]]:
    """The row of a new run, and those of its arms and their fields."""
    row = {
        "run_id": run_id,
        "name": recipe.name,
        "recipe_file": str(recipe.file),
        "recipe_sha256": hashlib.sha256(recipe.text.encode()).hexdigest(),
        "environment": json.dumps(environment.summary()),
    }
    entries: list[Entry] = [
        ("arms", {"run_id": run_id, "arm": arm, "position": place}) for place, arm in enumerate(recipe.arms)
    ]
    for arm, experiment in recipe.arms.items():
        for field, value in leaves(experiment.model_dump(mode="json")):
            origin = str(recipe.origins[arm].get(field, "default"))
            parameter = {"run_id": run_id, "arm": arm, "field": field, "value": json.dumps(value), "origin": origin}
            entries.append(("parameters", parameter))
        for control in recipe.controls:  # the same for all arms: what a report says of a control that was not run
            fate = json.dumps(recipe.skipped.get(control, RUN))
            parameter = {"run_id": run_id, "arm": arm, "field": f"controls.{control}", "value": fate}
            entries.append(("parameters", parameter | {"origin": "recipe"}))
    return row, entries


def _commit_of(recipe: Recipe) -> str:
    """Commit of the repository that the recipe lies in, with a plus if files there have changed since."""
    commit, diff = environment.git_state(recipe.file.absolute().parent)
    return commit + "+" * bool(diff)


def _new_id(recipe: Recipe, store: Store) -> str:
    """Time and name, so that runs sort and can be typed: 20261122-0745-quickstart."""
    stem = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{recipe.name}"
    for run_id in (stem, *(f"{stem}-{number}" for number in range(2, 1000))):
        with suppress(FileExistsError):
            store.run_folder(run_id).mkdir(parents=True)
            return run_id
    raise UsageError(f"there are a thousand runs called {stem}")


def recipe_mistake(error: DataError, recipe: Recipe) -> RecipeError | DataError:
    """A data error that points at a recipe field, with the place where that field was written."""
    for arm in recipe.arms:
        place = recipe.place_of(arm, error.field) if error.field else None
        if place and place.line:
            lines = recipe.text.splitlines() if place.file == str(recipe.file) else []
            line = lines[place.line - 1] if place.line <= len(lines) else ""
            return DataError(str(Mistake(error.field, error.message, place, line)), hint=error.hint)
    return error
