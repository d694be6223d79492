"""The report as a reader sees it: in a terminal and as a page."""

import io
from html.parser import HTMLParser

from rich.console import Console

from mep.report import as_rich, write_html
from mep.report import comparison as compare


def comparison(report, **options):
    return compare(report.store, [run.run_id for run in report.runs], **options)


def in_terminal(found, width=80, **options):
    screen = io.StringIO()
    Console(file=screen, width=width).print(as_rich(found, width=width, **options))
    return screen.getvalue()


class Page(HTMLParser):
    """The text of a page as a reader sees it, its tags, and the cells of the table of scores."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.text, self.cells, self.attributes, self.open_tables = [], "", [], [], []
        self.in_cell = False
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag == "table":
            self.open_tables.append(dict(attrs).get("class"))
        if tag == "td" and {"scores sortable", "deltas"} & set(self.open_tables):
            self.cells.append("")
            self.in_cell = True

    def handle_endtag(self, tag):
        if tag == "table":
            self.open_tables.pop()
        self.in_cell = self.in_cell and tag != "td"

    def handle_data(self, data):
        if self.tags[-1:] not in (["style"], ["script"]):
            self.text += data
        if self.in_cell:
            self.cells[-1] += data


def page_of(report, tmp_path):
    write_html(report, tmp_path / "page.html")
    return (tmp_path / "page.html").read_text(encoding="utf-8")
