"""What is read of runs, whole or not."""

import json
import re
import subprocess
import sys

import pytest
from drawn_run import RUN, finished
from shown_report import Page, comparison, in_terminal, page_of

from mep.errors import UsageError
from mep.machine.files import read_json
from mep.report import (
    as_json,
    as_markdown,
    find_runs,
    gather,
    verdict,
)
from mep.stages import stages


def test_runs_are_found_by_beginning_and_by_pattern(drawn):
    finished(drawn)
    again = drawn.copied_run("20261122-1000-other", {})
    assert find_runs(drawn.store, []) == [again]
    assert find_runs(drawn.store, ["*"]) == [RUN, again]
    assert find_runs(drawn.store, [again, "*drawn", "20261122-09"]) == [again, RUN]
    with pytest.raises(UsageError, match="'20261122' is ambiguous") as error:
        find_runs(drawn.store, ["20261122"])
    assert RUN in error.value.hint
    with pytest.raises(UsageError, match=r"no run matches 'x\*'"):
        find_runs(drawn.store, ["x*"])


def test_a_half_finished_run_tells_what_it_has_and_names_what_is_missing(drawn, tmp_path):
    drawn.shared_stages()
    drawn.own_stages("label-only")
    drawn.attempt("training/" + "f" * 32, "running")
    report = gather(drawn.store, [RUN])  # it says `running`, but nobody holds its lock
    found = comparison(report)
    assert report.runs[0].state == "interrupted"
    assert {"prompts", "training", "generation", "metrics"} <= set(found.missing["mep"])
    assert [one.state for one in report.runs[0].stages if one.artifact_id.endswith("f" * 32)] == ["interrupted"]
    for told in (as_markdown(found), in_terminal(found), Page(page_of(report, tmp_path)).text):
        assert re.search(r"mep has no .*prompts,.* generation,", told)
        assert "44.0" in told
    assert "mep has no metrics yet." in verdict(found)
    assert f"mep resume {RUN}" in page_of(report, tmp_path)


def test_a_failed_run_that_made_nothing_still_has_a_page(drawn, tmp_path):
    drawn.attempt("dataset/" + "f" * 32, "failed", "02.png does not decode")
    report = drawn.end("failed", "02.png does not decode")
    found = comparison(report)
    assert set(found.missing["mep"]) == set(stages())
    assert verdict(found) == ["Nothing can be compared yet: the run is failed, and no arm has metrics."]
    assert "This run failed: 02.png does not decode" in Page(page_of(report, tmp_path)).text
    assert as_markdown(found)
    assert json.loads(as_json(found))["scores"] == []
    assert "Nothing can be compared" in in_terminal(found)


def test_an_artifact_whose_files_are_gone_is_missing(drawn, tmp_path):
    report = finished(drawn)
    artifact_id = next(arm.artifact_ids["generation"] for arm in report.arms if arm.label == "mep")
    next((drawn.store.root / "store" / artifact_id).rglob("*.png")).unlink()
    arm = gather(drawn.store, [RUN]).arms[1]
    assert (arm.missing, arm.lost) == (["generation"], ["generation"])
    assert "The files of generation cannot be read: they were deleted or damaged since" in page_of(
        gather(drawn.store, [RUN]), tmp_path
    )


def test_a_run_that_is_not_there_is_an_error_of_the_command_line(drawn):
    with pytest.raises(UsageError, match="no run 'other'"):
        gather(drawn.store, ["other"])


def test_a_reused_artifact_tells_who_made_it_and_how_long_that_took(report, drawn):
    with drawn.store.db.write() as db:
        db.execute("UPDATE uses SET how = 'reused'")
        db.execute("UPDATE attempts SET wall_s = 7 WHERE artifact_id LIKE 'training/%'")
    training = [one for one in gather(drawn.store, [RUN]).runs[0].stages if one.stage == "training"]
    assert [(one.state, one.wall_s, one.made_by) for one in training] == [("reused", 7.0, RUN)] * 2
    assert [one.arms for one in training] == [("label-only",), ("mep",)]
    assert read_json(drawn.store.root / "store" / training[0].artifact_id / "manifest.json")["made_by"] == RUN


def test_importing_the_report_imports_nothing_heavy():
    heavy = ["numpy", "PIL", "matplotlib", "jinja2", "pyarrow", "torch", "rich"]
    code = f"import sys, mep.report; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
