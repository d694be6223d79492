"""A difference and its interval as a line of characters: `──●┼── ▲`."""

from collections.abc import Iterable

from mep.report.tables.sheet import Contrast

LINE, DOT, ZERO, CROSSED, LEFT, RIGHT = "─●│┼‹›"
REFERENCE, FURTHER_LEFT, FURTHER_RIGHT = "▲◂▸"


def interval_mark(contrast: Contrast, reach: float, width: int, references: Iterable[float] = ()) -> str:
    """The interval of a difference on an axis whose middle is the baseline and whose right side is the better one.

    reach       standard errors from the middle to an edge; an interval that lies further out ends in ‹ or ›
    width       odd number of characters
    references  standard errors from the middle to what real images reach: ▲, or ◂ and ▸ at the edge that they lie
                beyond; the interval is drawn over them

    returns `width` characters; only spaces where there is no interval
    """
    if contrast.ends is None:
        return " " * width
    middle = width // 2
    left, value, right = (round(end / reach * middle) + middle for end in contrast.ends)
    cells = [" "] * width
    for place in references:
        at = round(place / reach * middle) + middle
        cells[min(max(at, 0), width - 1)] = FURTHER_LEFT if at < 0 else FURTHER_RIGHT if at >= width else REFERENCE
    for at in range(max(left, 0), min(right + 1, width)):
        cells[at] = LINE
    cells[middle] = CROSSED if left <= middle <= right else ZERO
    if left < 0:
        cells[0] = LEFT
    if right >= width:
        cells[-1] = RIGHT
    cells[min(max(value, left < 0), width - 1 - (right >= width))] = DOT
    return "".join(cells)
