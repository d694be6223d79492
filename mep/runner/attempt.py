"""What an attempt at a stage begins with, and what one that failed leaves behind."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mep.errors import MepError
from mep.runner.plan import Task
from mep.store import Store


def continued(store: Store, task: Task, traits: dict[str, Any]) -> str:
    """Whether unfinished work is continued exactly: '' where there is none, 'exact', or what is different now.

    traits      of this machine, as `environment.traits` gives them
    """
    folder = store.work_folder(task.stage.name, task.fingerprint)
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
    return "not exact: " + "; ".join(sorted(changed)) if changed else "exact"


@contextmanager
def first_error_first(state: str) -> Iterator[None]:
    """What goes wrong while a failure is being recorded (a full disk, say) must not hide the failure itself.

    The rows then still say `running`; as nobody holds the run's lock, its state is derived to be `interrupted`.
    """
    try:
        yield
    except (MepError, OSError):
        if state == "done":
            raise


def drop_empty(folder: Path) -> None:
    """Remove folders in which a failed attempt left nothing to continue from."""
    for path in sorted((path for path in folder.rglob("*") if path.is_dir()), reverse=True):
        if not any(path.iterdir()):
            path.rmdir()
    if folder.exists() and not any(folder.iterdir()):
        folder.rmdir()
