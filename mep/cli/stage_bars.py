"""A run as a terminal draws it: a line a stage with a bar, all arms of the stage together."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mep.cli.people import facts_text
from mep.errors import printable

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

    from mep.runner.plan import Plan, Task

BAR_WIDTH = 16
FULL, EMPTY, PARTS = "█", "░", " ▏▎▍▌▋▊▉"
"""Characters of a bar; a part of one shows a part of a character."""


@dataclass
class StageLine:
    """What is known of a stage.

    n_tasks     artifacts that the run needs of it
    at_work     how far each one at work is, 0 to 1, and what it says, by artifact
    facts       what each finished one came to, by artifact
    """

    name: str
    n_tasks: int
    n_done: int = 0
    n_reused: int = 0
    spent_s: float = 0.0
    at_work: dict[str, tuple[float, str]] = field(default_factory=dict)
    facts: dict[str, Mapping[str, object]] = field(default_factory=dict)

    @property
    def is_done(self) -> bool:
        return self.n_done == self.n_tasks

    @property
    def done_share(self) -> float:
        return (self.n_done + sum(share for share, _ in self.at_work.values())) / self.n_tasks

    @property
    def note(self) -> str:
        return "; ".join(filter(None, (note for _, note in self.at_work.values())))

    def sign(self) -> tuple[str, str]:
        """A character and its style."""
        if self.is_done:
            return ("=", "dim") if self.n_reused == self.n_tasks else ("+", "green")
        return (">", "cyan") if self.n_done or self.at_work else (".", "dim")

    def told(self) -> str:
        """How long it took and what came out, or how far it is."""
        from mep.report.text import seconds

        arms = f"{self.n_done}/{self.n_tasks} " if self.n_tasks > 1 and not self.is_done and self.note else ""
        if not self.is_done:
            return f"{arms}{self.note}"
        if self.n_reused == self.n_tasks:
            return "reused"
        reused = f"{self.n_reused} of {self.n_tasks} reused, " if self.n_reused else ""
        return f"{seconds(self.spent_s):>10}  {reused}{facts_text(list(self.facts.values()))}"


class StageBars:
    """The lines of a run, drawn in place; `started` to `reused` are told what happens."""

    def __init__(self, console: Console):
        from rich.live import Live

        self.console = console
        self.lines: dict[str, StageLine] = {}
        self.live = Live(get_renderable=self.picture, console=console, refresh_per_second=4, transient=False)

    def plan(self, plan: Plan) -> None:
        for task in plan.tasks:
            line = self.lines.setdefault(task.stage.name, StageLine(task.stage.name, 0))
            line.n_tasks += 1
        self.live.start()

    def reused(self, task: Task) -> None:
        line = self.lines[task.stage.name]
        line.n_done, line.n_reused = line.n_done + 1, line.n_reused + 1
        line.at_work.pop(task.artifact_id, None)

    def started(self, task: Task) -> None:
        self.lines[task.stage.name].at_work[task.artifact_id] = (0.0, _arms(task))

    def finished(self, task: Task, seconds: float, facts: Mapping[str, object]) -> None:
        line = self.lines[task.stage.name]
        line.n_done += 1
        line.at_work.pop(task.artifact_id, None)
        line.spent_s += seconds
        line.facts[task.artifact_id] = facts

    def note(self, task: Task, text: str, share: float | None = None) -> None:
        at_work = self.lines[task.stage.name].at_work
        reached, _ = at_work.get(task.artifact_id, (0.0, ""))
        at_work[task.artifact_id] = (reached if share is None else share, f"{_arms(task)} {text}".strip())

    def picture(self) -> RenderableType:
        from rich.console import Group

        return Group(*(_drawn(line, self.console.width) for line in self.lines.values()))

    def close(self) -> None:
        self.live.stop()


def _arms(task: Task) -> str:
    return printable(task.arms[0]) if len(task.arms) == 1 else ""


def _drawn(line: StageLine, width: int) -> Text:
    from rich.text import Text

    sign, style = line.sign()
    text = Text(f"{sign} {line.name:<11} ", style=style)
    text.append(bar(line.done_share), style="green" if line.is_done else "cyan")
    text.append(f"  {line.told()}", style="dim" if sign in "=." else "default")
    text.rstrip()
    text.truncate(width, overflow="ellipsis")
    return text


def bar(share: float, width: int = BAR_WIDTH) -> str:
    """A share from 0 to 1 as `width` characters."""
    eighths = round(min(max(share, 0.0), 1.0) * width * len(PARTS))
    full, part = divmod(eighths, len(PARTS))
    middle = PARTS[part] if part else ""
    return (FULL * full + middle).ljust(width, EMPTY)


class Pace:
    """How long the rest takes, at the pace since the first look."""

    def __init__(self) -> None:
        self.first = (time.monotonic(), 0, 0)

    def left(self, done: int, total: int) -> str:
        """`4 min left`; empty before there is a pace, and at the end."""
        if total != self.first[2] or done < self.first[1]:  # a stage may do one thing after the other
            self.first = (time.monotonic(), done, total)
        began, before, _ = self.first
        if done in (before, total):
            return ""
        left = (time.monotonic() - began) * (total - done) / (done - before)
        return f"{left:.0f} s left" if left < 100 else f"{left / 60:.0f} min left"
