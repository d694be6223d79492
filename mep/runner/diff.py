"""What differs between two recipes, two runs, or one of each: fields, stages, and the numbers of runs."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mep.config import leaves
from mep.recipe import load_recipe
from mep.runner.plan import make_plan
from mep.stages import stages
from mep.store import Store
from mep.store.runs import find_run


@dataclass(frozen=True)
class Side:
    """One of the two that are compared.

    fields      arm -> dotted field -> value
    artifacts   arm -> stage -> stage/fingerprint
    scores      arm -> (metric, subject, reference, extractor) -> (value, standard error)
    """

    name: str
    fields: dict[str, dict[str, Any]]
    artifacts: dict[str, dict[str, str]]
    scores: dict[str, dict[tuple[str, ...], tuple[float | None, float | None]]]


def diff(store: Store, one: str, other: str) -> dict[str, list[dict[str, Any]]]:
    """Rows of what differs, by arm: `fields`, `stages`, `scores` (both runs have the number), and `arms` of one side.

    one, other      a recipe file, or a run by its id or the beginning of it

    RecipeError, UsageError     a side is neither
    """
    a, b = (_side(store, name) for name in (one, other))
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
    fields: dict[str, dict[str, Any]] = {}
    for row in store.db.query("SELECT arm, field, value FROM parameters WHERE run_id = ? ORDER BY rowid", run_id):
        fields.setdefault(row["arm"], {})[row["field"]] = json.loads(row["value"])
    artifacts: dict[str, dict[str, str]] = {}
    for row in store.db.query("SELECT arm, stage, artifact_id FROM uses WHERE run_id = ?", run_id):
        artifacts.setdefault(row["arm"], {})[row["stage"]] = row["artifact_id"]
    scores: dict[str, dict[tuple[str, ...], tuple[float | None, float | None]]] = {}
    for row in store.db.query("SELECT * FROM run_scores WHERE run_id = ?", run_id):
        key = (row["metric"], row["subject"], row["reference"], row["extractor"])
        scores.setdefault(row["arm"], {}).setdefault(key, (row["value"], row["se"]))
    return Side(run_id, fields, artifacts, scores)


def _of_recipe(store: Store, file: Path) -> Side:
    recipe = load_recipe(file)
    plan = make_plan(recipe, store)
    fields = {arm: dict(leaves(experiment.model_dump(mode="json"))) for arm, experiment in recipe.arms.items()}
    artifacts = {arm: {name: task.artifact_id for name, task in plan.of_arm(arm).items()} for arm in recipe.arms}
    return Side(str(file), fields, artifacts, {})


def _changed(arm: str, one: dict[str, Any], other: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"arm": arm, "field": field, "a": one.get(field), "b": other.get(field)}
        for field in [*one, *(field for field in other if field not in one)]
        if one.get(field) != other.get(field)
    ]


def _merged(rows: list[dict[str, Any]], n_arms: int) -> list[dict[str, Any]]:
    """One row where a field changed alike in several arms."""
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        key = json.dumps([row["field"], row["a"], row["b"]])
        found.setdefault(key, row | {"arm": []})["arm"].append(row["arm"])
    return [row | {"arm": "all" if len(row["arm"]) == n_arms else ", ".join(row["arm"])} for row in found.values()]


def _stages(a: Side, b: Side, arms: list[str]) -> list[dict[str, Any]]:
    rows = []
    for stage in stages():
        pairs = {arm: (a.artifacts.get(arm, {}).get(stage), b.artifacts.get(arm, {}).get(stage)) for arm in arms}
        differ = [arm for arm, (one, other) in pairs.items() if one != other]
        if differ:
            ids = [[(one or "-").partition("/")[2][:12] or "-" for one in pairs[arm]] for arm in differ]
            rows.append(
                {"stage": stage, "arms": "all" if differ == arms else ", ".join(differ)}
                | {"a": ", ".join(dict.fromkeys(one for one, _ in ids))}
                | {"b": ", ".join(dict.fromkeys(other for _, other in ids))}
            )
    return rows


def _moved(arm: str, one: dict[Any, Any], other: dict[Any, Any]) -> list[dict[str, Any]]:
    rows = []
    for key in one:
        if key in other and one[key] != other[key]:
            (a, a_se), (b, b_se) = one[key], other[key]
            row = {"arm": arm, "metric": key[0], "subject": key[1], "reference": key[2], "extractor": key[3]}
            row |= {"a": a, "a_se": a_se, "b": b, "b_se": b_se}
            rows.append(row | {"difference": None if a is None or b is None else b - a})
    return rows
