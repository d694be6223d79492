"""A reporting checklist, filled in from the provenance of a run; what that does not know is a gap with a name."""

import csv
import io
import json
from itertools import groupby

from mep.report.tables.formats import csv_cell
from mep.report.text import in_markdown
from mep.sharing.claim import items
from mep.sharing.finished import Finished
from mep.store.scrub import scrub

UNKNOWN = "not known to mep: write it here"
HEAD = """\
# CLAIM 2024, from run {run_id}

Arm `{arm}` of {name}. {n_answered} of {n} items are answered in part or whole from the provenance; the others are
empty. Read every line before you hand it on. The items are in words of our own: the published checklist has its own
(Tejani et al., Radiology: Artificial Intelligence 2024;6(4):e240300).
"""
COLUMNS = ("item", "part", "asks", "known", "to_write", "page")


def rows_of(shared: Finished) -> list[dict[str, str]]:
    """A row an item, with an empty column for the page of the manuscript.

    known       sentences from the provenance, a line each; empty where it says nothing
    to_write    what only the authors know; empty where nothing is missing
    """
    rows = []
    for item in items():
        known = scrub("\n".join(item.answer(shared)))
        to_write = f"{UNKNOWN}. {item.gap}" if item.gap else "" if known else UNKNOWN
        row = {"item": str(item.number), "part": item.part, "asks": item.asks, "known": known, "to_write": to_write}
        rows.append(row | {"page": ""})
    return rows


def checklist(shared: Finished) -> str:
    """The checklist as Markdown, a table for each part of a paper."""
    rows = rows_of(shared)
    head = HEAD.format(
        run_id=shared.run.run_id,
        arm=shared.arm.name,
        name=shared.run.recipe.name,
        n=len(rows),
        n_answered=sum(bool(row["known"]) for row in rows),
    )
    parts = [head]
    for part, rows_of_part in groupby(rows, key=lambda row: row["part"]):
        lines = ["| | asks | from the run | still to write | page |", "| ---: | --- | --- | --- | --- |"]
        for row in rows_of_part:
            cells = [row["item"], *(_cell(row[name]) for name in ("asks", "known", "to_write")), ""]
            lines.append(f"| {' | '.join(cells)} |")
        parts.append(f"## {part}\n\n" + "\n".join(lines) + "\n")
    return "\n".join(parts)


def _cell(text: str) -> str:
    return "<br>".join(map(in_markdown, text.splitlines()))


def checklist_csv(shared: Finished) -> str:
    """The same as CSV, which a spreadsheet opens."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([csv_cell(row[name]) for name in COLUMNS] for row in rows_of(shared))
    return text.getvalue()


def checklist_json(shared: Finished) -> str:
    """The same for programs."""
    return json.dumps(rows_of(shared), indent=1, ensure_ascii=False) + "\n"
