"""The screens of a recorded terminal as one animated SVG, without a script in it."""

from collections.abc import Iterable
from html import escape
from itertools import groupby
from typing import Any

WIDE, HIGH, SIZE = 7.8, 18, 13
"""Width of a character, height of a line, and size of the letters, in px."""
MARGIN, BAR = 14, 30
FRAME_S = 0.16
"""Screens that stand for less time are left out."""
COLOURS = {
    "default": "#d6dde3",
    "black": "#7d8890",
    "red": "#ff8a80",
    "green": "#5fd38d",
    "brown": "#f0c060",
    "blue": "#7ab7ff",
    "magenta": "#e59bd8",
    "cyan": "#5cd0d8",
    "white": "#f2f5f7",
}
Run = tuple[int, str, str, bool]
"""Column, text, colour and whether it is bold."""
Line = tuple[Run, ...]


def as_svg(events: Iterable[tuple[float, str]], columns: int, rows: int) -> str:
    """An SVG that shows what was written, in a loop; where motion is not wanted it shows the last screen alone."""
    frames = screens(list(events), columns, rows)
    end = frames[-1][0] + 0.5
    lines: dict[Line, str] = {}
    bodies = []
    for _, screen in frames:
        used = [(row, lines.setdefault(line, f"l{len(lines)}")) for row, line in enumerate(screen) if line]
        bodies.append("".join(f'<use href="#{name}" y="{row * HIGH}"/>' for row, name in used))
    wide, high = columns * WIDE + 2 * MARGIN, rows * HIGH + BAR + MARGIN
    ends = [*(at for at, _ in frames[1:]), end]
    shown = [_shown(n, at / end, until / end) for n, ((at, _), until) in enumerate(zip(frames, ends, strict=True))]
    return "".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide:g} {high:g}" width="{wide:g}" role="img" ',
            'aria-label="mep plan, mep run and mep report in a terminal; waiting times are shortened"><style>',
            f"text{{font:{SIZE}px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;",
            f"white-space:pre;fill:{COLOURS['default']}}}.b{{font-weight:700}}",
            f".f{{visibility:hidden;animation:{end:.1f}s step-end infinite}}{''.join(shown)}",
            f"@media(prefers-reduced-motion:reduce),print{{.f{{animation:none}}#f{len(frames) - 1}",
            "{visibility:visible}}</style>",
            f"<defs>{''.join(_drawn(line, name) for line, name in lines.items())}</defs>",
            f'<rect width="{wide:g}" height="{high:g}" rx="9" fill="#14181c"/>',
            *(f'<circle cx="{18 + 18 * n}" cy="16" r="5.5" fill="#48535c"/>' for n in range(3)),
            f'<text x="{wide - MARGIN:g}" y="20" style="fill:#8a969f;font-size:11px;text-anchor:end">',
            "waiting times are shortened</text>",
            f'<g transform="translate({MARGIN} {BAR})">',
            *(f'<g class="f" id="f{n}">{body}</g>' for n, body in enumerate(bodies)),
            "</g></svg>\n",
        ]
    )


def _shown(number: int, since: float, until: float) -> str:
    """The rule that shows a screen from one share of the time to another, and hides it otherwise."""
    before = f"0%{{visibility:hidden}}{100 * since:.2f}%" if since else "0%"
    return (
        f"#f{number}{{animation-name:k{number}}}@keyframes k{number}"
        f"{{{before}{{visibility:visible}}{100 * until:.2f}%{{visibility:hidden}}}}"
    )


def screens(events: list[tuple[float, str]], columns: int, rows: int) -> list[tuple[float, list[Line]]]:
    """What stands on the terminal, and from when; screens that nobody could see are left out."""
    import pyte

    screen = pyte.Screen(columns, rows)
    stream = pyte.Stream(screen)
    frames: list[tuple[float, list[Line]]] = []
    for number, (at, text) in enumerate(events):
        stream.feed(text)
        until = events[number + 1][0] if number + 1 < len(events) else at + 1
        shown = [_line(screen.buffer[row], columns) for row in range(rows)]
        due = not frames or at - frames[-1][0] >= FRAME_S or until - at >= FRAME_S
        if due and (not frames or shown != frames[-1][1]):
            frames.append((at, shown))
    return frames


def _line(characters: Any, columns: int) -> Line:
    cells = [(place, characters[place]) for place in range(columns)]
    runs = []
    for (colour, bold), group in groupby(cells, key=lambda cell: (_colour(cell[1].fg), cell[1].bold)):
        members = list(group)
        text = "".join(cell.data for _, cell in members)
        if text.strip():
            start = members[0][0] + len(text) - len(text.lstrip())
            runs.append((start, text.strip(), colour, bold))
    return tuple(runs)


def _colour(name: str) -> str:
    plain = name.removeprefix("bright")
    if plain in COLOURS:
        return "#8a969f" if name == "brightblack" else COLOURS[plain]
    return f"#{name}"


def _drawn(line: Line, name: str) -> str:
    """Every run has the width of its characters, whatever the letters of the reader's machine."""
    spans = []
    for column, text, colour, bold in line:
        wide = f' textLength="{len(text) * WIDE:g}" lengthAdjust="spacingAndGlyphs"' if len(text) > 1 else ""
        fill = "" if colour == COLOURS["default"] else f' style="fill:{colour}"'
        kind = ' class="b"' if bold else ""
        spans.append(f'<text x="{column * WIDE:g}" y="{SIZE}"{wide}{kind}{fill}>{escape(text)}</text>')
    return f'<g id="{name}">{"".join(spans)}</g>'
