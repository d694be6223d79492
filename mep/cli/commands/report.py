from __future__ import annotations

import gc
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import click

from mep.cli.commands._shared import open_store
from mep.cli.console import out, plain_text, report_width, show, tell
from mep.cli.options import Option, collected
from mep.errors import NotComparable

if TYPE_CHECKING:
    from mep.report import Comparison, View

FORMATS = ("table", "md", "csv", "json", "html", "latex")


@dataclass(frozen=True)
class Wanted:
    """What is compared, what of it is shown, and in which form."""

    form: Annotated[str, Option("--format", type=click.Choice(FORMATS), default="table", show_default=True)]
    output: Annotated[
        Path | None,
        Option("--output", type=click.Path(path_type=Path), help="Write to this file. html: report.html of the run."),
    ]
    figures: Annotated[
        Path | None,
        Option("--figures", type=click.Path(path_type=Path), help="Also write figures for print to this folder."),
    ]
    baseline: Annotated[
        str | None,
        Option("--baseline", metavar="ARM", help="Take differences to this arm, or to none. One run: the first arm."),
    ]
    columns: Annotated[
        tuple[str, ...],
        Option("--columns", multiple=True, metavar="REGEX", help="Only these fields and metrics; repeatable."),
    ]
    drop: Annotated[
        tuple[str, ...],
        Option("--drop", multiple=True, metavar="REGEX", help="Leave these fields and metrics out; repeatable."),
    ]
    where: Annotated[
        tuple[str, ...],
        Option(
            "--where", multiple=True, metavar="CONDITION", help="Only rows such as 'training.steps>=100'; repeatable."
        ),
    ]
    sort: Annotated[
        str,
        Option("--sort", default="", metavar="COLUMN", help="Best or smallest first; -COLUMN for the other way round."),
    ]
    group_by: Annotated[
        str,
        Option(
            "--group-by",
            default="repeats",
            show_default=True,
            metavar="FIELD",
            help="Mean and spread: repeats, arm, a field.",
        ),
    ]
    precision: Annotated[
        int | None,
        Option("--precision", type=click.IntRange(1, 17), help="Significant digits; else as far as the uncertainty."),
    ]
    transpose: Annotated[bool, Option("--transpose", is_flag=True, help="Metrics down, arms across.")]
    as_long: Annotated[bool, Option("--long", is_flag=True, help="One row a number with its protocol, as csv or json.")]
    strict_comparable: Annotated[
        bool,
        Option(
            "--strict-comparable", is_flag=True, help="Exit with 5 where numbers shown together were not made alike."
        ),
    ]

    @property
    def view(self) -> View:
        """The rows and columns to show."""
        from mep.report import View

        return View(self.columns, self.drop, self.where, self.sort, self.as_long or self.form in ("csv", "json"))


@click.command()
@click.argument("runs", metavar="[RUN]...", nargs=-1)
@collected(Wanted)
@click.pass_obj
def command(root: Path, wanted: Wanted, runs: tuple[str, ...]) -> None:
    """Compare the arms of runs; without RUN, of the last one.

    RUN is a name, the beginning of one, or a pattern such as '*quickstart*'.
    """
    from mep import report as reports

    gc.disable()  # a hundred thousand rows are all kept to the end: looking through them would take half of the time
    store = open_store(root, must_exist=True)
    run_ids = reports.find_runs(store, runs)
    comparison = reports.comparison(
        store,
        run_ids,
        baseline=wanted.baseline,
        group_by=wanted.group_by,
        precision=wanted.precision,
        keep=None if wanted.form == "html" else wanted.view.keeps,
    )
    shown = reports.select(comparison, wanted.view)
    if wanted.form == "html":
        path = wanted.output or store.run_folder(run_ids[-1]) / "report.html"
        reports.write_html(reports.gather(store, run_ids), path, comparison, wanted.view)
        tell(f"report: {path}")
    else:
        _deliver(shown, wanted)
    if wanted.figures is not None:
        for path in reports.write_figures(reports.gather(store, run_ids), wanted.figures, shown):
            tell(f"figure: {path}")
    if wanted.strict_comparable and shown.unlike:
        raise NotComparable(
            "numbers that were not made alike stand beside each other:\n" + "\n".join(shown.unlike),
            hint="choose rows or columns with --where, --columns and --drop, or measure them alike",
        )


def _deliver(shown: Comparison, wanted: Wanted) -> None:
    """To the screen, or to a file."""
    from mep import report as reports
    from mep.machine.files import write_text

    if wanted.form == "table" and not wanted.as_long and wanted.output is None:
        out().print(reports.as_rich(shown, width=report_width(), transpose=wanted.transpose))
        return
    text = _long_text(shown, wanted.form) if wanted.as_long else _text(shown, wanted)
    if wanted.output is None:
        show(text.removesuffix("\n"))
    else:
        write_text(wanted.output, text)
        tell(f"report: {wanted.output}")


def _long_text(shown: Comparison, form: str) -> str:
    from mep import report as reports

    if form not in ("table", "csv", "json"):
        raise click.UsageError("--long comes as csv or json")
    rows = reports.long_rows(shown)
    return json.dumps(rows, indent=1, ensure_ascii=False) if form == "json" else reports.long_csv(rows)


def _text(shown: Comparison, wanted: Wanted) -> str:
    from mep import report as reports

    if wanted.form == "json":
        return reports.as_json(shown)
    if wanted.form == "csv":
        return reports.as_csv(shown)
    if wanted.form == "table":
        return plain_text(reports.as_rich(shown, transpose=wanted.transpose))
    return (reports.as_markdown if wanted.form == "md" else reports.as_latex)(shown, transpose=wanted.transpose)
