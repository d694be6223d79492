"""What several commands need: options, and the way to a recipe, a store and a screen."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec

import click

from mep.errors import DataError, Interrupted, UsageError

if TYPE_CHECKING:
    from mep.cli.screen import Screen
    from mep.recipe import Recipe
    from mep.store import Store


P = ParamSpec("P")


def _complete_run(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    runs = ctx.find_root().params.get("runs") or Path("runs")
    return sorted((path.parent.name for path in runs.glob(f"{incomplete}*/recipe.lock.yaml")), reverse=True)


RECIPE = click.argument("recipe", type=click.Path(path_type=Path))
RUN = click.argument("run_id", metavar="[RUN]", required=False, shell_complete=_complete_run)
SET = click.option("--set", "overrides", multiple=True, metavar="FIELD=VALUE", help="Override a field; repeatable.")
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


class Waiting(click.Command):
    """A command with --wait[=SECONDS]: click would take the word after a bare --wait for the seconds."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, ["--wait=inf" if arg == "--wait" else arg for arg in args])


def waiting(function: Callable[P, None]) -> Callable[P, None]:
    """--wait[=SECONDS] and --no-wait, given to the command as wait_s: None where neither is there."""
    wait = click.option(
        "--wait",
        "wait_s",
        type=click.FloatRange(0),
        metavar="[=SECONDS]",
        help="Wait for another process, at most so long. Stages that it makes are waited for anyway.",
    )
    no_wait = click.option("--no-wait", "wait_s", flag_value=0.0, type=float, help="Stop (4) instead of waiting.")
    return wait(no_wait(function))


def load(recipe: Path, overrides: tuple[str, ...]) -> "Recipe":
    from mep.recipe import load_recipe

    return load_recipe(recipe, overrides)


def open_store(runs: Path, *, must_exist: bool = False) -> "Store":
    from mep.store import Store

    if must_exist and not (runs / "mep.db").exists() and not any(runs.glob("*/journal.jsonl")):
        raise UsageError(f"there are no runs in {runs}", hint="make one: mep run recipes/quickstart.yaml")
    return Store(runs)


@contextmanager
def watched(store: "Store", recipe: "Recipe") -> Iterator["Screen"]:
    """The screen while a run goes on; a stop tells how to go on, a data error the line of the recipe it comes from."""
    from mep.cli.screen import Screen
    from mep.runner.run import recipe_mistake

    screen = Screen()
    try:
        yield screen
    except Interrupted as stop:
        root = "" if store.root == Path("runs").absolute() else f" --runs {store.root}"
        stop.hint = f"go on with: mep{root} resume {screen.run_id}"
        raise
    except DataError as error:
        raise recipe_mistake(error, recipe) from error
    finally:
        screen.close()


def conclude(store: "Store", run_id: str) -> None:
    """The comparison on stdout and the page in the run's folder."""
    from mep import report as reports
    from mep.cli.console import out, report_width, tell

    comparison = reports.comparison(store, [run_id])
    shown = reports.select(comparison, reports.View())
    out().print(reports.as_rich(shown, width=report_width()))
    path = store.run_folder(run_id) / "report.html"
    reports.write_html(reports.gather(store, [run_id]), path, comparison)
    tell(f"report: {path}")
