"""A difference and its interval as a line of characters: `──●┼──`."""

from mep.report.tables.sheet import Contrast

LINE, DOT, ZERO, CROSSED, LEFT, RIGHT = "─●│┼‹›"


def interval_mark(contrast: Contrast, reach: float, width: int) -> str:
    """The interval of a difference on an axis whose middle is the baseline and whose right side is the better one.

    reach   standard errors from the middle to an edge; what lies further out ends in ‹ or ›
    width   odd number of characters

    returns `width` characters; only spaces where there is no interval
    """
    if contrast.ends is None:
        return " " * width
    middle = width // 2
    left, value, right = (round(end / reach * middle) + middle for end in contrast.ends)
    cells = [LINE if left <= place <= right else " " for place in range(width)]
    cells[middle] = CROSSED if left <= middle <= right else ZERO
    if left < 0:
        cells[0] = LEFT
    if right >= width:
        cells[-1] = RIGHT
    cells[min(max(value, left < 0), width - 1 - (right >= width))] = DOT
    return "".join(cells)
