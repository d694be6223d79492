"""One colour, line and marker for each arm, the same on the page and on paper.

Colours follow Okabe & Ito (2008), which people with any colour vision tell apart; the light ones of theirs are darkened
to a contrast of at least 3 to white. Lines and markers differ too, so that a grey print is enough.
"""

from typing import NamedTuple


class Style(NamedTuple):
    """How one arm is drawn.

    light, dark     colour on a white ground, and on a dark one
    marker          as matplotlib knows it
    symbol          the same marker as Observable Plot knows it
    dash            lengths of strokes and gaps in pixels; empty for a solid line
    word            what a caption calls the line
    """

    light: str
    dark: str
    marker: str
    symbol: str
    dash: tuple[int, ...]
    word: str


STYLES = (
    Style("#4f5962", "#a3adb5", "o", "circle", (), "solid"),
    Style("#0072b2", "#5cb8f0", "s", "square", (7, 3), "dashed"),
    Style("#d55e00", "#ff9147", "D", "diamond", (7, 3, 2, 3), "dash-dotted"),
    Style("#00875f", "#3ccf9f", "^", "triangle", (2, 3), "dotted"),
    Style("#b0508a", "#ea9ccb", "v", "triangle2", (14, 3), "long-dashed"),
    Style("#9a6c00", "#f0b429", "P", "plus", (7, 3, 2, 3, 2, 3), "dash-dot-dotted"),
    Style("#2a86bd", "#8fd0f7", "X", "times", (4, 2), "short-dashed"),
    Style("#7a7000", "#e8dd5a", "*", "star", (1, 4), "thinly dotted"),
)
N_STYLES = len(STYLES)
"""The arm after so many begins again."""
REFERENCE = "#6b757d"
"""Colour of what real images reach, on paper: they are told apart by their lines."""


def style(number: int) -> Style:
    """Of the arm at a place of the run, counted from 0."""
    return STYLES[number % N_STYLES]


def reference_style(number: int) -> Style:
    """Of a reference at a place of the comparison; never solid, which is for the baseline."""
    return STYLES[1 + number % (N_STYLES - 1)]
