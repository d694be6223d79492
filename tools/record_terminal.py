"""Record docs/terminal.svg, a short session of mep in a terminal: python tools/record_terminal.py

The commands run in a terminal of 80 x 24 characters, on the folder and the recipe of docs/tutorial.md. What they write
is kept with its times as an asciicast (version 2; `asciinema play` shows it), long waits are shortened, and the screens
become an animated SVG. It needs pyte: pip install -e '.[docs]'. To draw a kept recording again:
python tools/record_terminal.py FILE.cast
"""

import fcntl
import json
import os
import pty
import select
import shlex
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Iterator
from pathlib import Path

from run_tutorial import FOLDER, PAGE, carry_out
from terminal_svg import as_svg

REPOSITORY = Path(__file__).parents[1]
TARGET = REPOSITORY / "docs" / "terminal.svg"
COLUMNS, ROWS = 80, 24
COMMANDS = (("mep plan tissue.yaml", 2.0, 5.0), ("mep run tissue.yaml", 12.0, 9.0), ("mep report", 1.5, 9.0))
"""A command, the seconds that its output takes at most in the picture, and the seconds to read it."""
KEY_S, PROMPT = 0.06, "\x1b[1;32m$\x1b[0m "

Event = tuple[float, str]
"""Seconds since the beginning, and what is written then."""


def main(recording: str | None = None) -> None:
    if recording:
        events = read(Path(recording))
    else:
        with tempfile.TemporaryDirectory() as folder:
            events = list(session(Path(folder)))
        kept = Path(tempfile.gettempdir()) / "mep-terminal.cast"
        write(kept, events)
        print(f"{kept}: {events[-1][0]:.0f} s")
    TARGET.write_text(as_svg(events, COLUMNS, ROWS))
    print(f"{TARGET}: {TARGET.stat().st_size / 1000:.0f} kB")


def session(folder: Path) -> Iterator[Event]:
    """Everything that stands on the terminal, at the times of the picture."""
    for shown, _ in carry_out(PAGE.read_text(), folder, quick=True):
        if shown.commands == [COMMANDS[0][0]]:
            break
    now = 0.0
    for line, longest_s, read_s in COMMANDS:
        yield now, PROMPT
        for key in [*line, "\r\n"]:
            now += KEY_S
            yield now, key
        written = list(output_of(shlex.split(line), folder))
        took = written[-1][0] if written else 0.0
        pace = min(1.0, longest_s / max(took, 1e-9))
        yield from ((now + at * pace, text.replace(str(folder), FOLDER)) for at, text in written)
        now += took * pace + read_s
    yield now, PROMPT


def output_of(arguments: list[str], folder: Path) -> Iterator[Event]:
    """What a command writes to a terminal of its own, as it comes; CalledProcessError where it fails."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color", "PYTHONPATH": str(REPOSITORY), "PYTHONWARNINGS": "ignore"}
    for name in ("COLUMNS", "LINES", "NO_COLOR", "MEP_RUNS"):
        environment.pop(name, None)
    command = [sys.executable, "-m", *arguments]
    began = time.monotonic()
    process = subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, cwd=folder, env=environment, start_new_session=True
    )
    os.close(theirs)
    held = b""
    while select.select([ours], [], [], 0.1)[0] or process.poll() is None:
        try:
            held += os.read(ours, 1 << 16) if select.select([ours], [], [], 0)[0] else b""
        except OSError:  # so Linux says that the other end is closed
            break
        whole = held.decode(errors="ignore")
        if whole and whole.encode() == held:  # no character is cut in two
            yield time.monotonic() - began, whole
            held = b""
    os.close(ours)
    if process.wait():
        raise subprocess.CalledProcessError(process.returncode, command)


def write(path: Path, events: list[Event]) -> None:
    """As asciicast, version 2: a header, and a line for each event."""
    lines = [json.dumps({"version": 2, "width": COLUMNS, "height": ROWS, "title": "mep"})]
    path.write_text("\n".join([*lines, *(json.dumps([round(at, 3), "o", text]) for at, text in events), ""]))


def read(path: Path) -> list[Event]:
    return [(at, text) for at, _, text in map(json.loads, path.read_text().splitlines()[1:])]


if __name__ == "__main__":
    main(*sys.argv[1:])
