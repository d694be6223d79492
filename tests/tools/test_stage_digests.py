"""A stage whose source moved says so by its version, or says why its results are the same."""

import importlib.util
import json
from functools import cache

import pytest
from small_data import REPOSITORY

spec = importlib.util.spec_from_file_location("stages_script", REPOSITORY / "tools" / "stage_digests.py")
script = importlib.util.module_from_spec(spec)
spec.loader.exec_module(script)


def edited(module, old, new):
    """Sources with one edit."""

    def read(name):
        text = script.source_of(name)
        assert name != module or old in text
        return text.replace(old, new) if name == module else text

    return read


@cache
def moved_by(module, old, new):
    return set(script.problems(script.present(edited(module, old, new)), as_it_is()))


@cache
def as_it_is():
    return script.present()


def test_the_committed_digests_are_those_of_the_source():
    found = script.problems(as_it_is(), json.loads(script.COMMITTED.read_text()))
    assert found == {}, "python tools/stage_digests.py says what to do"


@pytest.mark.parametrize(
    ("module", "old", "new", "stages"),
    [
        ("mep.methods.clusterers.kmeans", "n_init", "n_init  ", set()),  # only layout
        ("mep.methods.detectors.hsv", '"""Removes dark', '"""Takes out dark', set()),  # only a docstring
        (
            "mep.methods.detectors.hsv",
            "def inspect",
            "SURPRISE = 1\n\n    def inspect",
            {"outliers"},
        ),  # a method of its family
        (
            "mep.methods.balancers.none",
            '    kind: Literal["none"]',
            '    surprise: int = 1\n    kind: Literal["none"]',
            {"balancing"},
        ),
    ],
)
def test_an_edit_moves_the_stages_that_can_reach_it_and_no_others(module, old, new, stages):
    assert moved_by(module, old, new) & {"outliers", "metrics", "clustering", "prompts", "balancing"} == stages


def test_a_helper_two_modules_away_moves_what_uses_it():
    moved = moved_by("mep.imaging.pixels", "def to_rgb(", "def to_rgb(surprise=1, *, ")
    assert {"embedding", "dataset"} <= moved
    assert "metrics" in moved_by(
        "mep.statistics.intervals", "def standard_error(", "def standard_error(surprise=1, *, "
    )
    assert "prompts" not in moved_by(
        "mep.statistics.intervals", "def standard_error(", "def standard_error(surprise=1, *, "
    )


def test_a_raised_version_is_asked_to_be_committed_and_a_moved_source_for_a_reason():
    then = {"a": {"version": 1, "digest": "x"}, "b": {"version": 1, "digest": "x"}, "c": {"version": 1, "digest": "x"}}
    now = {"a": {"version": 2, "digest": "y"}, "b": {"version": 1, "digest": "y"}, "d": {"version": 1, "digest": "x"}}
    assert script.problems(now, then) == {
        "a": "has version 2 now, 1 before",
        "b": "moved, and its version did not",
        "c": "is gone",
        "d": "is new",
    }
