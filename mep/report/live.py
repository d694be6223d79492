"""A run while it goes on, read from the store by another process: stages, time left, loss, memory."""

import itertools
import json
import os
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mep.report.text import plain, rounded
from mep.runner.status import status_of
from mep.store import Store
from mep.store.runs import find_run

if TYPE_CHECKING:
    from rich.console import Group

BLOCKS = "▁▂▃▄▅▆▇█"
PROGRESS = re.compile(r"^(\S+) ([a-z-]+)\[(.*?)\] (\d+)/(\d+)")
"""A line of a run's log about a long stage: time, stage, arms, done, total."""
TAIL_BYTES = 200_000
"""The end of a log that is read: days of training make it long."""
WIDE = 40
"""Characters of a loss curve."""


@dataclass(frozen=True)
class Now:
    """The stage at work.

    left_s      seconds until it ends at its present pace; None before there is one
    """

    stage: str
    arms: list[str]
    done: int
    total: int
    since_s: float
    left_s: float | None
    losses: list[float]


@dataclass(frozen=True)
class Snapshot:
    """A run at one moment; memory_mb is that of its processes, None where they are not on this machine."""

    run_id: str
    state: str
    error: str
    elapsed_s: float
    stages: list[dict[str, Any]]
    now: list[Now]
    memory_mb: float | None

    def as_data(self) -> dict[str, Any]:
        return vars(self) | {"now": [vars(one) for one in self.now]}


def snapshot(store: Store, name: str | None) -> Snapshot:
    """The run as it stands; the last one where no name is given.

    UsageError      no run, no such run, or several
    """
    row = find_run(store, name)
    found = status_of(store, row["run_id"])
    ended = datetime.fromisoformat(row["ended_at"]) if row["ended_at"] else datetime.now(UTC)
    running = found["state"] == "running"
    return Snapshot(
        run_id=row["run_id"],
        state=found["state"],
        error=found["error"],
        elapsed_s=(ended - datetime.fromisoformat(row["started_at"])).total_seconds(),
        stages=found["stages"],
        now=list(_at_work(store, row["run_id"])) if running else [],
        memory_mb=_memory_mb(row) if running else None,
    )


def _at_work(store: Store, run_id: str) -> Iterator[Now]:
    lines = list(_progress(store.run_folder(run_id) / "log.txt"))
    rows = store.db.query("SELECT * FROM attempts WHERE run_id = ? AND state = 'running' ORDER BY attempt_id", run_id)
    for attempt in rows[-1:]:  # a run works on one stage; an earlier row was left by a kill
        stage, fingerprint = attempt["artifact_id"].split("/")
        began = datetime.fromisoformat(attempt["started_at"])
        seen = [one for one in lines if one[1] == stage and one[0] >= began]
        losses = _losses(store.work_folder(stage, fingerprint))
        done, total = seen[-1][2:] if seen else (0, 0)
        yield Now(
            stage=stage,
            arms=json.loads(attempt["arms"]),
            done=done,
            total=total,
            since_s=(datetime.now(UTC) - began).total_seconds(),
            left_s=_left_s(began, seen),
            losses=losses,
        )


Seen = tuple[datetime, str, int, int]
"""When, stage, done, total."""


def _progress(path: Path) -> Iterator[Seen]:
    for line in _tail(path):
        if found := PROGRESS.match(line):
            yield datetime.fromisoformat(found[1]), found[2], int(found[4]), int(found[5])


def _tail(path: Path) -> list[str]:
    """The last lines of a text file; none where it is not there. A first line may be cut."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(size - TAIL_BYTES, 0))
            return file.read().decode("utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []


def _left_s(began: datetime, seen: list[Seen]) -> float | None:
    """From the pace between the first and the last line: a resumed stage did not begin at zero."""
    if len(seen) >= 2 and seen[-1][2] > seen[0][2]:
        pace = (seen[-1][0] - seen[0][0]).total_seconds() / (seen[-1][2] - seen[0][2])
        return max((seen[-1][3] - seen[-1][2]) * pace - (datetime.now(UTC) - seen[-1][0]).total_seconds(), 0)
    if seen and seen[-1][2]:
        return (seen[-1][0] - began).total_seconds() / seen[-1][2] * (seen[-1][3] - seen[-1][2])
    return None


def _losses(folder: Path) -> list[float]:
    """Losses of the newest log in a work folder that holds some."""
    logs = sorted(folder.glob("*.jsonl"), key=lambda path: path.stat().st_mtime)
    for path in reversed(logs):
        found = [value for line in _tail(path) if (value := _loss(line)) is not None]
        if found:
            return found
    return []


def _loss(line: str) -> float | None:
    try:
        row = json.loads(line)
    except json.JSONDecodeError:  # the first or last line may be cut
        return None
    loss = row.get("loss") if isinstance(row, dict) else None
    return float(loss) if isinstance(loss, int | float) else None


def _memory_mb(row: dict[str, Any]) -> float | None:
    """Resident memory of the run's process and its workers, where it is on this machine."""
    import psutil

    if row["host"] != socket.gethostname():
        return None
    try:
        process = psutil.Process(row["pid"])
        return float(sum(one.memory_info().rss for one in [process, *process.children(recursive=True)])) / 1e6
    except psutil.Error:  # it ended meanwhile
        return None


def sparkline(values: list[float], width: int = WIDE) -> str:
    """Means of as many neighbours as fit a character, as bars; '' without values."""
    if not values:
        return ""
    cuts = [len(values) * place // width for place in range(width + 1)] if len(values) > width else []
    means = [sum(values[a:b]) / (b - a) for a, b in itertools.pairwise(cuts)] if cuts else values
    low, high = min(means), max(means)
    return "".join(BLOCKS[round((one - low) / ((high - low) or 1) * (len(BLOCKS) - 1))] for one in means)


def as_lines(found: Snapshot) -> list[str]:
    """The moment in plain lines."""
    from mep.report.text import seconds

    memory = f", {found.memory_mb / 1000:.2f} GB" if found.memory_mb is not None else ""
    lines = [f"{plain(found.run_id)}  {found.state}, {seconds(found.elapsed_s)}{memory}"]
    if found.error:
        lines.append(f"  {plain(found.error)}")
    signs = {"done": "+", "reused": "=", "running": ">", "pending": ".", "failed": "!", "interrupted": "/"}
    for row in found.stages:
        own = next((one for one in found.now if one.stage == row["stage"] and row["state"] == "running"), None)
        arms = f"[{', '.join(plain(arm) for arm in row['arms'])}]" if row["arms"] else ""
        told = _at(own) if own else seconds(row["wall_s"]) if row.get("wall_s") else ""
        lines.append(f"  {signs.get(row['state'], '?')} {row['stage']:<11} {arms:<24} {told}".rstrip())
        if own and own.losses:
            lines.append(f"      loss {rounded(own.losses[-1])} {sparkline(own.losses)}")
    return lines


def _at(own: Now) -> str:
    from mep.report.text import seconds

    share = f"{own.done}/{own.total}, " if own.total else ""
    left = f", about {seconds(own.left_s)} left" if own.left_s is not None else ""
    return f"{share}{seconds(own.since_s)}{left}"


def as_rich(found: Snapshot) -> "Group":
    from rich.console import Group
    from rich.text import Text

    styles = {"+": "green", "=": "dim", ">": "bold cyan", ".": "dim", "!": "bold red", "/": "yellow"}
    lines = as_lines(found)
    return Group(
        Text(lines[0], style="bold"),
        *(Text(line, style=styles.get(line.strip()[:1], ""), no_wrap=True, overflow="ellipsis") for line in lines[1:]),
    )
