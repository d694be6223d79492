"""The database made anew from what lies beside it: the journals of the runs and the manifests of the artifacts."""

import os
from dataclasses import dataclass
from pathlib import Path

from mep.machine.files import link_or_copy, removed_on_failure
from mep.store import Store
from mep.store.database import Database
from mep.store.journal import JOURNAL, read_journal


@dataclass(frozen=True)
class Rebuilt:
    """What the new database holds, and what it could not take in.

    without_journal     run folders that tell nothing
    unreadable          artifacts whose manifest cannot be trusted
    kept_as             where the database that was there lies now, empty if there was none
    """

    n_runs: int
    n_artifacts: int
    without_journal: list[str]
    unreadable: list[str]
    kept_as: str


def rebuild(store: Store) -> Rebuilt:
    """Write `mep.db` anew; the one that was there is kept beside it.

    Locked      a run is going on
    """
    with store.in_use():
        path, fresh = store.root / "mep.db", store.root / "mep.db.new"
        fresh.unlink(missing_ok=True)
        folders = sorted(lock.parent for lock in store.root.glob("*/recipe.lock.yaml"))
        journals = [folder / JOURNAL for folder in folders if (folder / JOURNAL).exists()]
        with removed_on_failure(fresh), removed_on_failure(fresh.with_name(f"{fresh.name}-journal")):
            anew = Store(store.root)
            anew.db = Database(fresh)
            for journal in sorted(journals, key=_started_at):
                anew.db.put(read_journal(journal))
            names = anew.committed()
            recorded = [name for name in names if anew.record(name)]
            anew.db.close()
        old = path.with_name("mep.db.old")
        _keep(path, old)
        os.replace(fresh, path)
        fresh.with_name(f"{fresh.name}-journal").unlink(missing_ok=True)
    return Rebuilt(
        n_runs=len(journals),
        n_artifacts=len(recorded),
        without_journal=[folder.name for folder in folders if not (folder / JOURNAL).exists()],
        unreadable=sorted(set(names) - set(recorded)),
        kept_as=str(old) if old.exists() else "",
    )


def _keep(path: Path, old: Path) -> None:
    """Give the database that was there a second name. The journal of a transaction that a kill cut short goes along:
    SQLite would play it back into the new database."""
    old.unlink(missing_ok=True)
    journal = path.with_name(f"{path.name}-journal")
    if journal.exists():
        os.replace(journal, old.with_name(f"{old.name}-journal"))
    if path.exists():
        link_or_copy(path, old)


def _started_at(journal: Path) -> str:
    return next((str(row["started_at"]) for table, row in read_journal(journal) if table == "runs"), "")
