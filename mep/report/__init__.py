"""The report: the arms of a run side by side, in many forms; a module is imported when a name of it is asked for."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mep.report.data.arms import find_runs
    from mep.report.data.runs import Report, gather
    from mep.report.figures.paper import write_figures
    from mep.report.page.html import write_html
    from mep.report.tables.compare import comparison
    from mep.report.tables.comparison import Comparison
    from mep.report.tables.formats import as_csv, as_json, long_csv, long_rows
    from mep.report.tables.latex import as_latex
    from mep.report.tables.markdown import as_markdown
    from mep.report.tables.terminal import as_rich, as_screen
    from mep.report.tables.verdict import verdict
    from mep.report.tables.view import View, select

__all__ = ["Comparison", "Report", "View", "comparison", "find_runs", "gather", "select", "verdict"]
__all__ += ["as_csv", "as_json", "as_latex", "as_markdown", "as_rich", "as_screen", "long_csv", "long_rows"]
__all__ += ["write_figures", "write_html"]

HOMES = {
    "data.arms": ("find_runs",),
    "data.runs": ("Report", "gather"),
    "figures.paper": ("write_figures",),
    "page.html": ("write_html",),
    "tables.compare": ("comparison",),
    "tables.comparison": ("Comparison",),
    "tables.formats": ("as_csv", "as_json", "long_csv", "long_rows"),
    "tables.latex": ("as_latex",),
    "tables.markdown": ("as_markdown",),
    "tables.terminal": ("as_rich", "as_screen"),
    "tables.verdict": ("verdict",),
    "tables.view": ("View", "select"),
}
"""Module -> the names that it is home to."""


def __getattr__(name: str) -> Any:
    for home, names in HOMES.items():
        if name in names:
            return getattr(importlib.import_module(f"{__name__}.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
