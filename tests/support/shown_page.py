"""A finished run of three arms as a page in a real browser."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from devtools import Page
from drawn_run import Drawn, finished
from shown_report import comparison

from mep.report import write_html


@contextmanager
def page_in_browser(chromium: str, folder: Path) -> Iterator[tuple[Page, Path]]:
    """The browser, and where the page lies."""
    report = finished(Drawn(folder, useful=True))
    path = folder / "report.html"
    write_html(report, path, comparison(report))
    with Page(chromium, folder) as page:
        yield page, path
