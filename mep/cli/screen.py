"""What goes on, as it is drawn: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mep.cli.console import err, out, safe, tell
from mep.runner.callback import RunCallback

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.progress import TaskID

    from mep.runner.plan import Plan, Task

STEPS_WITHOUT_TERMINAL = 4
"""Lines that a long stage prints where there is no terminal to draw a bar on."""


class Screen(RunCallback):
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

    def planned(self, run_id: str, plan: Plan) -> None:
        self.run_id = run_id
        self.n_arms = n = len(plan.recipe.arms)
        counts = ", ".join(f"{plan.count(s)} to {s}" for s in ("run", "continue", "reuse") if plan.count(s))
        self.console.print(f"[bold]{safe(run_id)}[/]  {n} arm{'s' * (n > 1)}, {len(plan.tasks)} stages: {counts}")

    def started(self, task: Task) -> StageProgress:
        return StageProgress(self, task)

    def reused(self, task: Task) -> None:
        self.console.print(f"  [dim]= {self._name(task)}  reused[/]")

    def waiting(self, task: Task, holder: str) -> None:
        self.console.print(f"  [yellow]… {self._name(task)}  waits: {safe(holder)} is making it[/]")

    def finished(self, task: Task, seconds: float, facts: Mapping[str, object]) -> None:
        self.close()
        shown = (f"{value} {name}" if isinstance(value, int) else f"{name} {value}" for name, value in facts.items())
        self.console.print(f"  [green]+[/] {self._name(task)}  {seconds:6.1f} s  {safe(', '.join(shown))}")

    def signalled(self, number: int, again: bool) -> None:
        show_cursor = "\x1b[?25h" if self.console.is_terminal else ""
        command = f"mep resume {self.run_id}"
        text = f"stopped; go on with: {command}" if again else "stopping where it can go on; once more stops at once"
        # Written past every buffer and lock: this runs inside a signal handler.
        os.write(2, f"{show_cursor}\n{text}\n".encode())

    def close(self) -> None:
        self.bar.stop()
        for task_id in list(self.bar.task_ids):
            self.bar.remove_task(task_id)

    def _name(self, task: Task) -> str:
        arms = f"[{', '.join(task.arms)}]" if len(task.arms) < self.n_arms else ""
        return safe(f"{task.stage.name:<11} {arms:<14}")


class StageProgress:
    def __init__(self, screen: Screen, task: Task):
        self.screen, self.task = screen, task
        self.row: TaskID | None = None
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
            text = f"{done}/{total}  {safe(note)}{self._left(done, total)}"
            self.screen.console.print(f"    {self.screen._name(self.task)}  {text}")

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
def live() -> Iterator[Callable[[RenderableType, list[str]], None]]:
    """Draws a picture in place on a terminal; elsewhere prints those of its lines that are new."""
    from rich.live import Live

    console = out()
    if console.is_terminal:
        with Live(console=console, auto_refresh=False) as screen:
            yield lambda picture, lines: screen.update(picture, refresh=True)
        return
    drawn: set[str] = set()

    def draw(picture: RenderableType, lines: list[str]) -> None:
        for line in lines:
            if line not in drawn:
                drawn.add(line)
                print(line, flush=True)

    yield draw
