"""`mep`: the group of all commands, and mep's own errors in plain words."""

import importlib
import json
import os
from functools import cache
from pathlib import Path

import click

import mep
import mep.cli.commands
from mep.cli.types import RunsFolder
from mep.errors import MepError
from mep.machine.lazily import import_when_used

import_when_used("numpy")  # commands that compute nothing do without it
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "true")  # looking for some takes longer than reading a recipe

SECTIONS = {
    "Experiments": [
        *("run", "resume", "cancel", "status", "watch", "ls", "show"),
        *("report", "evaluate", "generate", "sample-grid", "export-dataset", "publish", "checklist"),
    ],
    "Recipes": ["init", "validate", "lint", "calibrate", "plan", "diff", "methods", "schema"],
    "Experts": ["clusters", "reader-study", "reader-score"],
    "Store": ["verify", "why", "logs", "gc", "rm", "pin", "export", "import", "push", "pull", "db", "doctor"],
}
"""Commands in the order in which a newcomer meets them."""


FILES = {
    "recipes": ["init", "validate", "diff", "methods", "schema"],
    "run": ["run", "resume", "cancel"],
    "runs": ["status", "watch", "ls", "show", "logs", "why"],
    "samples": ["generate", "sample-grid", "export-dataset"],
    "share": ["push", "pull"],
    "store": ["verify", "gc", "rm", "pin", "export", "import", "db", "doctor"],
    "reader_study": ["reader-study", "reader-score"],
}
"""The files of `mep/cli/commands/` that hold several commands; any other command has a file of its name."""


@cache
def commands_in(file: str) -> dict[str | None, click.Command]:
    """Every command at the top of a file of `mep/cli/commands/`, by its name."""
    module = importlib.import_module(f"{mep.cli.commands.__name__}.{file}")
    commands = {item for item in vars(module).values() if isinstance(item, click.Command)}
    for command in commands:  # those below a group stand at the top of a file, too
        _take_runs(command)
    return {command.name: command for command in commands}


def command_named(name: str) -> click.Command:
    """A command by its name; no file but its own is read for it."""
    file = next((file for file, names in FILES.items() if name in names), name)
    return commands_in(file)[name]


def _take_runs(command: click.Command) -> None:
    """Let a command be told --runs after its name as well as before it."""

    def keep(ctx: click.Context, param: click.Parameter, runs: Path | None) -> None:
        if runs is not None:
            ctx.obj = ctx.find_root().params["runs"] = runs

    text = "As before the command."
    option = click.Option(
        ["--runs", "folder_of_runs"], type=RunsFolder(), metavar="DIR", help=text, callback=keep, expose_value=False
    )
    command.params.append(option)


class Commands(click.Group):
    """The commands by section; each is loaded when it is called or listed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for names in SECTIONS.values() for name in names]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        return command_named(name) if name in self.list_commands(ctx) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, names in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name, command_named(name).get_short_help_str(80)) for name in names])

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except (MepError, OSError) as error:
            from mep.cli.console import show_error
            from mep.runner.faults import explain

            runs = Path(ctx.params["runs"]).absolute()
            explained = error if isinstance(error, MepError) else explain(error, runs)
            if explained is None:
                raise
            show_error(explained)
            ctx.exit(explained.exit_code)


def _show_version(ctx: click.Context, param: click.Parameter, asked: bool) -> None:
    if not asked:
        return
    if ctx.params["as_json"]:
        from mep.runner.environment import formats

        click.echo(json.dumps(formats(), indent=1))
    else:
        click.echo(f"mep, version {mep.__version__}")
    ctx.exit()


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--version", is_flag=True, expose_value=False, callback=_show_version, help="Show the version and exit.")
@click.option("--json", "as_json", is_flag=True, is_eager=True, help="With --version: formats and packages too.")
@click.option("--runs", type=RunsFolder(), metavar="DIR", envvar="MEP_RUNS", default="runs", show_default=True)
@click.pass_context
def main(ctx: click.Context, runs: Path, as_json: bool) -> None:
    """One YAML recipe, one finished experiment: do synthetic medical images help, and which captions make better ones?

    --runs, or the variable MEP_RUNS, names the folder that keeps everything. It may stand after the command, too.
    """
    if as_json:
        raise click.UsageError("--json stands after the name of a command, or beside --version")
    ctx.obj = runs
