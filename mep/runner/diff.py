"""What differs between two recipes, two runs, or one of each: fields, stages, and the numbers of runs."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from mep.config import leaves
from mep.recipe import load_recipe
from mep.runner.plan import make_plan
from mep.stages import stages
from mep.store import Store
from mep.store.database import Row
from mep.store.runs import find_run

Scores = dict[tuple[str, ...], tuple[float | None, float | None]]
"""(metric, subject, reference, extractor) -> (value, standard error)"""


@dataclass
class Side:
    """One of the two that are compared, by arm.

    fields      arm -> dotted field -> value
    artifacts   arm -> stage -> stage/fingerprint
    """

    name: str
    fields: dict[str, dict[str, object]] = field(default_factory=dict)
    artifacts: dict[str, dict[str, str]] = field(default_factory=dict)
    scores: dict[str, Scores] = field(default_factory=dict)


def diff(store: Store, name: str, other: str) -> dict[str, list[Row]]:
    """Rows of what differs, by arm: `fields`, `stages`, `scores` (both runs have the number), and `arms` of one side.

    name, other     a recipe file, or a run by its id or the beginning of it

    RecipeError, UsageError     a side is neither
    """
    a, b = _side(store, name), _side(store, other)
    shared = [arm for arm in a.fields if arm in b.fields]
    alone = [{"arm": arm, "only in": side.name} for side in (a, b) for arm in side.fields if arm not in shared]
    return {
        "arms": alone,
        "fields": _merged([row for arm in shared for row in _changed(arm, a.fields[arm], b.fields[arm])], len(shared)),
        "stages": _stages(a, b, shared),
        "scores": [row for arm in shared for row in _moved(arm, a.scores.get(arm, {}), b.scores.get(arm, {}))],
    }


def _side(store: Store, name: str) -> Side:
    if Path(name).is_file():
        return _of_recipe(store, Path(name))
    run_id = find_run(store, name)["run_id"]
    side = Side(run_id)
    for row in store.db.query("SELECT arm, field, value FROM parameters WHERE run_id = ? ORDER BY rowid", run_id):
        side.fields.setdefault(row["arm"], {})[row["field"]] = json.loads(row["value"])
    for row in store.db.query("SELECT arm, stage, artifact_id FROM uses WHERE run_id = ?", run_id):
        side.artifacts.setdefault(row["arm"], {})[row["stage"]] = row["artifact_id"]
    for row in store.db.query("SELECT * FROM run_scores WHERE run_id = ?", run_id):
        key = (row["metric"], row["subject"], row["reference"], row["extractor"])
        side.scores.setdefault(row["arm"], {}).setdefault(key, (row["value"], row["se"]))
    return side


def _of_recipe(store: Store, file: Path) -> Side:
    recipe = load_recipe(file)
    plan = make_plan(recipe, store)
    fields = {arm: dict(leaves(experiment.model_dump(mode="json"))) for arm, experiment in recipe.arms.items()}
    artifacts = {arm: {name: task.artifact_id for name, task in plan.of_arm(arm).items()} for arm in recipe.arms}
    return Side(str(file), fields, artifacts)


def _changed(arm: str, a: dict[str, object], b: dict[str, object]) -> list[Row]:
    return [
        {"arm": arm, "field": field, "a": a.get(field), "b": b.get(field)}
        for field in a | b
        if a.get(field) != b.get(field)
    ]


def _merged(rows: list[Row], n_arms: int) -> list[Row]:
    """One row where a field changed alike in several arms."""
    merged: dict[str, Row] = {}
    for row in rows:
        key = json.dumps([row["field"], row["a"], row["b"]])
        merged.setdefault(key, row | {"arm": []})["arm"].append(row["arm"])
    return [row | {"arm": "all" if len(row["arm"]) == n_arms else ", ".join(row["arm"])} for row in merged.values()]


def _stages(a: Side, b: Side, arms: list[str]) -> list[Row]:
    rows = []
    for stage in stages():
        pairs = {arm: [side.artifacts.get(arm, {}).get(stage, "-") for side in (a, b)] for arm in arms}
        changed = [arm for arm, (before, after) in pairs.items() if before != after]
        if changed:
            short = [[artifact_id.partition("/")[2][:12] or "-" for artifact_id in pairs[arm]] for arm in changed]
            ids = [", ".join(dict.fromkeys(column)) for column in zip(*short, strict=True)]
            arms_text = "all" if changed == arms else ", ".join(changed)
            rows.append({"stage": stage, "arms": arms_text, "a": ids[0], "b": ids[1]})
    return rows


def _moved(arm: str, a_scores: Scores, b_scores: Scores) -> list[Row]:
    rows = []
    for key, (a, a_se) in a_scores.items():
        b, b_se = b_scores.get(key, (a, a_se))
        if (a, a_se) != (b, b_se):
            row: Row = {"arm": arm, "metric": key[0], "subject": key[1], "reference": key[2], "extractor": key[3]}
            row |= {"a": a, "a_se": a_se, "b": b, "b_se": b_se}
            rows.append(row | {"difference": None if a is None or b is None else b - a})
    return rows
