"""The commands: parse, delegate, exit code."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import mep
from mep.errors import DataError, Interrupted, MepError, UsageError

if TYPE_CHECKING:
    from mep.recipe import Recipe
    from mep.store import Store

RECIPE = click.argument("recipe", type=click.Path(path_type=Path))
SET = click.option("--set", "overrides", multiple=True, metavar="FIELD=VALUE", help="Override a field; repeatable.")
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


class Commands(click.Group):
    """Commands in the order in which a newcomer meets them, and mep's own errors told plainly."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except MepError as error:
            from mep.console import show_error

            show_error(error)
            ctx.exit(error.exit_code)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(mep.__version__, prog_name="mep")
@click.option("--runs", type=click.Path(path_type=Path), envvar="MEP_RUNS", default="runs", show_default=True)
@click.pass_context
def main(ctx: click.Context, runs: Path) -> None:
    """One YAML recipe, one finished experiment: do synthetic medical images help, and which captions make better ones?

    --runs, or the variable MEP_RUNS, names the folder that keeps everything.
    """
    ctx.obj = runs


@main.command()
@RECIPE
@SET
@click.pass_obj
def run(runs: Path, recipe: Path, overrides: tuple[str, ...]) -> None:
    """Carry a recipe to its end; finished work is reused."""
    from mep.runner.run import run as run_recipe

    loaded = _load(recipe, overrides)
    store = _store(runs)
    with _watched(store) as screen, _blamed(loaded):
        run_id = run_recipe(loaded, store, screen)
    _conclude(store, run_id)


@main.command()
@click.argument("run_id", required=False)
@click.pass_obj
def resume(runs: Path, run_id: str | None) -> None:
    """Go on with a run that was stopped; without RUN_ID, the last one that did not finish."""
    from mep.recipe import load_recipe
    from mep.runner.run import find_run, state_of
    from mep.runner.run import resume as resume_run

    store = _store(runs)
    if run_id is None:
        rows = store.db.query("SELECT * FROM runs WHERE state != 'done' ORDER BY started_at DESC, run_id DESC LIMIT 1")
        if not rows:
            raise UsageError("every run is done", hint="see them: mep ls")
        row = rows[0]
    else:
        row = find_run(store, run_id)
    if state_of(row, store) == "done":
        raise UsageError(f"{row['run_id']} is done", hint=f"look at it: mep report {row['run_id']}")
    loaded = load_recipe(store.run_folder(row["run_id"]) / "recipe.lock.yaml")
    with _watched(store) as screen, _blamed(loaded):
        resume_run(row["run_id"], store, screen)
    _conclude(store, row["run_id"])


@main.command()
@RECIPE
@SET
def validate(recipe: Path, overrides: tuple[str, ...]) -> None:
    """Check a recipe without running anything; every mistake at once."""
    from mep.console import show

    loaded = _load(recipe, overrides)
    show(f"{recipe}: ok, {len(loaded.arms)} arm{'s' * (len(loaded.arms) > 1)}: {', '.join(loaded.arms)}")


@main.command()
@RECIPE
@SET
@JSON
@click.option("--exit-code", is_flag=True, help="Exit with 10 where there is work to do.")
@click.pass_obj
@click.pass_context
def plan(
    ctx: click.Context, runs: Path, recipe: Path, overrides: tuple[str, ...], as_json: bool, exit_code: bool
) -> None:
    """Say what a run would reuse, run or continue, and why."""
    from mep.console import show, show_plan
    from mep.runner.plan import make_plan

    found = make_plan(_load(recipe, overrides), _store(runs))
    if as_json:
        names = ("artifact_id", "arms", "status", "why")
        rows = [{name: getattr(task, name) for name in names} for task in found.tasks]
        show(json.dumps([{"stage": row["artifact_id"].split("/")[0]} | row for row in rows], indent=1))
    else:
        show_plan(found)
    if exit_code and found.count("reuse") < len(found.tasks):
        ctx.exit(10)


@main.command()
@click.argument("run_id", required=False)
@JSON
@click.pass_obj
def status(runs: Path, run_id: str | None, as_json: bool) -> None:
    """Say how far a run is; without RUN_ID, the last one."""
    from mep.console import show, show_rows
    from mep.runner.status import status_of

    found = status_of(_store(runs, must_exist=True), run_id)
    if as_json:
        show(json.dumps(found, indent=1))
        return
    show(f"{found['run_id']}  {found['state']}" + (f"  {found['error']}" if found["error"] else ""))
    show_rows(found["stages"], ["stage", "arms", "state", "wall_s", "peak_memory_mb", "facts"])


