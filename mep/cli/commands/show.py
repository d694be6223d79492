from pathlib import Path

import click

from mep.cli.commands._shared import JSON, RUN, open_store
from mep.cli.console import show, show_json, show_rows


@click.command()
@RUN
@JSON
@click.pass_obj
def command(runs: Path, run_id: str | None, as_json: bool) -> None:
    """Show a run: its sessions and attempts, every stage's artifact, every field and its origin."""
    from mep.runner.status import details_of

    details = details_of(open_store(runs, must_exist=True), run_id)
    if as_json:
        show_json(details)
        return
    for name in ("run_id", "state", "recipe_file", "started_at", "ended_at", "host"):
        show(f"{name:<12} {details[name]}")
    for title, columns in (
        ("sessions", ["session", "state", "started_at", "ended_at", "host", "cpu", "gpu", "git_commit", "git_dirty"]),
        ("attempts", ["session", "artifact_id", "arms", "state", "why", "wall_s", "peak_memory_mb", "resume", "error"]),
        ("events", ["at", "kind", "artifact_id", "message"]),
        ("artifacts", ["arm", "stage", "how", "folder"]),
        ("parameters", ["arm", "field", "value", "origin"]),
    ):
        show("")
        show_rows([{name: _short(value) for name, value in row.items()} for row in details[title]], columns)


def _short(value: object) -> object:
    return round(value, 1) if isinstance(value, float) else value
