"""What an attempt at a stage begins with, and what one that failed leaves behind."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mep.artifacts import Artifact
from mep.errors import MepError
from mep.runner.plan import Task
from mep.store import Store

LEARNING = {"base", "training"}
FIXED = "machine.deterministic"


def continued(store: Store, task: Task, traits: dict[str, object]) -> str:
    """Whether unfinished work is continued exactly: 'exact' or what differs now; '' if there is none.

    traits      of this machine, from `environment.traits`
    """
    folder = store.work_folder(task.artifact_id)
    if not any(path.is_file() for path in folder.rglob("*")):
        return ""
    earlier = store.db.query(
        "SELECT DISTINCT machine FROM attempts WHERE artifact_id = ? AND state != 'done'", task.artifact_id
    )
    changed = {
        f"{name} {before.get(name)} -> {value}"
        for before in (json.loads(row["machine"]) for row in earlier)
        for name, value in traits.items()
        if before.get(name) != value
    }
    if task.stage.name in LEARNING and str(traits["device"]).startswith("cuda") and not traits[FIXED]:
        changed.add(f"{FIXED} is off, and a GPU adds up in another order each time")
    return "not exact: " + "; ".join(sorted(changed)) if changed else "exact"


def inputs_of(task: Task, store: Store) -> dict[str, Artifact]:
    """What a stage reads, by the parameter of its function."""
    return {role: store.load(made.stage.output, made.artifact_id, made.config) for role, made in task.inputs.items()}


@contextmanager
def first_error_first(state: str) -> Iterator[None]:
    """An error while a failure is recorded (a full disk, say) must not hide the failure itself.

    The rows then still say `running`. As nobody holds the run's lock, the run counts as interrupted.
    """
    try:
        yield
    except (MepError, OSError):
        if state == "done":
            raise


def drop_empty(folder: Path) -> None:
    """Remove folders in which a failed attempt left nothing to continue from."""
    for path in sorted((path for path in (folder, *folder.rglob("*")) if path.is_dir()), reverse=True):
        if not any(path.iterdir()):
            path.rmdir()