@main.command("ls")
@JSON
@click.pass_obj
def list_runs(runs: Path, as_json: bool) -> None:
    """List the runs, oldest first."""
    from mep.console import show, show_rows
    from mep.runner.status import all_runs

    rows = all_runs(_store(runs, must_exist=True))
    if as_json:
        show(json.dumps(rows, indent=1))
    else:
        show_rows(rows, ["run_id", "state", "started_at", "arms", "recipe_file"])


@main.command()
@click.argument("run_id", required=False)
@JSON
@click.pass_obj
def show(runs: Path, run_id: str | None, as_json: bool) -> None:
    """Show a run: where it came from, every stage's artifact, every field and its origin."""
    from mep.console import show as show_text
    from mep.console import show_rows
    from mep.runner.status import details_of

    found = details_of(_store(runs, must_exist=True), run_id)
    if as_json:
        show_text(json.dumps(found, indent=1))
        return
    for name in ("run_id", "state", "recipe_file", "started_at", "ended_at", "host"):
        show_text(f"{name:<12} {found[name]}")
    for title, columns in (
        ("artifacts", ["arm", "stage", "how", "folder"]),
        ("parameters", ["arm", "field", "value", "origin"]),
    ):
        show_text("")
        show_rows(found[title], columns)


@main.command()
@click.argument("run_id", required=False)
@click.option(
    "--format", "form", type=click.Choice(["table", "md", "json", "html"]), default="table", show_default=True
)
@click.option(
    "--output", type=click.Path(path_type=Path), help="File for html. Default: report.html in the run's folder."
)
@click.pass_obj
def report(runs: Path, run_id: str | None, form: str, output: Path | None) -> None:
    """Compare the arms of a run; without RUN_ID, of the last one."""
    from mep.runner.run import find_run

    store = _store(runs, must_exist=True)
    _report(store, find_run(store, run_id)["run_id"], form, output)


@main.command()
@click.option(
    "--output", type=click.Path(path_type=Path), default="schemas", show_default=True, help="Folder to write to."
)
def schema(output: Path) -> None:
    """Write the JSON Schema of recipes and the SQL of the provenance."""
    from mep.console import tell
    from mep.files import write_text
    from mep.recipe import schema_text
    from mep.store.database import migrations

    write_text(output / "recipe.schema.json", schema_text())
    write_text(output / "mep.sql", "\n".join(migrations()))
    tell(f"wrote {output / 'recipe.schema.json'} and {output / 'mep.sql'}")


@main.command()
@JSON
def methods(as_json: bool) -> None:
    """List every method that a recipe can name, by folder."""
    from mep.console import show, show_rows
    from mep.registry import families, members

    rows = [
        {"folder": folder, "kind": kind, "does": (member.__doc__ or "").strip().split("\n")[0]}
        for folder, family in families().items()
        for kind, member in members(family).items()
    ]
    if as_json:
        show(json.dumps(rows, indent=1))
    else:
        show_rows(rows, ["folder", "kind", "does"])


def _load(recipe: Path, overrides: tuple[str, ...]) -> "Recipe":
    from mep.recipe import load_recipe

    return load_recipe(recipe, overrides)


def _store(runs: Path, *, must_exist: bool = False) -> "Store":
    from mep.store import Store

    if must_exist and not (runs / "mep.db").exists():
        raise UsageError(f"there are no runs in {runs}", hint="make one: mep run recipes/quickstart.yaml")
    return Store(runs)


@contextmanager
def _watched(store: "Store") -> Iterator[Any]:
    """The screen while a run goes on; a stop tells how to go on."""
    from mep.console import Screen

    screen = Screen()
    try:
        yield screen
    except Interrupted as stop:
        root = "" if store.root == Path("runs").absolute() else f" --runs {store.root}"
        stop.hint = f"go on with: mep{root} resume {screen.run_id}"
        raise
    finally:
        screen.close()


@contextmanager
def _blamed(recipe: "Recipe") -> Iterator[None]:
    """Tell a data error with the line of the recipe that it comes from."""
    from mep.runner.run import recipe_mistake

    try:
        yield
    except DataError as error:
        raise recipe_mistake(error, recipe) from error


def _conclude(store: "Store", run_id: str) -> None:
    """The comparison on stdout and the page in the run's folder."""
    _report(store, run_id, "table", None)
    _report(store, run_id, "html", None)


def _report(store: "Store", run_id: str, form: str, output: Path | None) -> None:
    from mep import report as reports
    from mep.console import out, show, tell

    found = reports.gather(store, run_id)
    writers: dict[str, Callable[[Any], str]] = {"md": reports.as_markdown, "json": reports.as_json}
    if form == "html":
        path = output or store.run_folder(run_id) / "report.html"
        reports.write_html(found, path)
        tell(f"report: {path}")
    elif form == "table":
        out().print(reports.as_rich(reports.comparison(found)))
    else:
        show(writers[form](reports.comparison(found)))


if __name__ == "__main__":
    sys.exit(main())
