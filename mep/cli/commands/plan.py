"""`mep plan`: what a run would do, and what it asks for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mep.cli.commands._shared import RECIPE, SET, STORES, open_store, with_stores
from mep.cli.console import err, listing, plain_table, safe, show_json, show_rows, size, tell
from mep.cli.options import collected, option
from mep.cli.people import few, folded
from mep.errors import DataError

if TYPE_CHECKING:
    from mep.runner.forecast import ArmForecast, Forecast
    from mep.runner.plan import Plan, Task

COLOURS = {"reuse": "dim", "fetch": "cyan", "run": "green", "continue": "yellow"}


@dataclass(frozen=True)
class PlanOptions:
    as_json: bool = option("Print JSON.", "--json")
    exit_code: bool = option("Exit with 10 where there is work to do.")


@click.command("plan")
@RECIPE
@SET
@STORES
@collected(PlanOptions)
@click.pass_obj
@click.pass_context
def plan_command(
    ctx: click.Context,
    runs: Path,
    options: PlanOptions,
    recipe: Path,
    overrides: tuple[str, ...],
    stores: tuple[str, ...],
) -> None:
    """Say what a run would reuse, run or continue and why, and what it asks for."""
    from mep.recipe import load_recipe
    from mep.runner.forecast import forecast
    from mep.runner.plan import make_plan
    from mep.runner.run import recipe_mistake
    from mep.runner.shared_stores import SharedStores

    store, loaded = open_store(runs, must_exist=False), with_stores(load_recipe(recipe, overrides), stores)
    plan = make_plan(loaded, store, SharedStores(loaded.machine.stores, tell).plan)
    try:
        ahead = forecast(plan, store)
    except DataError as error:
        raise recipe_mistake(error, loaded) from error
    if options.as_json:
        names = ("artifact_id", "arms", "status", "why")
        rows = [{"stage": task.stage.name} | {name: getattr(task, name) for name in names} for task in plan.tasks]
        show_json({"stages": rows, "lacks": [lack.message for lack in plan.lacks], **asdict(ahead)})
    else:
        _show_plan(plan)
        _show_forecast(ahead)
    if options.exit_code and plan.count("reuse") < len(plan.tasks):
        ctx.exit(10)


def _show_plan(plan: Plan) -> None:
    table = plain_table("stage", "arms", "", "why")
    for tasks in _alike(plan.tasks):
        names = [arm for task in tasks for arm in task.arms]
        arms = "all" if len(tasks) == 1 and len(names) == len(plan.recipe.arms) else few(folded(names))
        status = f"[{COLOURS[tasks[0].status]}]{tasks[0].status}[/]"
        table.add_row(tasks[0].stage.name, safe(arms), status, safe(tasks[0].why))
    listing().print(table)
    for lack in plan.lacks:
        err().print(f"[yellow]{safe(lack.message)}[/]\n  [dim]hint:[/] {safe(lack.hint)}")


def _alike(tasks: Sequence[Task]) -> Iterable[list[Task]]:
    """Tasks of a stage that are the same for the trainings of an arm."""
    from mep.recipe.model import repeat_of

    groups: dict[tuple[object, ...], list[Task]] = {}
    for task in tasks:
        arms = tuple(dict.fromkeys(repeat_of(arm)[0] for arm in task.arms))
        groups.setdefault((task.stage.name, task.status, task.why, arms), []).append(task)
    return groups.values()


def _show_forecast(forecast: Forecast) -> None:
    from mep.runner.detection import sentences

    console = listing()
    rows = _rows(forecast.arms)
    console.print()
    show_rows(rows, list(rows[0]))
    console.print()
    if forecast.untimed:
        cost = f"time not known: {few(forecast.untimed)} did not run here yet"
    else:
        cost = f"about {forecast.time_s or 0:.0f} s and {(forecast.memory_mb or 0) / 1000:.1f} GB of memory, as before"
    disk = f"{size(forecast.disk_bytes)} of disk for latents and samples, beside models and checkpoints"
    console.print(safe(f"asks for {disk}; {cost}"))
    if forecast.fetch_bytes:
        console.print(f"fetches {size(forecast.fetch_bytes)} that others have made")
    arithmetic = (f"{section} in {' or '.join(chosen)}" for section, chosen in forecast.arithmetic.items())
    console.print(safe(f"arithmetic: {', '.join(arithmetic)}"))
    for field, download in forecast.downloads.items():
        n_bytes = "size unknown, the hub does not answer" if download.bytes is None else size(download.bytes)
        what = f"{download.id} (revision {download.revision}, {n_bytes})"
        console.print(safe(f"downloads {what} for {field.partition(':')[0]}"))
    if forecast.detection is not None:
        for sentence in sentences(forecast.detection):
            console.print(safe(sentence))
    for control, why in forecast.skipped.items():
        console.print(safe(f"{control} control: not run, {why}"))
    for note in forecast.notes:
        console.print(f"[yellow]note:[/] {safe(note)}")


def _rows(arms: Sequence[ArmForecast]) -> list[dict[str, object]]:
    """An arm a row; its trainings are one where they are alike."""
    from mep.recipe.model import repeat_of

    groups: dict[tuple[tuple[str, object], ...], list[str]] = {}
    for arm in arms:
        row = _row(arm) | {"arm": repeat_of(arm.arm)[0]}
        groups.setdefault(tuple(row.items()), []).append(arm.arm)
    return [dict(row) | {"arm": few(folded(names))} for row, names in groups.items()]


def _row(arm: ArmForecast) -> dict[str, object]:
    """One arm as a row; where its clusters are not there yet, its counts are upper bounds."""
    row = {name: "-" if value is None else value for name, value in asdict(arm).items() if name != "are_known"}
    if not arm.are_known:
        row |= {name: f"<= {row[name]}" for name in ("prompts", "samples") if row[name] != "-"}
    return row
