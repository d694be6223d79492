"""Listings for people: whole words, no reprs, as wide as the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from mep.errors import printable

if TYPE_CHECKING:
    from rich.console import Console

GAP = "  "
MOST_NAMES = 4


def folded(arms: Iterable[str]) -> list[str]:
    """Names of arms; the trainings of one are together: label-only, mep × 8."""
    from mep.recipe.model import repeat_of

    trainings: dict[str, list[str]] = {}
    for arm in arms:
        trainings.setdefault(repeat_of(arm)[0], []).append(arm)
    return [names[0] if len(names) == 1 else f"{arm} × {len(names)}" for arm, names in trainings.items()]


def few(names: Sequence[str]) -> str:
    """All names, or the first and the last of many."""
    return ", ".join(names) if len(names) <= MOST_NAMES else f"{names[0]} ... {names[-1]} ({len(names)})"


def moment(value: str | None) -> str:
    """2026-11-26 14:15, UTC; of a moment as the provenance has it."""
    return "" if value is None else datetime.fromisoformat(value).strftime("%Y-%m-%d %H:%M")


def took(started: str, ended: str | None) -> str:
    """4.2 s, 3 min 07 s; empty while it goes on."""
    from mep.report.text import seconds

    if ended is None:
        return ""
    return seconds((datetime.fromisoformat(ended) - datetime.fromisoformat(started)).total_seconds())


def facts_text(facts: Sequence[Mapping[str, object]]) -> str:
    """2,242 train, side 48 px; what several arms came to otherwise stands side by side: 2 / 8 prompts."""
    from mep.report.text import fact

    texts = []
    for name in dict.fromkeys(name for one in facts for name in one):
        values = [one[name] for one in facts if name in one]
        told = " / ".join(dict.fromkeys(fact(value) for value in values))
        is_count = all(isinstance(value, int) and not isinstance(value, bool) for value in values)
        texts.append(f"{told} {name}" if is_count else f"{name} {told}")
    return printable(", ".join(texts))


def table(console: Console, headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Columns as wide as they need; the last one goes on below itself where the line is full, and between words.

    Without a terminal no line is broken, so that it can be searched.
    """
    printed = [[printable(text) for text in row] for row in rows]
    width = console.width if console.is_terminal else 10_000
    for number, line in enumerate(table_lines(headings, printed, width)):
        console.print(line, markup=False, soft_wrap=True, style="bold" if number == 0 else None)


def table_lines(headings: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> Iterator[str]:
    from rich.cells import cell_len

    first = headings[:-1]
    widths = [max(map(cell_len, [head, *(row[place] for row in rows)])) for place, head in enumerate(first)]
    room = max(width - sum(widths) - len(GAP) * len(widths), 16)
    for row in [headings, *rows]:
        cells = [text + " " * (of - cell_len(text)) for text, of in zip(row, widths, strict=False)]
        for number, part in enumerate(_parts(row[-1], room)):
            lead = cells if number == 0 else [" " * of for of in widths]
            yield GAP.join([*lead, part]).rstrip()


def _parts(text: str, width: int) -> list[str]:
    """Lines of a text, broken between words; a word that is too long stays whole."""
    from rich.cells import cell_len

    lines = [""]
    for word in text.split(" "):
        if lines[-1] and cell_len(lines[-1]) + 1 + cell_len(word) > width:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}" if lines[-1] else word
    return lines
