"""The recorded terminal: what was written stands in the picture, each screen in its time."""

import re
import sys
from xml.etree import ElementTree

import pytest
from small_data import REPOSITORY

pytest.importorskip("pyte")
sys.path.insert(0, str(REPOSITORY / "tools"))
from record_terminal import output_of, read, write
from terminal_svg import as_svg, screens

SVG = "{http://www.w3.org/2000/svg}"
EVENTS = [(0.0, "\x1b[1;32m$\x1b[0m mep <plan>\r\n"), (1.0, "one\r\n"), (2.0, "\x1b[1Atwo\x1b[K\r\n")]


def words(line):
    return " ".join(text for _, text, _, _ in line)


def test_a_screen_holds_what_stands_there_after_the_cursor_has_moved():
    shown = [(at, [words(line) for line in screen if line]) for at, screen in screens(EVENTS, 20, 5)]
    assert shown == [(0.0, ["$ mep <plan>"]), (1.0, ["$ mep <plan>", "one"]), (2.0, ["$ mep <plan>", "two"])]


def test_screens_too_short_to_be_seen_are_left_out_and_the_last_one_is_kept():
    bar = [(n / 100, f"\r{n:3} of 99") for n in range(100)]
    frames = screens(bar, 20, 5)
    assert len(frames) < 10
    assert words(frames[-1][1][0]) == "99 of 99"


def test_the_picture_is_whole_xml_and_draws_a_line_that_stays_once():
    root = ElementTree.fromstring(as_svg(EVENTS, 20, 5))
    drawn = ["".join(text.itertext()) for text in root.iterfind(f".//{SVG}defs//{SVG}text")]
    assert drawn == ["$", "mep <plan>", "one", "two"]
    assert len(root.findall(f".//{SVG}use")) == 5


def test_each_screen_is_shown_from_its_time_until_the_next_one():
    shown = re.findall(r"([\d.]+)%\{visibility:visible\}([\d.]+)%\{visibility:hidden\}", as_svg(EVENTS, 20, 5))
    assert [(float(since), float(until)) for since, until in shown] == [(0, 40), (40, 80), (80, 100)]


def test_a_command_writes_to_a_terminal_of_80_columns_and_a_recording_is_read_as_it_was_written(tmp_path):
    (tmp_path / "speaks.py").write_text(
        "import os, sys; print(os.get_terminal_size().columns, sys.stdout.isatty(), 'é')"
    )
    events = list(output_of(["speaks"], tmp_path))
    assert "".join(text for _, text in events) == "80 True é\r\n"
    write(tmp_path / "kept.cast", events)
    assert [text for _, text in read(tmp_path / "kept.cast")] == [text for _, text in events]
