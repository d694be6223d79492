"""Numbers and names as a reader sees them."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mep.evaluation.differences import Difference
from mep.report.text import bracketed, in_markdown, plain, rounded, rounded_error, shortened


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (31.24, 3.5, "31.2"),
        (31.25, 0.0996, "31.25"),
        (1234.5, 480, "1230"),
        (-0.001, 0.5, "0.00"),
        (0.53125, None, "0.531"),
        (0.0, 0.0, "0"),
        (0.53125, 0.0, "0.531"),
        (0.9996, None, "1.00"),
        (-12.8, 1.01, "−12.8"),
    ],
)
def test_a_value_ends_where_its_uncertainty_does(value, error, text):
    assert rounded(value, error) == text


@given(st.floats(1e-6, 1e6))
def test_an_error_is_shown_with_two_digits(error):
    assert float(rounded_error(error)) == pytest.approx(error, rel=0.0501)
    assert len(rounded_error(error).replace(".", "").strip("0")) <= 2


@given(st.text(max_size=40))
def test_markdown_escapes_leave_the_text_as_it_was(text):
    assert re.sub(r"\\([\\`*_\[\]<>|~&#$])", r"\1", in_markdown(text)) == text


@given(st.text(max_size=60))
def test_plain_text_is_one_line_that_does_not_turn_around(text):
    assert not re.search("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]", plain(text))


def test_long_values_are_cut_where_they_begin_to_differ():
    long = "Histology image of tissue at high magnification of one colon slide"
    short = shortened({"a": f"{long}", "b": f"{long} with clusters"})
    assert short == {"a": "… colon slide", "b": "… colon slide with clusters"}


@pytest.mark.parametrize(
    ("low", "high", "shown"),
    [(-48.0, -0.3, "[−48.0, −0.3]"), (-48.0, 0.3, "[−48, 0]"), (0.004, 47.0, "[+0.004, +47.000]")],
)
def test_an_interval_that_leaves_zero_out_never_ends_in_zero(low, high, shown):
    assert bracketed(Difference((low + high) / 2, 12.0, low, high, 0.05)) == shown
