"""What the person sees: progress and errors on stderr, data on stdout. The only module that prints."""

import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.padding import Padding

from mep.errors import Interrupted, MepError, printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from mep.runner.forecast import Forecast
    from mep.runner.plan import Plan, Task

STEPS_WITHOUT_TERMINAL = 4
"""Lines that a long stage prints where there is no terminal to draw a bar on."""


def safe(text: str) -> str:
    """Text of a recipe, a label or a file name, shown as it is: no markup, and nothing that steers a terminal."""
    from rich.markup import escape

    return escape("\n".join(printable(line) for line in text.split("\n")))


def out() -> "Console":
    from rich.console import Console

    return Console(file=sys.stdout, highlight=False)


def err() -> "Console":
    from rich.console import Console

    return Console(file=sys.stderr, soft_wrap=not sys.stderr.isatty(), highlight=False)


def listing() -> "Console":
    """A console for tables of rows: as wide as the terminal, or as wide as the rows where there is none."""
    from rich.console import Console

    return out() if sys.stdout.isatty() else Console(file=sys.stdout, width=10_000, highlight=False)


def report_width() -> int:
    """Columns for the tables of a report: those of the terminal, 80 where there is none."""
    return out().width if sys.stdout.isatty() else 80


class Screen:
    """Hears what the runner does and draws it: a bar on a terminal, plain lines elsewhere."""

    def __init__(self) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self.console = err()
        self.bar = Progress(
            TextColumn("  [cyan]{task.description:<11}[/]"),
            BarColumn(30),
            TextColumn("{task.completed}/{task.total}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=self.console,
            transient=True,
            disable=not self.console.is_terminal,
        )

    def planned(self, run_id: str, plan: "Plan") -> None:
        self.run_id = run_id
        counts = ", ".join(f"{plan.count(s)} to {s}" for s in ("run", "continue", "reuse") if plan.count(s))
        n = len(plan.recipe.arms)
        self.console.print(f"[bold]{safe(run_id)}[/]  {n} arm{'s' * (n > 1)}, {len(plan.tasks)} stages: {counts}")
        self.several = n > 1
        self.n_arms = n

    def started(self, task: "Task") -> "StageProgress":
        return StageProgress(self, task)

    def reused(self, task: "Task") -> None:
        self.console.print(f"  [dim]= {self._name(task)}  reused[/]")

    def waiting(self, task: "Task", holder: str) -> None:
        self.console.print(f"  [yellow]… {self._name(task)}  waits: {safe(holder)} is making it[/]")

    def finished(self, task: "Task", seconds: float, facts: Mapping[str, object]) -> None:
        self.close()
        shown = ", ".join(
            f"{value} {name}" if isinstance(value, int) else f"{name} {value}" for name, value in facts.items()
        )
        self.console.print(f"  [green]+[/] {self._name(task)}  {seconds:6.1f} s  {safe(shown)}")

    def signalled(self, number: int, again: bool) -> None:
        show_cursor = "\x1b[?25h" if self.console.is_terminal else ""
        command = f"mep resume {self.run_id}"
        text = f"stopped; go on with: {command}" if again else "stopping where it can go on; once more stops at once"
        # Written past every buffer and lock: this runs inside a signal handler.
        os.write(2, f"{show_cursor}\n{text}\n".encode())

    def close(self) -> None:
        """Take the bar off the screen."""
        self.bar.stop()
        for task_id in list(self.bar.task_ids):
            self.bar.remove_task(task_id)

    def _name(self, task: "Task") -> str:
        own = self.several and len(task.arms) < self.n_arms
        return safe(f"{task.stage.name:<11} {'[' + ', '.join(task.arms) + ']' if own else '':<14}")


class StageProgress:
    """The progress of one stage."""

    def __init__(self, screen: Screen, task: "Task"):
        self.screen, self.task = screen, task
        self.row: Any = None
        self.next_line = 1 / STEPS_WITHOUT_TERMINAL
        self.first = (time.monotonic(), 0, 0)

    def update(self, done: int, total: int, note: str = "") -> None:
        bar = self.screen.bar
        if total != self.first[2] or done < self.first[1]:  # a stage may do one thing after the other
            self.first = (time.monotonic(), done, total)
        if self.screen.console.is_terminal:
            if self.row is None:
                bar.start()
                self.row = bar.add_task(self.task.stage.name, total=total, note="")
            bar.update(self.row, completed=done, total=total, note=note)
        elif note and done / total >= self.next_line:
            self.next_line = done / total + 1 / STEPS_WITHOUT_TERMINAL
            self.screen.console.print(
                f"    {self.screen._name(self.task)}  {done}/{total}  {safe(note)}{self._left(done, total)}"
            )

    def _left(self, done: int, total: int) -> str:
        """How long the rest takes at the pace since the first look; a bar tells it by itself."""
        began, before, _ = self.first
        if done in (before, total):
            return ""
        left = (time.monotonic() - began) * (total - done) / (done - before)
        return f", {left:.0f} s left" if left < 100 else f", {left / 60:.0f} min left"


class StepLines:
    """Progress of one thing, as a line at every quarter."""

    def __init__(self, title: str):
        self.title, self.next_line = title, 1 / STEPS_WITHOUT_TERMINAL

    def update(self, done: int, total: int, note: str = "") -> None:
        if done / total >= self.next_line:
            self.next_line = done / total + 1 / STEPS_WITHOUT_TERMINAL
            tell(f"{self.title}: {done}/{total} {note}".rstrip())


@contextmanager
def live() -> Iterator[Callable[[Any, list[str]], None]]:
    """Draws a picture in place on a terminal; elsewhere prints those of its lines that are new."""
    from rich.live import Live

    console = out()
    if console.is_terminal:
        with Live(console=console, auto_refresh=False) as screen:
            yield lambda picture, lines: screen.update(picture, refresh=True)
        return
    told: set[str] = set()

    def draw(picture: Any, lines: list[str]) -> None:
        for line in lines:
            if line not in told:
                told.add(line)
                print(line, flush=True)

    yield draw


def show_error(error: MepError) -> None:
    console = err()
    if isinstance(error, Interrupted):
        console.print(f"[yellow]{safe(error.message)}[/]")
    else:
        console.print(f"[bold red]error:[/] {safe(error.message)}")
    if error.hint:
        console.print(f"  [dim]hint:[/] {safe(error.hint)}")


def _table() -> "Table":
    from rich.table import Table

    return Table(box=None, pad_edge=False, header_style="bold")


def _few(names: list[str]) -> str:
    return ", ".join(names) if len(names) <= 4 else f"{names[0]} ... {names[-1]} ({len(names)})"


def show_plan(plan: "Plan") -> None:
    table = _table()
    for name in ("stage", "arms", "", "why"):
        table.add_column(name)
    colours = {"reuse": "dim", "run": "green", "continue": "yellow"}
    for task in plan.tasks:
        arms = "all" if len(task.arms) == len(plan.recipe.arms) else _few(task.arms)
        status = f"[{colours[task.status]}]{task.status}[/]"
        table.add_row(task.stage.name, safe(arms), status, safe(task.why))
    listing().print(table)
    for lack in plan.lacks:
        err().print(f"[yellow]{safe(lack.message)}[/]\n  [dim]hint:[/] {safe(lack.hint)}")


def show_forecast(forecast: "Forecast") -> None:
    """What a run asks for, below its plan."""
    console = listing()
    rows = []
    for arm in forecast.arms:
        shown = {"prompts": arm.prompts, "samples": arm.samples}
        at_most = {name: f"<= {n}" for name, n in shown.items() if n is not None and not arm.are_known}
        rows.append({name: "-" if value is None else value for name, value in (asdict(arm) | at_most).items()})
    console.print()
    show_rows(rows, [name for name in rows[0] if name != "are_known"])
    console.print()
    if forecast.untimed:
        cost = f"time not known: {_few(forecast.untimed)} did not run here yet"
    else:
        cost = f"about {forecast.time_s or 0:.0f} s and {(forecast.memory_mb or 0) / 1000:.1f} GB of memory, as before"
    disk = f"{size(forecast.disk_bytes)} of disk for latents and samples, beside models and checkpoints"
    console.print(safe(f"asks for {disk}; {cost}"))
    for place, one in forecast.downloads.items():
        known = "size unknown, the hub does not answer" if one.bytes is None else size(one.bytes)
        console.print(safe(f"downloads {one.id} (revision {one.revision}, {known}) for {place.partition(':')[0]}"))
    for note in forecast.notes:
        console.print(f"[yellow]note:[/] {safe(note)}")


def show_rows(rows: Iterable[dict[str, Any]], columns: list[str]) -> None:
    """Rows as a plain table, every value as text."""
    table = _table()
    for name in columns:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(safe("" if row.get(name) is None else str(row[name])) for name in columns))
    listing().print(table)


