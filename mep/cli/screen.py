"""What goes on, as it is drawn: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mep.cli.console import err, out, safe, tell
from mep.cli.people import facts_text, few, folded
from mep.cli.stage_bars import Pace, StageBars
from mep.errors import printable
from mep.runner.callback import RunCallback

if TYPE_CHECKING:
    from rich.console import RenderableType

    from mep.runner.plan import Plan, Task

STEPS_WITHOUT_TERMINAL = 4
"""Lines that a long stage prints where there is no terminal to draw a bar on."""


class Screen(RunCallback):
    """Hears what the runner does and draws it: a bar a stage on a terminal, plain lines elsewhere."""

    def __init__(self) -> None:
        self.console = err()
        self.bars = StageBars(self.console) if self.console.is_terminal else None

    def planned(self, run_id: str, plan: Plan) -> None:
        self.run_id = run_id
        self.n_arms = n = len(plan.recipe.arms)
        counts = ", ".join(f"{plan.count(s)} to {s}" for s in ("run", "continue", "fetch", "reuse") if plan.count(s))
        self.console.print(f"[bold]{safe(run_id)}[/]  {n} arm{'s' * (n > 1)}, {len(plan.tasks)} stages: {counts}")
        if self.bars:
            self.bars.plan(plan)

    def started(self, task: Task) -> StageProgress:
        if self.bars:
            self.bars.started(task)
        return StageProgress(self, task)

    def reused(self, task: Task) -> None:
        if self.bars:
            self.bars.reused(task)
        else:
            self.console.print(f"  [dim]= {self._name(task)}  reused[/]")

    def fetched(self, task: Task, address: str) -> None:
        if self.bars:
            self.bars.reused(task)
        else:
            self.console.print(f"  [dim]= {self._name(task)}  from {safe(address)}[/]")

    def warned(self, text: str) -> None:
        self.console.print(f"[yellow]warning:[/] {safe(text)}")

    def waiting(self, task: Task, why: str) -> None:
        if self.bars:
            self.bars.note(task, f"waits: {printable(why)}")
        else:
            self.console.print(f"  [yellow]… {self._name(task)}  waits: {safe(why)}[/]")

    def finished(self, task: Task, seconds: float, facts: Mapping[str, object]) -> None:
        if self.bars:
            self.bars.finished(task, seconds, facts)
        else:
            told = safe(facts_text([facts]))
            self.console.print(f"  [green]+[/] {self._name(task)}  {seconds:6.1f} s  {told}")

    def signalled(self, number: int, again: bool) -> None:
        show_cursor = "\x1b[?25h" if self.console.is_terminal else ""
        command = f"mep resume {self.run_id}"
        text = f"stopped; go on with: {command}" if again else "stopping where it can go on; once more stops at once"
        # Written past every buffer and lock: this runs inside a signal handler.
        os.write(2, f"{show_cursor}\n{text}\n".encode())

    def close(self) -> None:
        if self.bars:
            self.bars.close()

    def _name(self, task: Task) -> str:
        arms = f"[{few(folded(task.arms))}]" if len(task.arms) < self.n_arms else ""
        return safe(f"{task.stage.name:<11} {arms:<14}")


class StageProgress:
    def __init__(self, screen: Screen, task: Task):
        self.screen, self.task, self.pace = screen, task, Pace()
        self.next_line = 1 / STEPS_WITHOUT_TERMINAL

    def update(self, done: int, total: int, note: str = "") -> None:
        left = self.pace.left(done, total)
        if self.screen.bars:
            self.screen.bars.note(self.task, ", ".join(filter(None, [f"{done}/{total}", left, note])), done / total)
        elif note and done / total >= self.next_line:
            self.next_line = done / total + 1 / STEPS_WITHOUT_TERMINAL
            text = ", ".join(filter(None, [safe(note), left]))
            self.screen.console.print(f"    {self.screen._name(self.task)}  {done}/{total}  {text}")


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
