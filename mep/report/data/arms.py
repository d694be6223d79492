"""The numbers of runs as the provenance has them: one query for hundreds of runs, whether or not files still exist."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from mep.artifacts.score_row import SQL_COLUMNS
from mep.errors import UsageError
from mep.stages import stages
from mep.store import Store
from mep.store.runs import state_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

REPEAT = "#"
"""Between an arm and the number of its repeat: `mep#2` is the second training of `mep`."""


@dataclass(frozen=True, eq=False, slots=True)
class Entry:
    """A score as it was stored: hundreds of runs have a hundred thousand, so the whole row is made when asked for.

    protocol    what was stored with it beside the columns
    dataset     artifact that its real images came from
    """

    metric: str
    subject: str
    value: float | None
    se: float | None
    better: str
    reference: str
    n_real: int
    n_fake: int
    extractor: str
    protocol: dict[str, Any]
    dataset: str
    artifact_id: str
    number: int
    references: str = ""

    @property
    def row(self) -> dict[str, Any]:
        """Everything that was stored, by name."""
        return {name: getattr(self, name) for name in SQL_COLUMNS} | self.protocol


Key = tuple[str, str, str, str]
"""Extractor, metric, group, reference."""


@dataclass(eq=False)
class Arm:
    """One arm of one run.

    label       its name in tables: the arm's own where one run is shown, else with the run
    missing     stages without a result, of a run that has not ended well
    entries     (subject, key) -> score
    """

    label: str
    run_id: str
    name: str
    state: str
    error: str = ""
    missing: list[str] = field(default_factory=list)
    entries: dict[tuple[str, Key], Entry] = field(default_factory=dict)

    @property
    def stem(self) -> str:
        """The arm that this one repeats, or its own name."""
        return self.name.split(REPEAT)[0]

    @property
    def repeat(self) -> int:
        """1 for the first training of an arm."""
        return int(self.name.partition(REPEAT)[2] or 1)


def read_arms(store: Store, run_ids: Sequence[str]) -> list[Arm]:
    """Every arm of the runs with its scores, in the order of the runs.

    UsageError      there is no such run
    """
    wanted = list(dict.fromkeys(run_ids))
    runs = {row["run_id"]: row for row in _of_runs(store, "SELECT * FROM runs WHERE", wanted)}
    for run_id in wanted:
        if run_id not in runs:
            raise UsageError(f"there is no run '{run_id}' in {store.root}", hint="see them: mep ls")
    states = {run_id: state_of(row, store) for run_id, row in runs.items()}
    rows = _of_runs(store, "SELECT run_id, arm FROM arms WHERE", wanted, "ORDER BY position")
    order = {run_id: place for place, run_id in enumerate(wanted)}
    rows.sort(key=lambda row: order[row["run_id"]])
    arms = {
        (row["run_id"], row["arm"]): Arm(
            label=row["arm"] if len(wanted) == 1 else f"{row['run_id']}/{row['arm']}",
            run_id=row["run_id"],
            name=row["arm"],
            state=states[row["run_id"]],
            error=runs[row["run_id"]]["error"],
        )
        for row in rows
    }
    _add_entries(store, wanted, arms)
    return list(arms.values())


def _add_entries(store: Store, run_ids: list[str], arms: dict[tuple[str, str], Arm]) -> None:
    used: dict[tuple[str, str], dict[str, str]] = {known: {} for known in arms}
    users: dict[str, list[Arm]] = {}
    for row in _of_runs(store, "SELECT run_id, arm, stage, artifact_id FROM uses WHERE", run_ids):
        known = row["run_id"], row["arm"]
        used[known][row["stage"]] = row["artifact_id"]
        users.setdefault(row["artifact_id"], []).append(arms[known])
    for known, arm in arms.items():
        if arm.state != "done":
            arm.missing = [stage for stage in stages() if stage not in used[known]]
    # straight from the cursor: a dictionary for each of 100,000 rows would take longer than all the rest
    marks = ", ".join("?" * len(run_ids))
    cursor = store.db._db.execute(
        f"SELECT artifact_id, row, {', '.join(SQL_COLUMNS)}, protocol FROM scores"
        f" WHERE artifact_id IN (SELECT artifact_id FROM uses WHERE run_id IN ({marks}))"
        " ORDER BY artifact_id, row",
        run_ids,
    )
    for artifact_id, number, *columns, text in cursor:
        protocol = _parsed(text)
        key = (columns[1], (columns[8], columns[0], protocol["group"], columns[5]))
        for arm in users[artifact_id]:
            own = used[arm.run_id, arm.name]
            places = own.get("dataset", ""), artifact_id, number, own.get("references", "")
            arm.entries[key] = Entry(*columns, protocol, *places)  # type: ignore[call-arg]


@lru_cache(maxsize=65536)
def _parsed(protocol: str) -> dict[str, Any]:
    """Equal texts give one dictionary, so that equal protocols are found equal at a glance."""
    return {"group": "all", "flags": []} | json.loads(protocol)


def _of_runs(store: Store, select: str, run_ids: list[str], order: str = "") -> list[dict[str, Any]]:
    marks = ", ".join("?" * len(run_ids))
    return store.db.query(f"{select} run_id IN ({marks}) {order}", *run_ids)


def differing_fields(store: Store, arms: Sequence[Arm]) -> dict[str, dict[str, Any]]:
    """Recipe field -> label -> value, for fields that are not the same in all arms; absent where an arm has none."""
    run_ids = list(dict.fromkeys(arm.run_id for arm in arms))
    labels = {(arm.run_id, arm.name): arm.label for arm in arms}
    marks = ", ".join("?" * len(run_ids))
    found: dict[str, dict[str, Any]] = {}
    for row in store.db.query(
        f"SELECT run_id, arm, field, value FROM parameters WHERE run_id IN ({marks}) AND field IN (SELECT field FROM"
        f" parameters WHERE run_id IN ({marks}) GROUP BY field HAVING COUNT(DISTINCT value) > 1 OR COUNT(*) < ?)"
        " ORDER BY rowid",
        *run_ids,
        *run_ids,
        len(arms),
    ):
        found.setdefault(row["field"], {})[labels[row["run_id"], row["arm"]]] = json.loads(row["value"])
    return found


class Halves:
    """What scores were on random halves, read from their artifacts when asked for."""

    def __init__(self, store: Store):
        self.store = store
        self.loaded: dict[str, NDArray[np.float64] | None] = {}

    def of(self, entry: Entry) -> "NDArray[np.float64] | None":
        """float64 (s,); None where the files are gone."""
        import numpy as np

        if entry.artifact_id not in self.loaded:
            path = self.store.root / "store" / entry.artifact_id / "halves.npy"
            try:
                self.loaded[entry.artifact_id] = np.load(path, allow_pickle=False)
            except (OSError, ValueError):
                self.loaded[entry.artifact_id] = None
        values = self.loaded[entry.artifact_id]
        return None if values is None or entry.number >= len(values) else values[entry.number]


def find_runs(store: Store, names: Sequence[str]) -> list[str]:
    """Ids of runs by name, beginning or pattern (`*`); the last run where nothing is named.

    UsageError      no run, no such run, or a beginning that several have
    """
    from fnmatch import fnmatchcase

    from mep.store.runs import find_run

    if not names:
        return [find_run(store, None)["run_id"]]
    known = [row["run_id"] for row in store.db.query("SELECT run_id FROM runs ORDER BY started_at, run_id")]

    def matching(name: str) -> Iterator[str]:
        if any(character in name for character in "*?["):
            found = [run_id for run_id in known if fnmatchcase(run_id, name)]
            if not found:
                raise UsageError(f"no run matches '{name}'", hint=f"last runs: {', '.join(known[-5:]) or 'none'}")
            yield from found
        else:
            yield find_run(store, name)["run_id"]

    return list(dict.fromkeys(run_id for name in names for run_id in matching(name)))
