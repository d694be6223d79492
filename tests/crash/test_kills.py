"""Killed anywhere, and resumed, a run ends with the bytes of one that nobody disturbed."""

import os
import random
import shutil

import pytest
from forkserver import ForkServer
from small_data import draw_imagefolder, tiny_settings, write_recipe
from stores import assert_whole

from mep.machine.files import read_json_lines
from mep.runner.verify import check_database
from mep.store import Store
from mep.store.crash_points import POINTS, VARIABLE
from mep.store.runs import find_run, state_of

KILLS = int(os.environ.get("MEP_FUZZ_KILLS", "60"))
"""Kills of the fuzz."""
KILLS_OF_A_RUN = 15
STEPS = 20
KILLED = -9


@pytest.fixture(scope="module")
def server():
    server = ForkServer()
    yield server
    server.close()


@pytest.fixture(scope="module")
def calm(server, tmp_path_factory):
    """The recipe with two arms, the one with the first arm only, and the store of an undisturbed run of each."""
    root = tmp_path_factory.mktemp("calm")
    settings = tiny_settings(draw_imagefolder(root / "images"), training_steps=STEPS)
    settings["machine"]["checkpoint_every_s"] = 0.1
    recipe = write_recipe(root / "both.yaml", settings)
    settings["arms"].pop("mep")
    first = write_recipe(root / "first.yaml", settings)
    assert server.go(root / "half", first)[0] == 0
    shutil.copytree(root / "half", root / "whole")
    assert server.go(root / "whole", recipe)[0] == 0
    return recipe, Store(root / "half"), Store(root / "whole")


def rows(store, table, without=("made_at", "made_by")):
    return sorted(
        str({name: value for name, value in row.items() if name not in without})
        for row in store.db.query(f"SELECT * FROM {table}")
    )


def assert_as_if_nothing_had_happened(store, calm):
    assert_whole(store, calm)
    for table in ("artifacts", "inputs", "scores"):
        assert rows(store, table) == rows(calm, table), table


@pytest.mark.parametrize("point", POINTS)
def test_a_run_killed_at_any_point_of_the_commit_goes_on_to_the_same_bytes(server, calm, tmp_path, point):
    recipe, half, whole = calm
    store = Store(shutil.copytree(half.root, tmp_path / "runs"))
    assert server.go(store.root, recipe, **{VARIABLE: f"{point}:training"})[0] == KILLED
    run = find_run(store, None)
    assert state_of(run, store) == "interrupted"
    trained = len(list((store.root / "store" / "training").iterdir()))
    assert trained == (2 if point in ("after-rename", "before-row", "after-row") else 1)
    assert check_database(store) == []

    assert server.go(store.root, recipe, run_id=run["run_id"])[0] == 0
    assert_as_if_nothing_had_happened(store, whole)
    [use] = store.db.query(
        "SELECT how FROM uses WHERE run_id = ? AND stage = 'training' AND arm = 'mep'", run["run_id"]
    )
    assert use["how"] == "made"
    attempts = store.db.query("SELECT state, arms FROM attempts WHERE run_id = ? AND state != 'done'", run["run_id"])
    lost = 1 if point in ("after-intent", "mid-work", "after-outputs", "before-rename") else 0
    assert attempts == [{"state": "interrupted", "arms": '["mep"]'}] * lost


def test_random_kills_end_with_the_same_bytes_and_no_checkpoint_is_ever_lost(server, calm, tmp_path):
    recipe, _, whole = calm
    rng, kills, resumed_twice, number = random.Random(1), 0, 0, 0
    while kills < KILLS:
        number += 1
        store, in_this_run, status = Store(tmp_path / str(number)), 0, KILLED
        while status == KILLED:
            began = bool(store.db.query("SELECT 1 FROM runs LIMIT 1"))  # its journal is there a moment earlier
            run_id = find_run(store, None)["run_id"] if began else None
            reached = steps_on_disk(store)
            # a stage that takes longer than the time until every next kill would never end
            after_s = rng.uniform(0, calm_s(whole) / 4) if in_this_run < KILLS_OF_A_RUN else None
            status, _ = server.go(store.root, recipe, run_id=run_id, kill_after_s=after_s)
            in_this_run += status == KILLED
            assert all(now >= reached.get(path, 0) for path, now in steps_on_disk(store).items())
        assert status == 0
        assert_as_if_nothing_had_happened(store, whole)
        kills += in_this_run
        resumed_twice += in_this_run >= 2
        shutil.rmtree(store.root)
    assert resumed_twice > 0


def calm_s(store):
    """Seconds that the stages of an undisturbed run take here and now."""
    return store.db.query("SELECT sum(wall_s) AS s FROM attempts")[0]["s"]


def steps_on_disk(store):
    """Unfinished training -> the step of its newest checkpoint."""
    found = {}
    for path in (store.root / "work" / "training").glob("*/training/*.pt"):
        found[path.parent] = max(found.get(path.parent, 0), int(path.stem))
    return found


def test_the_losses_of_an_interrupted_training_are_those_of_an_undisturbed_one_line_by_line(server, calm, tmp_path):
    recipe, half, whole = calm
    store = Store(shutil.copytree(half.root, tmp_path / "runs"))
    run_id = None
    for _ in range(2):
        assert server.go(store.root, recipe, run_id=run_id, **{VARIABLE: "mid-work:training"})[0] == KILLED
        run_id = find_run(store, None)["run_id"]
    assert server.go(store.root, recipe, run_id=run_id)[0] == 0
    for path in sorted((whole.root / "store" / "training").rglob("losses.jsonl")):
        again = store.root / path.relative_to(whole.root)
        assert again.read_text() == path.read_text()
        assert [row["step"] for row in read_json_lines(again)] == list(range(STEPS))
    assert {row["resume"] for row in store.db.query("SELECT resume FROM attempts WHERE run_id = ?", run_id)} <= {
        "",
        "exact",
    }
    sessions = store.db.query("SELECT state FROM sessions WHERE run_id = ? ORDER BY session", run_id)
    assert [row["state"] for row in sessions] == ["interrupted", "interrupted", "done"]
