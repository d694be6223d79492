"""`mep`: the group of all commands, and mep's own errors in plain words."""

import importlib
import pkgutil
from pathlib import Path
from typing import cast

import click

import mep
import mep.cli.commands
from mep.errors import MepError

SECTIONS = {
    "Experiments": [
        *("run", "resume", "status", "watch", "ls", "show"),
        *("report", "evaluate", "generate", "sample-grid", "export-dataset"),
    ],
    "Recipes": ["init", "validate", "lint", "plan", "diff", "methods", "schema"],
    "Reader studies": ["reader-study", "reader-score"],
    "Store": ["verify", "why", "logs", "gc", "rm", "pin", "export", "import", "db", "doctor"],
}
"""Commands in the order in which a newcomer meets them."""


class Commands(click.Group):
    """Every file of `mep/cli/commands/` is a command, loaded when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for names in SECTIONS.values() for name in names]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        module = name.replace("-", "_")
        modules = {file.name for file in pkgutil.iter_modules(mep.cli.commands.__path__)}
        if module not in modules or module.startswith("_"):
            return None
        return cast(click.Command, importlib.import_module(f"mep.cli.commands.{module}").command)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, names in SECTIONS.items():
            commands = [(name, self.get_command(ctx, name)) for name in names]
            with formatter.section(title):
                formatter.write_dl([(name, command.get_short_help_str(80)) for name, command in commands if command])

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


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(mep.__version__, prog_name="mep")
@click.option("--runs", type=click.Path(path_type=Path), envvar="MEP_RUNS", default="runs", show_default=True)
@click.pass_context
def main(ctx: click.Context, runs: Path) -> None:
    """One YAML recipe, one finished experiment: do synthetic medical images help, and which captions make better ones?

    --runs, or the variable MEP_RUNS, names the folder that keeps everything.
    """
    ctx.obj = runs
