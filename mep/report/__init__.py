"""The report: the arms of a run side by side, as a table, as Markdown, as JSON and as one HTML page.

    find_runs(store, names)        -> run ids           scores.py    by name, beginning or pattern
    comparison(store, run_ids)     -> Comparison        compare.py   numbers, differences, notes: from the provenance
    select(comparison, View(...))  -> Comparison        view.py      rows and columns to show
    verdict(comparison)            -> sentences         sentences.py
    as_rich, as_markdown, as_latex, as_csv, as_json     terminal.py, formats.py
    gather(store, run_ids)         -> Report            data.py      what the page shows, from the artifacts
    write_html(report, path)                            html.py
    write_figures(report, folder)                       print.py     SVG, PDF, PNG and CSV for papers

Nothing heavy is imported until one of these is asked for.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mep.report.compare import comparison
    from mep.report.data import Report, gather
    from mep.report.formats import as_csv, as_json, as_latex, as_markdown, long_csv, long_rows
    from mep.report.html import write_html
    from mep.report.print import write_figures
    from mep.report.scores import find_runs
    from mep.report.sentences import verdict
    from mep.report.table import Comparison
    from mep.report.terminal import as_rich
    from mep.report.view import View, select

__all__ = [
    "Comparison",
    "Report",
    "View",
    "as_csv",
    "as_json",
    "as_latex",
    "as_markdown",
    "as_rich",
    "comparison",
    "find_runs",
    "gather",
    "long_csv",
    "long_rows",
    "select",
    "verdict",
    "write_figures",
    "write_html",
]

HOMES = {
    "compare": ("comparison",),
    "data": ("Report", "gather"),
    "formats": ("as_csv", "as_json", "as_latex", "as_markdown", "long_csv", "long_rows"),
    "html": ("write_html",),
    "print": ("write_figures",),
    "scores": ("find_runs",),
    "sentences": ("verdict",),
    "table": ("Comparison",),
    "terminal": ("as_rich",),
    "view": ("View", "select"),
}
"""Module -> the names that it is home to."""


def __getattr__(name: str) -> Any:
    for home, names in HOMES.items():
        if name in names:
            return getattr(importlib.import_module(f"{__name__}.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
