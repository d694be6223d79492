"""The comparison as LaTeX: a booktabs table with a drawn interval in every row."""

from collections.abc import Iterator

from mep.report.tables.comparison import Comparison
from mep.report.tables.grid import Cell, Grid, Line, footnotes, grid
from mep.report.tables.sheet import Contrast, Row, Sheet, arms_in_rows, sheet
from mep.report.tables.verdict import verdict
from mep.report.text import MINUS, plain

LATEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}"}
LATEX |= {">": r"\textgreater{}", "|": r"\textbar{}", '"': r"\textquotedbl{}"}
LATEX |= {character: f"\\{character}" for character in "&%$#_{}"}
LATEX |= {MINUS: "$-$", "±": r"$\pm$", "×": r"$\times$", "↓": r"$\downarrow$", "↑": r"$\uparrow$"}
LATEX |= {"†": r"$\dagger$", "‡": r"$\ddagger$", "³": "$^3$", "…": r"\dots{}", "–": "--", "·": r"$\cdot$"}


MARK_PT = 60
"""Width of a drawn interval, in points."""


def as_latex(comparison: Comparison, *, transpose: bool | None = None) -> str:
    """A booktabs table; needs the packages booktabs and textcomp, and a UTF-8 engine for names beyond Latin.

    transpose   an arm a row, a metric a column; without an answer where there are many arms
    """
    layout = sheet(comparison)
    as_grid = arms_in_rows(layout, transpose)
    columns, head, body = _of_grid(grid(comparison)) if as_grid else _of_sheet(layout, comparison)
    notes = [rf"\item {_tex(note)}" for note in footnotes(comparison)]
    lines = [
        "% needs \\usepackage{booktabs,textcomp}",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{_tex(' '.join(verdict(comparison)))}}}",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        " & ".join(head) + r" \\",
        r"\midrule",
        *body,
        r"\bottomrule",
        r"\end{tabular}",
        *([r"\begin{itemize}\footnotesize", *notes, r"\end{itemize}"] if notes else []),
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _of_sheet(layout: Sheet, comparison: Comparison) -> tuple[str, list[str], list[str]]:
    """Columns, heading and body of a table with a row a metric."""
    single = len(layout.contrasted) == 1
    differences = ["difference", "95 % interval", "p", "worse -- better"] if single else []
    head = ["metric", *map(plain, layout.arms), *differences, *layout.references]
    columns = "l" + "r" * len(layout.arms) + ("rrrc" if single else "") + "r" * len(layout.references)
    body = []
    for field, values in layout.settings.items():
        arms = [_tex(values[label]) for label in layout.arms]
        body.append(" & ".join([_tex(field), *arms, *([""] * (len(head) - 1 - len(arms)))]) + r" \\")
    for number, group in enumerate(layout.groups):
        body += [r"\midrule"] if number or layout.settings else []
        body.append(rf"\multicolumn{{{len(head)}}}{{l}}{{\textbf{{{_tex(group.title)}}}: {_tex(group.asks)}}} \\")
        for row in group.rows:
            body += _sheet_rows(row, layout, comparison, single=single)
    return columns, [_tex(text) if text != "worse -- better" else text for text in head], body


def _sheet_rows(row: Row, layout: Sheet, comparison: Comparison, *, single: bool) -> Iterator[str]:
    """The line of a metric; with several arms beside the baseline a second one with their differences."""
    arms = []
    for label in layout.arms:
        number = row.values.get(label)
        cell = (
            (number.shown, label in row.metric.best, number.mark) if number else (comparison.absent(label), False, "")
        )
        arms.append(_number(*cell))
    contrast = next((contrast for contrast in row.contrasts if contrast.delta), None)
    told = [""] * 4
    if contrast:
        words = contrast.difference, contrast.interval, contrast.p_told
        told = [*map(_tex, words), _drawn(contrast, layout.reach)]
    numbers = (row.references.get(title) for title in layout.references)
    references = [_tex(number.shown) if number else "" for number in numbers]
    yield " & ".join([_tex(row.name), *arms, *(told if single else []), *references]) + r" \\"
    if not single and contrast:
        of_arm = {one.arm: one for one in row.contrasts if one.delta}
        for texts in (
            {label: _tex(f"{one.difference} {one.interval}") for label, one in of_arm.items()},
            {label: _tex(one.p_told) for label, one in of_arm.items()},
        ):
            small = [rf"{{\footnotesize {texts[label]}}}" if label in texts else "" for label in layout.arms]
            yield " & ".join(["", *small, *([""] * len(references))]) + r" \\"


def _drawn(contrast: Contrast, reach: float) -> str:
    """The interval as a picture; the vertical line is the baseline."""
    if contrast.ends is None:
        return ""
    left, value, right = (round(min(max(end / reach, -1), 1) * MARK_PT / 2 + MARK_PT / 2, 1) for end in contrast.ends)
    return (
        rf"\begin{{picture}}({MARK_PT},6)\put({MARK_PT // 2},0){{\line(0,1){{6}}}}"
        rf"\put({left},3){{\line(1,0){{{round(right - left, 1)}}}}}\put({value},3){{\circle*{{3}}}}\end{{picture}}"
    )


def _of_grid(layout: Grid) -> tuple[str, list[str], list[str]]:
    """Columns, heading and body of a table with a row an arm."""
    columns = "l" + "".join("r" if heading.numeric else "l" for heading in layout.headings)
    head = [_tex(layout.corner), *(_tex(heading.full) for heading in layout.headings)]
    body: list[str] = []
    for number, line in enumerate(layout.lines):
        if line.kind == "reference" and number and layout.lines[number - 1].kind != "reference":
            body.append(r"\midrule")
        body += _grid_rows(line)
    return columns, head, body


def _grid_rows(line: Line) -> list[str]:
    depth = max((len(cell.below) for cell in line.cells), default=0)
    rows = [[_tex(line.heading.full), *map(_cell, line.cells)]]
    for number in range(depth):
        below = [cell.below[number] if number < len(cell.below) else "" for cell in line.cells]
        rows.append(["", *(rf"{{\footnotesize {_tex(text)}}}" if text else "" for text in below)])
    return [" & ".join(cells) + r" \\" for cells in rows]


def _cell(cell: Cell) -> str:
    return _number(cell.text, cell.best, cell.mark)


def _number(text: str, best: bool, mark: str) -> str:
    value, sign, error = text.partition(" ± ")
    shown = rf"\textbf{{{_tex(value)}}}" if best else _tex(value)
    return shown + _tex(sign + error) + (rf"\textsuperscript{{$\dagger${mark}}}" if mark else "")


def _tex(text: str) -> str:
    return "".join(LATEX.get(character, character) for character in text)
