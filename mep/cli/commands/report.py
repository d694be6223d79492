"""`mep report`: the arms of runs beside each other."""

from __future__ import annotations

import gc
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mep.cli.commands._shared import open_store
from mep.cli.console import out, plain_text, report_width, show, tell
from mep.cli.options import collected, option
from mep.errors import NotComparable

if TYPE_CHECKING:
    from mep.report import Comparison, View

FORMATS = ("table", "md", "csv", "json", "html", "latex")


@dataclass(frozen=True)
class ReportOptions:
    form: str = option(None, "--format", type=click.Choice(FORMATS), default="table")
    output: Path | None = option("Write to this file. html: report.html of the run.")
    figures: Path | None = option("Also write figures for print to this folder.")
    baseline: str | None = option("Take differences to this arm, or to none. One run: the first arm.", metavar="ARM")
    columns: tuple[str, ...] = option("Only these fields and metrics; repeatable.", metavar="REGEX")
    drop: tuple[str, ...] = option("Leave these fields and metrics out; repeatable.", metavar="REGEX")
    where: tuple[str, ...] = option("Only rows such as 'training.steps>=100'; repeatable.", metavar="CONDITION")
    sort: str = option("Best or smallest first; -COLUMN for the other way round.", default="", metavar="COLUMN")
    group_by: str = option("Mean and spread: repeats, arm, a field.", default="repeats", metavar="FIELD")
    precision: int | None = option("Significant digits; else as far as the uncertainty.", type=click.IntRange(1, 17))
    transpose: bool | None = option(
        "Arms down, metrics across, or not; else down where there are many.", "--transpose/--no-transpose", default=None
    )
    notes: bool = option("Also what the numbers rest on.")
    as_long: bool = option("One row a number with its protocol, as csv or json.", "--long")
    strict_comparable: bool = option("Exit with 5 where numbers shown together were not made alike.")

    @property
    def view(self) -> View:
        from mep.report import View

        return View(self.columns, self.drop, self.where, self.sort, self.as_long or self.form in ("csv", "json"))


@click.command("report")
@click.argument("runs", metavar="[RUN]...", nargs=-1)
@collected(ReportOptions)
@click.pass_obj
def report_command(root: Path, options: ReportOptions, runs: tuple[str, ...]) -> None:
    """Compare the arms of runs; without RUN, of the last one.

    RUN is a name, the beginning of one, or a pattern such as '*quickstart*'.
    """
    from mep import report as reports

    gc.disable()  # a hundred thousand rows are all kept to the end: looking through them would take half of the time
    store = open_store(root)
    run_ids = reports.find_runs(store, runs)
    comparison = reports.comparison(
        store,
        run_ids,
        baseline=options.baseline,
        group_by=options.group_by,
        precision=options.precision,
        keep=None if options.form == "html" else options.view.keeps,
    )
    shown = reports.select(comparison, options.view)
    if options.form == "html":
        path = options.output or store.run_folder(run_ids[-1]) / "report.html"
        reports.write_html(reports.gather(store, run_ids), path, comparison, options.view)
        tell(f"report: {path}")
    else:
        _deliver(shown, options)
    if options.figures is not None:
        for path in reports.write_figures(reports.gather(store, run_ids), options.figures, shown):
            tell(f"figure: {path}")
    if options.strict_comparable and shown.unlike:
        raise NotComparable(
            "numbers that were not made alike stand beside each other:\n" + "\n".join(shown.unlike),
            hint="choose rows or columns with --where, --columns and --drop, or measure them alike",
        )


def _deliver(shown: Comparison, options: ReportOptions) -> None:
    from mep import report as reports
    from mep.machine.files import write_text

    if options.form == "table" and not options.as_long and options.output is None:
        out().print(reports.as_rich(shown, width=report_width(), transpose=options.transpose, notes=options.notes))
    elif options.output is None:
        show(_text(shown, options).removesuffix("\n"))
    else:
        write_text(options.output, _text(shown, options))
        tell(f"report: {options.output}")


def _text(shown: Comparison, options: ReportOptions) -> str:
    from mep import report as reports

    if options.as_long:
        if options.form not in ("table", "csv", "json"):
            raise click.UsageError("--long comes as csv or json")
        rows = reports.long_rows(shown)
        return json.dumps(rows, indent=1, ensure_ascii=False) if options.form == "json" else reports.long_csv(rows)
    if options.form in ("json", "csv"):
        return (reports.as_json if options.form == "json" else reports.as_csv)(shown)
    if options.form == "table":
        return plain_text(reports.as_rich(shown, transpose=options.transpose, notes=options.notes))
    of_form = reports.as_markdown if options.form == "md" else reports.as_latex
    return of_form(shown, transpose=options.transpose)
