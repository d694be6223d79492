"""A run while it goes on, read from the store by another process: stages, time left, loss, memory."""

import itertools
import json
import os
import re
import socket
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from rich.console import Group
from rich.text import Text

from mep.report.text import plain, rounded, seconds
from mep.runner.status import status_of
from mep.store import Store
from mep.store.database import Row
from mep.store.runs import RunRow, find_run

BLOCKS = "▁▂▃▄▅▆▇█"
PROGRESS = re.compile(r"^(\S+) ([a-z-]+)\[(.*?)\] (\d+)/(\d+)")
"""A line of a run's log about a long stage: time, stage, arms, done, total."""
TAIL_BYTES = 200_000
"""The end of a log that is read: days of training make it long."""
WIDE = 40
"""Characters of a loss curve."""


@dataclass(frozen=True)
class Now:
    """The stage at work; `left_s` is None before there is a pace."""

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
    stages: list[Row]
    now: list[Now]
    memory_mb: float | None

    def as_data(self) -> Row:
        return vars(self) | {"now": [vars(stage) for stage in self.now]}


def snapshot(store: Store, name: str | None) -> Snapshot:
    """The run as it stands; the last one where no name is given.

    UsageError      no run, no such run, or several
    """
    row = find_run(store, name)
    status = status_of(store, row["run_id"])
    ended = datetime.fromisoformat(row["ended_at"]) if row["ended_at"] else datetime.now(UTC)
    running = status["state"] == "running"
    return Snapshot(
        **status,
        elapsed_s=(ended - datetime.fromisoformat(row["started_at"])).total_seconds(),
        now=_at_work(store, row["run_id"]) if running else [],
        memory_mb=_memory_mb(row) if running else None,
    )


def _at_work(store: Store, run_id: str) -> list[Now]:
    """What the last session is at, side by side or one by one; rows of earlier sessions were left by a kill."""
    running = "FROM attempts WHERE run_id = ? AND state = 'running'"
    last = f"SELECT session {running} ORDER BY attempt_id DESC LIMIT 1"
    attempts = store.db.query(f"SELECT * {running} AND session IS ({last}) ORDER BY attempt_id", run_id, run_id)
    if not attempts:
        return []
    lines = [line for text in _tail(store.run_folder(run_id) / "log.txt") if (line := PROGRESS.match(text))]
    return [_now(attempt, lines, store.work_folder(attempt["artifact_id"])) for attempt in attempts]


def _now(attempt: Row, lines: list[re.Match[str]], folder: Path) -> Now:
    stage, began = attempt["artifact_id"].split("/")[0], datetime.fromisoformat(attempt["started_at"])
    arms = json.loads(attempt["arms"])
    of_it = (line for line in lines if (line[2], line[3]) == (stage, ",".join(arms)))
    told = (Reached(datetime.fromisoformat(line[1]), int(line[4]), int(line[5])) for line in of_it)
    reached = [line for line in told if line.at >= began]
    return Now(
        stage=stage,
        arms=arms,
        done=reached[-1].done if reached else 0,
        total=reached[-1].total if reached else 0,
        since_s=(datetime.now(UTC) - began).total_seconds(),
        left_s=_left_s(began, reached),
        losses=_losses(folder),
    )


class Reached(NamedTuple):
    """A line of the log: how far a stage was at a moment."""

    at: datetime
    done: int
    total: int


def _tail(path: Path) -> list[str]:
    """The last lines of a text file; none where it is not there. A first line may be cut."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(size - TAIL_BYTES, 0))
            return file.read().decode("utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []


def _left_s(began: datetime, reached: list[Reached]) -> float | None:
    """From the pace between the first and the last line: a resumed stage did not begin at zero."""
    if not reached:
        return None
    first, last = reached[0], reached[-1]
    if last.done > first.done:
        pace = (last.at - first.at).total_seconds() / (last.done - first.done)
        return max((last.total - last.done) * pace - (datetime.now(UTC) - last.at).total_seconds(), 0)
    return (last.at - began).total_seconds() / last.done * (last.total - last.done) if last.done else None


def _losses(folder: Path) -> list[float]:
    """Losses of the newest log in a work folder that holds some."""
    for path in sorted(folder.glob("*.jsonl"), key=lambda path: path.stat().st_mtime, reverse=True):
        if losses := [loss for line in _tail(path) if (loss := _loss(line)) is not None]:
            return losses
    return []


def _loss(line: str) -> float | None:
    try:
        loss = json.loads(line)["loss"]
    except (json.JSONDecodeError, KeyError, TypeError):  # the first or last line may be cut
        return None
    return float(loss) if isinstance(loss, int | float) else None


def _memory_mb(row: RunRow) -> float | None:
    """Resident memory of the run's process and its workers, where it is on this machine."""
    import psutil

    if row["host"] != socket.gethostname():
        return None
    try:
        process = psutil.Process(row["pid"])
        processes = [process, *process.children(recursive=True)]
        return float(sum(each.memory_info().rss for each in processes)) / 1e6
    except psutil.Error:  # it ended meanwhile
        return None


def sparkline(values: list[float], width: int = WIDE) -> str:
    """Means of as many neighbours as fit a character, as bars; '' without values."""
    if not values:
        return ""
    cuts = [len(values) * place // width for place in range(width + 1)] if len(values) > width else []
    means = [sum(values[a:b]) / (b - a) for a, b in itertools.pairwise(cuts)] if cuts else values
    low, high = min(means), max(means)
    return "".join(BLOCKS[round((mean - low) / ((high - low) or 1) * (len(BLOCKS) - 1))] for mean in means)


SIGNS = {"done": "+", "reused": "=", "running": ">", "pending": ".", "failed": "!", "interrupted": "/"}


def as_lines(snapshot: Snapshot) -> list[str]:
    memory = f", {snapshot.memory_mb / 1000:.2f} GB" if snapshot.memory_mb is not None else ""
    lines = [f"{plain(snapshot.run_id)}  {snapshot.state}, {seconds(snapshot.elapsed_s)}{memory}"]
    if snapshot.error:
        lines.append(f"  {plain(snapshot.error)}")
    for row in snapshot.stages:
        arms = f"[{', '.join(map(plain, row['arms']))}]" if row["arms"] else ""
        time, losses = seconds(row["wall_s"]) if row.get("wall_s") else "", list[float]()
        for now in snapshot.now:
            if (now.stage, now.arms) == (row["stage"], row["arms"]) and row["state"] == "running":
                time, losses = _progress_text(now), now.losses
        time = ", ".join(filter(None, (plain(row["job"]["told"]) if "job" in row else "", time)))
        lines.append(f"  {SIGNS.get(row['state'], '?')} {row['stage']:<11} {arms:<24} {time}".rstrip())
        lines += [f"      loss {rounded(losses[-1])} {sparkline(losses)}"] if losses else []
    return lines


def _progress_text(now: Now) -> str:
    share = f"{now.done}/{now.total}, " if now.total else ""
    left = f", about {seconds(now.left_s)} left" if now.left_s is not None else ""
    return f"{share}{seconds(now.since_s)}{left}"


def as_rich(snapshot: Snapshot) -> Group:
    styles = {"+": "green", "=": "dim", ">": "bold cyan", ".": "dim", "!": "bold red", "/": "yellow"}
    first, *lines = as_lines(snapshot)
    return Group(
        Text(first, style="bold"),
        *(Text(line, style=styles.get(line.strip()[:1], ""), no_wrap=True, overflow="ellipsis") for line in lines),
    )