def show_chain(links: list[tuple[str, str, dict[str, Any]]]) -> None:
    """Steps one under the other: what, which one, and what is known of it."""
    console = listing()
    for what, name, facts in links:
        console.print(f"[bold]{safe(f'{what:<11}')}[/] {safe(name)}")
        shown = (
            f"[dim]{safe(fact)}[/] {safe(', '.join(map(str, value)) if isinstance(value, list) else str(value))}"
            for fact, value in facts.items()
        )
        console.print(Padding("; ".join(shown), (0, 0, 0, 12), expand=False))


def size(n_bytes: float) -> str:
    """Bytes as a person says them."""
    for unit in ("B", "kB", "MB", "GB"):
        if n_bytes < 1000:
            return f"{n_bytes:.0f} {unit}" if unit == "B" else f"{n_bytes:.1f} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.1f} TB"


def listing_or_json(rows: list[dict[str, Any]], columns: list[str], as_json: bool) -> None:
    """Rows as JSON, or as a plain table where there are any."""
    if as_json:
        show(json.dumps(rows, indent=1))
    elif rows:
        show_rows(rows, columns)


def show(text: str) -> None:
    """A line of data, as it is."""
    print(text)


def tell(text: str) -> None:
    """A line about what was done, on stderr."""
    err().print(safe(text))
