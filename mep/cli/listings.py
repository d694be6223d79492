"""What `mep ls`, `mep status` and `mep show` print."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from mep.cli.console import out, show
from mep.cli.people import facts_text, folded, moment, table, took
from mep.errors import printable

if TYPE_CHECKING:
    from mep.store.database import Row

WIDE = 100
"""Columns of a terminal from which the memory of stages is told too."""
MOST_ROWS, MOST_NAMES = 4, 2
"""Arms that have a line each below a stage, and arms that are named in one; more are counted."""
MOST_DIFFERENCES = 8
"""Fields in which arms differ that are told without --all."""

SECTIONS = {
    "sessions": ["session", "state", "started_at", "ended_at", "host", "cpu", "gpu", "git_commit", "git_dirty"],
    "attempts": ["session", "artifact_id", "state", "wall_s", "peak_memory_mb", "resume", "arms", "why", "error"],
    "events": ["at", "kind", "artifact_id", "message"],
    "artifacts": ["arm", "stage", "how", "folder"],
    "parameters": ["field", "arm", "origin", "value"],
}
"""What `mep show --all` tells, and its columns; the longest comes last."""
MOMENTS = ("started_at", "ended_at", "at")


def show_runs(rows: Sequence[Row]) -> None:
    """A run a line, oldest first."""
    lines = [
        [
            row["run_id"],
            row["state"],
            moment(row["started_at"]),
            took(row["started_at"], row["ended_at"]),
            ", ".join(folded(row["arms"])),
        ]
        for row in rows
    ]
    table(out(), ["run", "state", "started (UTC)", "took", "arms"], lines)


def show_status(status: Row, details: Row) -> None:
    """A stage a line, or one for each arm that did it by itself."""
    from mep.report.text import memory, seconds

    show(_headline(details))
    if status["error"]:
        show(f"  {printable(status['error'])}")
    show("")
    console, arms = out(), _all_arms(details)
    is_wide = console.width >= WIDE or not console.is_terminal
    lines = []
    for stage, rows in groupby(status["stages"], key=itemgetter("stage")):
        for number, group in enumerate(_together(sorted(rows, key=lambda row: _place(row["arms"], arms)))):
            spent = [row["wall_s"] for row in group if row.get("wall_s") is not None]
            memories = [row["peak_memory_mb"] for row in group if row.get("peak_memory_mb")]
            told = next((row["error"] for row in group if row.get("error")), "")
            cells = ["" if number else stage, _arms([arm for row in group for arm in row["arms"]], len(arms))]
            cells += [group[0]["state"], seconds(sum(spent)) if spent else ""]
            cells += [memory(max(memories)) if memories else ""] if is_wide else []
            jobs = "; ".join(row["job"]["told"] for row in group if "job" in row)
            lines.append([*cells, printable(told or jobs) or facts_text([row["facts"] for row in group])])
    table(console, ["stage", "arm", "state", "took", *(["memory"] if is_wide else []), "what came out"], lines)


def _headline(details: Row) -> str:
    time = took(details["started_at"], details["ended_at"])
    return f"{details['run_id']}  {details['state']}{' in ' + time if time else ''}"


def _all_arms(details: Row) -> list[str]:
    return list(dict.fromkeys(row["arm"] for row in details["parameters"]))


def _place(arms: Sequence[str], order: list[str]) -> int:
    return min((order.index(arm) for arm in arms if arm in order), default=len(order))


def _together(rows: list[Row]) -> Iterator[list[Row]]:
    """The rows of a stage one by one, or by their state where there are many."""
    if len(rows) <= MOST_ROWS:
        yield from ([row] for row in rows)
        return
    for state in dict.fromkeys(row["state"] for row in rows):
        yield [row for row in rows if row["state"] == state]


def _arms(arms: Sequence[str], n_arms: int) -> str:
    """all; label-only, mep; 7 arms."""
    if not arms or len(arms) == n_arms > 1:
        return "all" if arms else ""
    names = folded(arms)
    return ", ".join(names) if len(names) <= MOST_NAMES else f"{len(arms)} arms"


def show_details(details: Row, *, everything: bool) -> None:
    """What a run is, in two screens; with `everything` all that the provenance has."""
    show(_headline(details))
    for name, value in _facts(details):
        show(f"{name:<9}  {printable(value)}")
    if everything:
        for title, columns in SECTIONS.items():
            show(f"\n{title}")
            table(out(), columns, [[_text(name, row.get(name)) for name in columns] for row in details[title]])
        return
    show("")
    table(out(), ["arm", "field", "value"], _differences(details["parameters"]))
    show("")
    table(out(), ["arm", "state", "took", "artifact, in store/"], _artifacts(details))
    fields = {row["field"] for row in details["parameters"]}
    given = {row["field"] for row in details["parameters"] if row["origin"] != "default"}
    show(f"\n{len(fields)} fields, {len(given)} of them given. All, with every attempt and event:")
    show(f"mep show {details['run_id']} --all")


def _facts(details: Row) -> Iterator[tuple[str, str]]:
    n, last = len(details["sessions"]), details["sessions"][-1] if details["sessions"] else {}
    yield "recipe", details["recipe_file"]
    yield (
        "started",
        f"{moment(details['started_at'])} UTC, {n} session{'s' * (n != 1)}, host {details['host']}",
    )
    machine = ", ".join(str(last[name]) for name in ("cpu", "gpu") if last.get(name))
    if machine:
        yield "machine", machine
    if last.get("git_commit"):
        yield "code", f"{last['git_commit'][:9]}{', with changes' if last.get('git_dirty') else ''}"
    if details["error"]:
        yield "error", details["error"]


def _differences(parameters: Sequence[Row]) -> list[list[str]]:
    """Arm, field and value, where not all arms have the same."""
    from mep.recipe.model import repeat_of
    from mep.report.text import clipped

    values: dict[str, dict[str, str]] = {}
    for row in parameters:
        values.setdefault(row["field"], {})[row["arm"]] = row["value"]
    n_arms = len({row["arm"] for row in parameters})
    differing = [field for field, of in values.items() if len(set(of.values())) > 1 or len(of) < n_arms]
    rows = []
    for field in differing[:MOST_DIFFERENCES]:
        arms: dict[tuple[str, str], list[str]] = {}
        for arm, value in values[field].items():
            arms.setdefault((repeat_of(arm)[0], value), []).append(arm)
        rows += [[*folded(of), field, clipped(_text("value", value))] for (_, value), of in arms.items()]
    more = len(differing) - MOST_DIFFERENCES
    return [*rows, *([["", f"and {more} more fields", ""]] if more > 0 else [])]


def _artifacts(details: Row) -> list[list[str]]:
    """A line an artifact, in the order of the pipeline."""
    from mep.report.text import seconds

    spent: dict[str, float] = {}
    for attempt in details["attempts"]:
        spent[attempt["artifact_id"]] = spent.get(attempt["artifact_id"], 0) + (attempt["wall_s"] or 0)
    users: dict[tuple[str, str], list[str]] = {}
    for use in details["artifacts"]:
        users.setdefault((use["artifact_id"], use["how"]), []).append(use["arm"])
    n_arms, of_stage = len(_all_arms(details)), Counter(artifact.split("/")[0] for artifact, _ in users)
    return [
        [_arms(arms, n_arms), how, seconds(spent[artifact]) if artifact in spent else "", artifact]
        for (artifact, how), arms in users.items()
        if of_stage[artifact.split("/")[0]] <= MOST_ROWS
    ] + [["", "", "", f"{stage}/: {n} artifacts"] for stage, n in of_stage.items() if n > MOST_ROWS]


def _text(name: str, value: Any) -> str:
    """A value of the provenance as a person writes it: no quotes, no milliseconds."""
    from mep.report.text import memory, seconds

    if value is None or value == "":
        return ""
    if name in MOMENTS:
        return moment(value)
    if name == "wall_s":
        return seconds(value)
    if name == "peak_memory_mb":
        return memory(value)
    if name == "git_dirty":
        return "changed" if value else "as committed"
    if name in ("arms", "value"):
        return _plainly(json.loads(value))
    return str(value)


def _plainly(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_plainly, value))
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_plainly(item)}" for name, item in value.items())
    return "none" if value is None else {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
