"""Carry a recipe to its end, or go on with a run that was stopped."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec

import click

from mep.cli.commands._shared import RECIPE, RUN, SET, STORES, open_store, with_stores
from mep.cli.console import out, report_width, tell
from mep.errors import DataError, Interrupted, UsageError

if TYPE_CHECKING:
    from mep.cli.screen import Screen
    from mep.recipe import Recipe
    from mep.store import Store

P = ParamSpec("P")


class Waiting(click.Command):
    """A command with --wait[=SECONDS]: click would take the word after a bare --wait for the seconds."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, ["--wait=inf" if arg == "--wait" else arg for arg in args])


def waiting(function: Callable[P, None]) -> Callable[P, None]:
    """--wait[=SECONDS] and --no-wait, given to the command as wait_s: None where neither is there."""
    text = "Wait for another process, at most so long. Stages that it makes are waited for anyway."
    wait = click.option("--wait", "wait_s", type=click.FloatRange(0), metavar="[=SECONDS]", help=text)
    no_wait = click.option("--no-wait", "wait_s", flag_value=0.0, type=float, help="Stop (4) instead of waiting.")
    return wait(no_wait(function))


@click.command("run", cls=Waiting)
@RECIPE
@SET
@STORES
@waiting
@click.option("--on", type=click.Choice(["slurm"]), help="Stages that take long become jobs: machine.slurm.")
@click.pass_obj
def run_command(
    runs: Path,
    recipe: Path,
    overrides: tuple[str, ...],
    stores: tuple[str, ...],
    wait_s: float | None,
    on: str | None,
) -> None:
    """Carry a recipe to its end; finished work is reused."""
    from mep.recipe import load_recipe
    from mep.runner.run import run

    loaded = load_recipe(recipe, overrides)
    if on and loaded.machine.slurm is None:
        loaded = load_recipe(recipe, (*overrides, f"machine.{on}={{}}", "machine.at_once=1"))
    store, loaded = open_store(runs, must_exist=False), with_stores(loaded, stores)
    with watched(store, loaded) as screen:
        run_id = run(loaded, store, screen, wait_s=math.inf if wait_s is None else wait_s)
    conclude(store, run_id)


@click.command("resume", cls=Waiting)
@RUN
@waiting
@click.pass_obj
def resume_command(runs: Path, run_id: str | None, wait_s: float | None) -> None:
    """Go on with a run that was stopped; without RUN, the last one that did not finish."""
    from mep.recipe import load_recipe
    from mep.runner.run import resume
    from mep.store.runs import RunRow, find_run, state_of

    store = open_store(runs, must_exist=False)
    if run_id is None:
        last = "SELECT * FROM runs WHERE state != 'done' ORDER BY started_at DESC, run_id DESC LIMIT 1"
        if not (rows := store.db.select(RunRow, last)):
            raise UsageError("every run is done", hint="see them: mep ls")
        row = rows[0]
    else:
        row = find_run(store, run_id)
    if state_of(row, store) == "done":
        raise UsageError(f"{row['run_id']} is done", hint=f"look at it: mep report {row['run_id']}")
    loaded = load_recipe(store.run_folder(row["run_id"]) / "recipe.lock.yaml")
    with watched(store, loaded) as screen:
        resume(row["run_id"], store, screen, wait_s=wait_s)
    conclude(store, row["run_id"])


@click.command("cancel")
@RUN
@click.pass_obj
def cancel_command(runs: Path, run_id: str | None) -> None:
    """End the jobs of Slurm that a run has sent; `mep resume` goes on where they were."""
    from mep.machine import slurm
    from mep.runner.slurm_queue import jobs_of
    from mep.store.runs import find_run

    store = open_store(runs)
    row = find_run(store, run_id)
    jobs = [job["job"] for job in jobs_of(store, row["run_id"]).values()]
    slurm.cancel(jobs)
    tell(f"cancelled: {', '.join(jobs)}" if jobs else f"{row['run_id']} has no job in Slurm")


@contextmanager
def watched(store: Store, recipe: Recipe) -> Iterator[Screen]:
    """The screen while a run goes on; a stop tells how to go on, a data error the line of the recipe it comes from."""
    from mep.cli.screen import Screen
    from mep.report.page.live_pages import LivePages
    from mep.runner.run import recipe_mistake

    screen = Screen()
    try:
        with LivePages(store.root):
            yield screen
    except Interrupted as stop:
        stop.hint = f"go on with: mep{root_option(store)} resume {screen.run_id}"
        raise
    except DataError as error:
        raise recipe_mistake(error, recipe) from error
    finally:
        screen.close()


def conclude(store: Store, run_id: str) -> None:
    """The verdict and its numbers on one screen, and the page in the run's folder."""
    from mep import report as reports

    comparison = reports.comparison(store, [run_id])
    out().print(reports.as_screen(reports.select(comparison, reports.View()), width=report_width()))
    path = store.run_folder(run_id) / "report.html"
    reports.write_html(reports.gather(store, [run_id]), path, comparison)
    tell(f"page: {path}")
    tell(f"next: mep{root_option(store)} report {run_id} --notes")


def root_option(store: Store) -> str:
    """What a command for this store needs before its name."""
    return "" if store.root == Path("runs").absolute() else f" --runs {store.root}"
