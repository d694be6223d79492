"""What the person sees: messages and errors on stderr, data on stdout. `screen` draws what goes on."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mep.errors import Interrupted, MepError, printable

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table


def safe(text: str) -> str:
    """Text of a recipe, a label or a file name, shown as it is: no markup, and nothing that steers a terminal."""
    from rich.markup import escape

    return escape("\n".join(printable(line) for line in text.split("\n")))


def _console(**settings: Any) -> Console:
    from rich.console import Console

    return Console(highlight=False, **settings)


def out() -> Console:
    return _console(file=sys.stdout)


def err() -> Console:
    return _console(file=sys.stderr, soft_wrap=not sys.stderr.isatty())


def listing() -> Console:
    """As wide as the terminal, or as wide as its rows where there is none."""
    return out() if sys.stdout.isatty() else _console(file=sys.stdout, width=10_000)


def report_width() -> int:
    """Columns for the tables of a report: those of the terminal, 80 where there is none."""
    return out().width if sys.stdout.isatty() else 80


def plain_text(picture: RenderableType) -> str:
    text = io.StringIO()
    _console(file=text, width=80).print(picture)
    return text.getvalue()


def show_error(error: MepError) -> None:
    message = safe(error.message)
    err().print(f"[yellow]{message}[/]" if isinstance(error, Interrupted) else f"[bold red]error:[/] {message}")
    if error.hint:
        err().print(f"  [dim]hint:[/] {safe(error.hint)}")


def plain_table(*columns: str) -> Table:
    from rich.table import Table

    return Table(*columns, box=None, pad_edge=False, header_style="bold")


def show_rows(rows: Iterable[Mapping[str, object]], columns: list[str], *, floats: str = "") -> None:
    """Rows as a plain table, every value as text; `floats` formats those that are floats."""
    table = plain_table()
    for name in columns:
        table.add_column(name, overflow="fold")
    for row in rows:
        values = ("" if row.get(name) is None else row[name] for name in columns)
        texts = (format(value, floats if isinstance(value, float) else "") for value in values)
        table.add_row(*map(safe, texts))
    listing().print(table)


def size(n_bytes: float) -> str:
    """Bytes as a person says them."""
    for unit in ("B", "kB", "MB", "GB"):
        if n_bytes < 1000:
            return f"{n_bytes:.0f} {unit}" if unit == "B" else f"{n_bytes:.1f} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.1f} TB"


def listing_or_json(rows: Sequence[Mapping[str, object]], columns: list[str], as_json: bool) -> None:
    """Rows as JSON, or as a plain table where there are any."""
    if as_json:
        show_json(rows)
    elif rows:
        show_rows(rows, columns)


def show_json(data: object) -> None:
    show(json.dumps(data, indent=1, ensure_ascii=False))


def show(text: str) -> None:
    """A line of data, as it is."""
    print(text)


def tell(text: str) -> None:
    """A line about what was done, on stderr."""
    err().print(safe(text))
