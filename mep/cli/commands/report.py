import gc
import json
from pathlib import Path
from typing import Any

import click

from mep.cli.commands._shared import open_store

FORMATS = ("table", "md", "csv", "json", "html", "latex")


@click.command()
@click.argument("runs", metavar="[RUN]...", nargs=-1)
@click.option("--format", "form", type=click.Choice(FORMATS), default="table", show_default=True)
@click.option("--output", type=click.Path(path_type=Path), help="Write to this file. html: report.html of the run.")
@click.option("--figures", type=click.Path(path_type=Path), help="Also write figures for print to this folder.")
@click.option("--baseline", metavar="ARM", help="Take differences to this arm, or to none. One run: the first arm.")
@click.option("--columns", multiple=True, metavar="REGEX", help="Only these fields and metrics; repeatable.")
@click.option("--drop", multiple=True, metavar="REGEX", help="Leave these fields and metrics out; repeatable.")
@click.option(
    "--where", multiple=True, metavar="CONDITION", help="Only rows such as 'training.steps>=100'; repeatable."
)
@click.option("--sort", default="", metavar="COLUMN", help="Best or smallest first; -COLUMN for the other way round.")
@click.option(
    "--group-by", default="repeats", show_default=True, metavar="FIELD", help="Mean and spread: repeats, arm, a field."
)
@click.option("--precision", type=click.IntRange(1, 17), help="Significant digits; else as far as the uncertainty.")
@click.option("--transpose", is_flag=True, help="Metrics down, arms across.")
@click.option("--long", "as_long", is_flag=True, help="One row a number with its protocol, as csv or json.")
@click.option("--strict-comparable", is_flag=True, help="Exit with 5 where numbers shown together were not made alike.")
@click.pass_obj
def command(
    root: Path,
    runs: tuple[str, ...],
    form: str,
    output: Path | None,
    figures: Path | None,
    baseline: str | None,
    columns: tuple[str, ...],
    drop: tuple[str, ...],
    where: tuple[str, ...],
    sort: str,
    group_by: str,
    precision: int | None,
    transpose: bool,
    as_long: bool,
    strict_comparable: bool,
) -> None:
    """Compare the arms of runs; without RUN, of the last one.

    RUN is a name, the beginning of one, or a pattern such as '*quickstart*'.
    """
    from mep import report as reports
    from mep.cli.console import out, report_width, show, tell
    from mep.errors import NotComparable

    gc.disable()  # a hundred thousand rows are all kept to the end: looking through them would take half of the time
    store = open_store(root, must_exist=True)
    run_ids = reports.find_runs(store, runs)
    everything = as_long or form in ("csv", "json")
    view = reports.View(columns, drop, where, sort, everything)
    keep = None if form == "html" else view.keeps
    options: dict[str, Any] = {"baseline": baseline, "group_by": group_by, "precision": precision, "keep": keep}
    found = reports.comparison(store, run_ids, **options)
    shown = reports.select(found, view)
    if form == "html":
        path = output or store.run_folder(run_ids[-1]) / "report.html"
        reports.write_html(reports.gather(store, run_ids), path, found, view)
        tell(f"report: {path}")
    elif form == "table" and not as_long and output is None:
        out().print(reports.as_rich(shown, width=report_width(), transpose=transpose))
    else:
        text = _text(shown, "csv" if form == "table" and as_long else form, as_long=as_long, transpose=transpose)
        _deliver(text, output, show, tell)
    if figures is not None:
        for path in reports.write_figures(reports.gather(store, run_ids), figures, shown):
            tell(f"figure: {path}")
    if strict_comparable and (unlike := shown.unlike):
        raise NotComparable(
            "numbers that were not made alike stand beside each other:\n" + "\n".join(unlike),
            hint="choose rows or columns with --where, --columns and --drop, or measure them alike",
        )


def _text(shown: Any, form: str, *, as_long: bool, transpose: bool) -> str:
    from mep import report as reports

    if as_long:
        if form not in ("csv", "json"):
            raise click.UsageError("--long comes as csv or json")
        rows = reports.long_rows(shown)
        return reports.long_csv(rows) if form == "csv" else json.dumps(rows, indent=1, ensure_ascii=False)
    if form == "table":
        import io

        from rich.console import Console

        screen = Console(file=io.StringIO(), width=80)
        screen.print(reports.as_rich(shown, transpose=transpose))
        return str(screen.file.getvalue())  # type: ignore[attr-defined]
    if form == "json":
        return reports.as_json(shown)
    if form == "csv":
        return reports.as_csv(shown)
    return (reports.as_markdown if form == "md" else reports.as_latex)(shown, transpose=transpose)


def _deliver(text: str, output: Path | None, show: Any, tell: Any) -> None:
    from mep.machine.files import write_text

    if output is None:
        show(text.removesuffix("\n"))
    else:
        write_text(output, text)
        tell(f"report: {output}")
