"""The report: the arms of a run side by side, as a table, as Markdown, as JSON and as one HTML page.

    gather(store, run_id) -> RunReport              data.py     what the page shows, from the store
    comparison(report)    -> Comparison             table.py    the numbers of the arms, their differences, the notes
    verdict(comparison)   -> sentences              sentences.py
    as_rich, as_markdown, as_json (comparison)      render.py
    write_html(report, path)                        html.py

Nothing heavy is imported until one of these is asked for.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mep.report.data import RunReport, gather
    from mep.report.html import write_html
    from mep.report.render import as_json, as_markdown, as_rich
    from mep.report.sentences import verdict
    from mep.report.table import Comparison, comparison

__all__ = [
    "Comparison",
    "RunReport",
    "as_json",
    "as_markdown",
    "as_rich",
    "comparison",
    "gather",
    "verdict",
    "write_html",
]

HOMES = {
    "data": ("RunReport", "gather"),
    "html": ("write_html",),
    "render": ("as_json", "as_markdown", "as_rich"),
    "sentences": ("verdict",),
    "table": ("Comparison", "comparison"),
}
"""Module -> the names that it is home to."""


def __getattr__(name: str) -> Any:
    for home, names in HOMES.items():
        if name in names:
            return getattr(importlib.import_module(f"{__name__}.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
