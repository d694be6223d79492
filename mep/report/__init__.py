"""The report: the arms of a run side by side, as a table, as Markdown, as JSON and as one HTML page.

    find_runs(store, names)        -> run ids           data/arms.py          by name, beginning or pattern
    comparison(store, run_ids)     -> Comparison        tables/compare.py     numbers, differences, notes
    select(comparison, View(...))  -> Comparison        tables/view.py        rows and columns to show
    verdict(comparison)            -> sentences         tables/verdict.py
    as_rich, as_markdown, as_latex, as_csv, as_json     tables/terminal.py, formats.py
    gather(store, run_ids)         -> Report            data/runs.py          what the page shows, from the artifacts
    write_figures(report, folder)                       figures/paper.py      SVG, PDF, PNG and CSV for papers
    write_html(report, path)                            page/html.py

Nothing heavy is imported until one of these is asked for.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mep.report.data.arms import find_runs
    from mep.report.data.runs import Report, gather
    from mep.report.figures.paper import write_figures
    from mep.report.page.html import write_html
    from mep.report.tables.compare import comparison
    from mep.report.tables.comparison import Comparison
    from mep.report.tables.formats import as_csv, as_json, as_latex, as_markdown, long_csv, long_rows
    from mep.report.tables.terminal import as_rich
    from mep.report.tables.verdict import verdict
    from mep.report.tables.view import View, select

__all__ = ["Comparison", "Report", "View", "comparison", "find_runs", "gather", "select", "verdict"]
__all__ += ["as_csv", "as_json", "as_latex", "as_markdown", "as_rich", "long_csv", "long_rows"]
__all__ += ["write_figures", "write_html"]

HOMES = {
    "data.arms": ("find_runs",),
    "data.runs": ("Report", "gather"),
    "figures.paper": ("write_figures",),
    "page.html": ("write_html",),
    "tables.compare": ("comparison",),
    "tables.comparison": ("Comparison",),
    "tables.formats": ("as_csv", "as_json", "as_latex", "as_markdown", "long_csv", "long_rows"),
    "tables.terminal": ("as_rich",),
    "tables.verdict": ("verdict",),
    "tables.view": ("View", "select"),
}
"""Module -> the names that it is home to."""


def __getattr__(name: str) -> Any:
    for home, names in HOMES.items():
        if name in names:
            return getattr(importlib.import_module(f"{__name__}.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
