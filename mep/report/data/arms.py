"""Arms and their scores from the database, in few queries for hundreds of runs, whether or not files still exist."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import lru_cache
from itertools import groupby
from operator import itemgetter

from pydantic import JsonValue

from mep.artifacts.captions import RENAMED
from mep.artifacts.score_row import SQL_COLUMNS, JsonObject, ScoreRow
from mep.errors import UsageError
from mep.recipe.controls import CONTROLS, SHUFFLED
from mep.runner.spreads import Spreads, spreads_of
from mep.stages import stages, stages_of
from mep.store import Store
from mep.store.runs import RunRow, find_run, state_of

FieldValues = dict[str, dict[str, JsonValue]]
"""Recipe field -> label of an arm or a row -> value."""

Key = tuple[str, str, str, str]
"""Extractor, metric, group, reference."""


@dataclass(eq=False, slots=True)
class StoredScore:
    """A score as it was stored. Hundreds of runs have a hundred thousand.

    kind            the row without its number and its counts: the same object for all scores that were made alike
    columns         the same as it was stored, by name; columns of the database first
    dataset         artifact that its real images came from
    artifact_id     artifact that holds it, as row `number`
    references      artifact with the features of the real images
    """

    kind: ScoreRow
    columns: JsonObject
    value: float | None
    se: float | None
    n_real: int
    n_fake: int
    dataset: str
    artifact_id: str
    number: int
    references: str = ""

    def as_json(self) -> JsonObject:
        """Everything that was stored, by name."""
        return self.columns | {"value": self.value, "se": self.se, "n_real": self.n_real, "n_fake": self.n_fake}


@dataclass(eq=False, kw_only=True)
class Arm:
    """One arm of one run.

    label       its name in tables: the arm's own where one run is shown, else with the run
    state       of its run: done, failed, running or interrupted
    used        stage -> stage/fingerprint of the artifact that the run used
    scores      (subject, key) -> score; empty until `read_scores` has filled it
    elsewhere   what of it was made elsewhere: images, model, or nothing
    """

    label: str
    run_id: str
    name: str
    state: str
    used: dict[str, str]
    scores: dict[tuple[str, Key], StoredScore] = field(default_factory=dict)
    elsewhere: str = ""

    @property
    def artifact_ids(self) -> dict[str, str]:
        """Stage -> stage/fingerprint of the artifacts that are there; the database does not know which are lost."""
        return self.used

    @property
    def missing(self) -> list[str]:
        """Stages without an artifact, in the order of the pipeline."""
        there = self.artifact_ids
        expected = stages_of(self.elsewhere)
        return [stage for stage in expected if stage not in there and (stage in self.used or self.state != "done")]

    @property
    def lost(self) -> list[str]:
        """The missing stages that had an artifact whose files are gone or damaged."""
        return [stage for stage in stages() if stage in self.used and stage not in self.artifact_ids]


def read_arms(store: Store, run_ids: Sequence[str]) -> list[Arm]:
    """Every arm of the runs, in the order of the runs, without its scores.

    UsageError      there is no such run
    """
    order = {run_id: position for position, run_id in enumerate(dict.fromkeys(run_ids))}
    marks = ", ".join("?" * len(order))
    runs = {
        row["run_id"]: row for row in store.db.select(RunRow, f"SELECT * FROM runs WHERE run_id IN ({marks})", *order)
    }
    for run_id in order:
        if run_id not in runs:
            raise UsageError(f"there is no run '{run_id}' in {store.root}", hint="see them: mep ls")
    states = {run_id: state_of(row, store) for run_id, row in runs.items()}
    rows = store.db.query(f"SELECT run_id, arm FROM arms WHERE run_id IN ({marks}) ORDER BY position", *order)
    arms = {
        (row["run_id"], row["arm"]): Arm(
            label=row["arm"] if len(order) == 1 else f"{row['run_id']}/{row['arm']}",
            run_id=row["run_id"],
            name=row["arm"],
            state=states[row["run_id"]],
            used={},
        )
        for row in sorted(rows, key=lambda row: order[row["run_id"]])
    }
    for row in store.db.query(
        "SELECT run_id, arm, MAX(field = 'samples.source.kind') AS has_images FROM parameters"
        f" WHERE run_id IN ({marks}) AND field LIKE 'samples.%' AND value <> 'null' GROUP BY run_id, arm",
        *order,
    ):
        arms[row["run_id"], row["arm"]].elsewhere = "images" if row["has_images"] else "model"
    for use in store.db.query(f"SELECT run_id, arm, stage, artifact_id FROM uses WHERE run_id IN ({marks})", *order):
        arms[use["run_id"], use["arm"]].used[use["stage"]] = use["artifact_id"]
    return list(arms.values())


def read_scores(store: Store, arms: Sequence[Arm]) -> None:
    """Fill the scores of arms; those that share an artifact share its scores."""
    users: dict[str, list[Arm]] = {}
    for arm in arms:
        for artifact_id in arm.used.values():
            users.setdefault(artifact_id, []).append(arm)
    run_ids = list(dict.fromkeys(arm.run_id for arm in arms))
    marks = ", ".join("?" * len(run_ids))
    rows = store.db.tuples(
        "SELECT artifact_id, row, metric, subject, better, reference, extractor, protocol, value, se, n_real, n_fake"
        f" FROM scores WHERE artifact_id IN (SELECT artifact_id FROM uses WHERE run_id IN ({marks}))"
        " ORDER BY artifact_id, row",
        *run_ids,
    )
    for artifact_id, rows_of_artifact in groupby(rows, key=itemgetter(0)):
        sources = [
            (arm.scores, arm.used.get("dataset", ""), arm.used.get("references", "")) for arm in users[artifact_id]
        ]
        for _, number, *columns, value, se, n_real, n_fake in rows_of_artifact:
            key, kind, stored = _kind(*columns)
            for scores, dataset, references in sources:
                scores[key] = StoredScore(
                    kind, stored, value, se, n_real, n_fake, dataset, artifact_id, number, references
                )


@lru_cache(maxsize=65536)
def _kind(
    metric: str, subject: str, better: str, reference: str, extractor: str, protocol: str
) -> tuple[tuple[str, Key], ScoreRow, JsonObject]:
    columns: JsonObject = dict.fromkeys(SQL_COLUMNS)
    columns |= {"metric": metric, "subject": subject, "better": better, "reference": reference, "extractor": extractor}
    columns |= {"group": "all", "flags": []} | json.loads(protocol)
    kind = ScoreRow.from_json(columns)
    return (kind.subject, (extractor, kind.metric, kind.group, kind.reference)), kind, columns


def differing_fields(store: Store, arms: Sequence[Arm]) -> FieldValues:
    """Recipe fields that are not the same in all arms; a label is absent where the arm has no such field."""
    run_ids = list(dict.fromkeys(arm.run_id for arm in arms))
    labels = {(arm.run_id, arm.name): arm.label for arm in arms}
    marks = ", ".join("?" * len(run_ids))
    fields: FieldValues = {}
    for row in store.db.query(
        f"SELECT run_id, arm, field, value FROM parameters WHERE run_id IN ({marks}) AND field IN (SELECT field FROM"
        f" parameters WHERE run_id IN ({marks}) GROUP BY field HAVING COUNT(DISTINCT value) > 1 OR COUNT(*) < ?)"
        " ORDER BY rowid",
        *run_ids,
        *run_ids,
        len(arms),
    ):
        fields.setdefault(row["field"], {})[labels[row["run_id"], row["arm"]]] = json.loads(row["value"])
    return fields


def controls_of(store: Store, run_id: str) -> dict[str, str]:
    """Control that a run was asked for -> `run`, or why it was not run or can say nothing, in the words of a reader."""
    rows = store.db.query(
        "SELECT DISTINCT field, value FROM parameters WHERE run_id = ? AND field LIKE 'controls.%'", run_id
    )
    fates: dict[str, str] = {row["field"].removeprefix("controls."): json.loads(row["value"]) for row in rows}
    dealt = store.db.query(
        "SELECT facts FROM uses JOIN artifacts USING (artifact_id)"
        " WHERE run_id = ? AND arm = ? AND uses.stage = 'prompts'",
        *(run_id, SHUFFLED),
    )
    if dealt and json.loads(dealt[0]["facts"]).get(RENAMED) == 0:
        fates["shuffled"] = "every label has one cluster, so that there was nothing to shuffle"
    return {control: fates[control] for control in CONTROLS if control in fates}


def spreads_of_arm(store: Store, arm: Arm, n_images: int) -> Spreads:
    """How far trainings lie apart that saw the images of an arm and drew so many, as far as that is known of them."""
    source = store.db.query(
        "SELECT value FROM parameters WHERE run_id = ? AND arm = ? AND field = 'dataset.source.kind'",
        *(arm.run_id, arm.name),
    )
    kind = json.loads(source[0]["value"]) if source else ""
    known = spreads_of(store, arm.used.get("dataset", ""), kind, n_images)
    return {place: spread for place, spread in known.items() if spread.of_these_images}


def find_runs(store: Store, names: Sequence[str]) -> list[str]:
    """Ids of runs by name, beginning or pattern (`*`); the last run where nothing is named.

    UsageError      no run, no such run, or a beginning that several have
    """
    if not names:
        return [find_run(store, None)["run_id"]]
    run_ids = [row["run_id"] for row in store.db.query("SELECT run_id FROM runs ORDER BY started_at, run_id")]
    matching_ids: list[str] = []
    for name in names:
        if any(character in name for character in "*?["):
            matches = [run_id for run_id in run_ids if fnmatchcase(run_id, name)]
        else:
            matches = [find_run(store, name)["run_id"]]
        if not matches:
            raise UsageError(f"no run matches '{name}'", hint=f"last runs: {', '.join(run_ids[-5:]) or 'none'}")
        matching_ids += matches
    return list(dict.fromkeys(matching_ids))
