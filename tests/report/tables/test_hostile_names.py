"""Names that a format could take for markup."""

import csv
import io
import json
import re

import pytest
from drawn_run import HOSTILE, Drawn, finished
from shown_report import Page, comparison, in_terminal, page_of

from mep.report import (
    as_csv,
    as_json,
    as_latex,
    as_markdown,
    long_csv,
    long_rows,
)
from mep.report.text import in_markdown, plain


@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda text: text[:10])
def test_a_hostile_name_is_shown_as_text(tmp_path, hostile):
    drawn = Drawn(tmp_path, labels=[hostile, "other"], template=hostile + " {label}")
    report = finished(drawn)
    html = page_of(report, tmp_path)
    page = Page(html)
    assert plain(hostile) in page.text
    assert page.tags.count("script") == 7  # its data, and its own scripts, which digests in the page's policy name
    assert "\u202e" not in html
    found = comparison(report)
    assert json.loads(as_json(found))["fields"]["prompts.template"]["label-only"] == hostile + " {label}"
    shown = plain(hostile)[:20]
    assert in_markdown(shown) in as_markdown(found)
    assert not re.search(r"(?<!\\)<script", as_markdown(found))
    assert "".join(shown.split()) in "".join(in_terminal(found, width=200).split())
    assert not re.search(
        r"(?<!\\)[_%&#]", as_latex(found).split("toprule")[1].split("bottomrule")[0].replace(" & ", "")
    )
    for text in (as_csv(found), long_csv(long_rows(found))):
        cells = [cell for line in csv.reader(io.StringIO(text)) for cell in line]
        assert not any(re.match(r"[=@\t\r]|[+-](?![\d.])", cell) for cell in cells)
    wide = {row["row"]: row for row in csv.DictReader(io.StringIO(as_csv(found)))}
    assert wide["label-only"]["prompts.template"].removeprefix("'") == hostile + " {label}"


def test_a_pipe_in_a_name_makes_no_column(tmp_path):
    found = comparison(finished(Drawn(tmp_path, template="a|b|c {label}")))
    table = [line for line in as_markdown(found).splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in table} == {10}  # arm, template and three metrics
