"""A run takes what colleagues have made from a shared store, and makes what is not there or not as it should be."""

import json

import pytest
from click.testing import CliRunner
from stores import contents

from mep.cli.main import main
from mep.errors import EnvironmentLacks
from mep.recipe import load_recipe
from mep.runner.callback import RunCallback
from mep.runner.plan import make_plan
from mep.runner.run import resume, run
from mep.runner.shared_stores import SharedStores
from mep.runner.verify import check_artifacts, check_database
from mep.store import Store
from mep.store.pushing import Push
from mep.store.remote import Remote
from mep.store.runs import find_run
from mep.store.shared import SharedStore


@pytest.fixture(scope="module")
def lab(original, tmp_path_factory):
    """A folder to which the finished run was pushed, and its recipe."""
    shared, mine = tmp_path_factory.mktemp("lab"), Store(original[0])
    Push(mine, SharedStore(str(shared))).run(find_run(mine, None)["run_id"])
    return shared, original[1], mine


class Hears(RunCallback):
    def __init__(self):
        self.come, self.warnings = [], []

    def fetched(self, task, address):
        self.come.append((task.stage.name, address))

    def warned(self, text):
        self.warnings.append(text)


def recipe_with(recipe, shared, *overrides):
    return load_recipe(recipe, (f"machine.stores=[{shared}]", *overrides))


def test_a_plan_says_what_comes_from_where_and_a_run_makes_none_of_it(lab, tmp_path):
    shared, recipe, mine = lab
    planned = CliRunner().invoke(
        main, ["--runs", str(tmp_path), "plan", str(recipe), "--store", str(shared), "--json", "--exit-code"]
    )
    told = json.loads(planned.stdout)
    assert planned.exit_code == 10
    assert {(stage["status"], stage["why"]) for stage in told["stages"]} == {("fetch", f"from {shared}")}
    assert told["fetch_bytes"] > 1_000_000
    assert told["untimed"] == []
    store, hears = Store(tmp_path), Hears()
    run_id = run(recipe_with(recipe, shared), store, hears)
    assert {address for _, address in hears.come} == {str(shared)}
    assert contents(store) == contents(mine)
    assert store.db.query("SELECT * FROM attempts") == []
    assert {row["how"] for row in store.db.query("SELECT how FROM uses")} == {"reused"}
    events = store.db.query("SELECT message FROM events WHERE run_id = ? AND kind = 'fetched'", run_id)
    assert len(events) == len(told["stages"])
    assert check_artifacts(store) == check_database(store) == []


def test_where_a_store_lies_or_is_named_changes_no_fingerprint(lab, tmp_path):
    shared, recipe, mine = lab
    plans = [make_plan(load, mine) for load in (load_recipe(recipe), recipe_with(recipe, shared))]
    assert [task.artifact_id for task in plans[0].tasks] == [task.artifact_id for task in plans[1].tasks]
    assert plans[1].count("reuse") == len(plans[1].tasks)


def test_what_is_not_as_its_name_says_is_made_here_with_a_word(lab, tmp_path):
    shared, recipe, mine = lab
    lying = sorted(shared.glob("store/prompts/*"))
    victims = [next(path for path in folder.iterdir() if path.name != "manifest.json") for folder in lying]
    honest = [victim.read_bytes() for victim in victims]
    manifest, kept = lying[1] / "manifest.json", (lying[1] / "manifest.json").read_bytes()
    victims[0].write_bytes(honest[0][:-2] + b"??")
    manifest.write_bytes(kept.replace(b'"made_by"', b'"made_bY"'))
    store, hears = Store(tmp_path / "runs"), Hears()
    try:
        run(recipe_with(recipe, shared, "machine.at_once=2"), store, hears)
    finally:
        victims[0].write_bytes(honest[0])
        manifest.write_bytes(kept)
    assert [stage for stage, _ in hears.come].count("prompts") == 0
    assert len(hears.warnings) == 2
    assert any(text.endswith("is not as it was written: it is made here") for text in hears.warnings)
    assert contents(store) == contents(mine)
    assert check_artifacts(store) == []
    assert len(store.db.query("SELECT * FROM events WHERE kind = 'warning'")) == 2


def failing(monkeypatch, after):
    """A store that is lost after so many downloads."""
    receive, done = Remote.receive, []

    def lose(self, files, moved):
        if len(done) == after:
            raise EnvironmentLacks(f"{self.address} does not answer: Connection lost")
        done.append(files)
        return receive(self, files, moved)

    monkeypatch.setattr(Remote, "receive", lose)


def test_a_store_that_is_lost_in_the_middle_stops_the_run_which_goes_on_later(lab, tmp_path, monkeypatch):
    shared, recipe, mine = lab
    store = Store(tmp_path / "runs")
    with monkeypatch.context() as patch:
        failing(patch, after=4)
        with pytest.raises(EnvironmentLacks, match="does not answer"):
            run(recipe_with(recipe, shared), store)
    run_id = find_run(store, None)["run_id"]
    resume(run_id, store)
    assert contents(store) == contents(mine)
    assert store.db.query("SELECT * FROM attempts") == []


def test_what_nobody_has_is_made_though_the_store_is_lost_meanwhile(lab, tmp_path, monkeypatch):
    shared, recipe, _ = lab
    shared_store = SharedStores([str(shared)], (hears := Hears()).warned)
    [task] = [task for task in make_plan(load_recipe(recipe), Store(tmp_path)).tasks if task.stage.name == "dataset"]
    read = Remote.read
    monkeypatch.setattr(Remote, "read", lambda self, names: read(self, names) if "mep-store.json" in names else lost())
    assert shared_store.take(task, Store(tmp_path), lambda: None, lambda: None) == ""
    assert shared_store.take(task, Store(tmp_path), lambda: None, lambda: None) == ""
    assert hears.warnings == ["it does not answer: it is not asked again"]


def lost():
    raise EnvironmentLacks("it does not answer")


def test_a_store_that_is_not_there_is_told_before_anything_runs(lab, tmp_path):
    _, recipe, _ = lab
    done = CliRunner().invoke(main, ["--runs", str(tmp_path), "run", str(recipe), "--store", "/nowhere/lab"])
    assert (done.exit_code, "there is no folder /nowhere/lab" in done.stderr) == (3, True), done.output
    assert "--set machine.stores=[]" in done.stderr
    assert not list(tmp_path.glob("2*"))


@pytest.mark.parametrize("address", ["runs", "s3:/lab", "s3://me:secret@lab/mep"])
def test_a_recipe_names_stores_by_address(address, lab):
    done = CliRunner().invoke(main, ["validate", str(lab[1]), "--set", f"machine.stores=['{address}']"])
    assert done.exit_code == 2
    assert "address" in done.stderr
