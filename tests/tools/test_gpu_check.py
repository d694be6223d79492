"""The command for machines with a GPU says plainly that there is none, and writes figures where there is one."""

import importlib.util
from pathlib import Path

import pytest
import torch

FILE = Path(__file__).parents[1] / "gpu" / "check.py"


@pytest.fixture(scope="module")
def check():
    spec = importlib.util.spec_from_file_location("gpu_check", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_without_a_gpu_nothing_is_checked_and_that_is_said(check, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    before = check.RESULTS.read_bytes()
    assert check.main([]) == check.SKIPPED
    assert "nothing was checked" in capsys.readouterr().out
    assert check.RESULTS.read_bytes() == before


def test_figures_become_a_section_that_replaces_the_one_of_before(check):
    figures = {("bare",): {"step_s": 0.5, "peak_gb": 40}, ("ours",): {"step_s": 0.52, "peak_gb": 41}}
    figures |= {("script",): None, ("ours", "--compile"): {"step_s": 0.4, "peak_gb": 40}}
    drawn = {"": {"bare": 5.0, "ours": 4.9, "call": 4.0}, ", compiled": None}
    rows = check.training_rows(figures, 32) + check.drawing_rows(drawn)
    section = check.table(rows, 32, "2026-11-26, a GPU")
    assert "| our step | 61.5 | 0.962 | 41.0 GB (1.025x) |" in section
    assert "| the published script's way | failed | | |" in section
    assert "| our step, compiled | 80.0 | | 40.0 GB |" in section
    assert "| our samples, as files | 4.90 | 0.980 | |" in section
    assert "| drawing, compiled | failed | | |" in section
    page = "# Results\n\n## Training\n\nolder\n"
    once = check.with_section(page, section)
    assert check.with_section(once, section) == once
    assert once.startswith(page)
    assert check.with_section(f"# Results\n\n{section}\n## Reports\n\nlast\n", section).endswith("## Reports\n\nlast\n")
