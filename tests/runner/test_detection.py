"""What a run could detect, told before it costs anything."""

import json
import math

import pytest
import yaml
from click.testing import CliRunner
from small_data import draw_imagefolder, tiny_settings, write_recipe

from mep.cli.main import main
from mep.recipe import load_recipe
from mep.runner.detection import detection, sentences
from mep.runner.plan import make_plan
from mep.runner.spreads import SHIPPED, SHIPPED_SOURCE, Place, pooled, spreads_of
from mep.statistics.power import detectable, seeds_needed
from mep.store import Store, now

INGREDIENTS = json.dumps({"version": 1, "config": {}, "externals": [], "inputs": {}})
EXTRACTOR = "efficientnet_lite0"
KID = Place(EXTRACTOR, "kid", "matched")


@pytest.fixture
def place(tmp_path):
    settings = tiny_settings(draw_imagefolder(tmp_path / "images")) | {"metrics": {"extractors": [EXTRACTOR]}}
    return write_recipe(tmp_path / "tiny.yaml", settings), Store(tmp_path / "runs")


def ahead(place, *overrides):
    recipe, store = place
    return detection(make_plan(load_recipe(recipe, overrides), store), store, 10)


def add_run(store, run_id, values, *, dataset, reference="matched", n_fake=10, metric="kid", measured=""):
    """A finished run with arms of some repeats each; values: arm -> kernel distance, which also names its images."""
    row = {"run_id": run_id, "name": "r", "recipe_file": "", "recipe_sha256": "", "state": "done", "started_at": now()}
    row |= {"host": "here", "pid": 1, "environment": "{}"}
    made = {"version": 1, "made_by": run_id, "made_at": now(), "n_files": 0, "n_bytes": 0}
    with store.db.write() as db:
        db.table("runs").insert(row)
        for place, (arm, value) in enumerate(values.items()):
            artifact = f"metrics/{metric}{reference}{value}{measured}"
            for name in (dataset, artifact):
                about = {"artifact_id": name, "stage": name.split("/")[0], "fingerprint": name.split("/")[1]}
                about |= {"ingredients": INGREDIENTS, "facts": "{}"}
                db.table("artifacts").insert(made | about, ignore=True, pk="artifact_id")
            db.table("arms").insert({"run_id": run_id, "arm": arm, "position": place})
            for stage, name in (("dataset", dataset), ("generation", f"generation/{value}"), ("metrics", artifact)):
                use = {"run_id": run_id, "arm": arm, "stage": stage, "artifact_id": name, "how": "made"}
                db.table("uses").insert(use)
            score = {"artifact_id": artifact, "row": 0, "metric": metric, "subject": "samples", "value": value}
            score |= {"better": "lower", "reference": reference, "n_real": 10, "n_fake": n_fake}
            score |= {"extractor": EXTRACTOR, "protocol": json.dumps({"group": "all"})}
            db.table("scores").insert(score, ignore=True, pk=("artifact_id", "row"))


def test_the_relative_spread_is_pooled_within_arms():
    # 90, 110 about 100: squares 0.02 with one degree of freedom; 45, 50, 55 about 50: 0.02 with two
    assert pooled([[90, 110], [45, 50, 55]], relative=True) == (pytest.approx(math.sqrt(0.04 / 3)), 3)
    assert pooled([[5.0], [-1.0, 0.5]], relative=True) == (None, 0)
    assert pooled([[5.0], [-1.0, 0.5], [1, 1]], relative=False) == (pytest.approx(0.75), 2)


def test_before_any_run_the_spread_is_that_of_the_sample(place):
    found = ahead(place, "seeds=5")
    assert found.source == "as on the sample that ships with mep; your images may differ"
    assert found.detectable == pytest.approx(detectable(math.sqrt(2) * found.spread / math.sqrt(5), freedom=4))
    assert found.seeds_needed["2%"] == seeds_needed(math.sqrt(2) * found.spread, 0.02)
    assert found.seeds_needed["10%"] == 4


def test_every_arm_beside_the_baseline_counts_as_in_the_report_and_controls_do_not(place):
    recipe, store = place
    arms = yaml.safe_load(recipe.read_text())
    several = arms | {"arms": arms["arms"] | {name: {"seed": seed} for seed, name in enumerate("abc", 5)}}
    found = ahead((write_recipe(recipe.with_name("several.yaml"), several), store), "seeds=5", "controls=[negative]")
    of_two = ahead(place, "seeds=5", "controls=[negative]")
    level = 1 - 0.95 ** (1 / 4)
    error = math.sqrt(2) * found.spread / math.sqrt(5)
    assert found.detectable == pytest.approx(detectable(error, freedom=4, level=level))
    assert found.seeds_needed["5%"] == seeds_needed(math.sqrt(2) * found.spread, 0.05, level)
    assert of_two.detectable == pytest.approx(detectable(error, freedom=4))


def test_earlier_runs_on_the_same_images_tell_the_spread(place):
    recipe, store = place
    dataset = make_plan(load_recipe(recipe), store).of_arm("mep")["dataset"].artifact_id
    add_run(store, "20261101-a", {"a": 90.0, "a#2": 110.0, "b": 45.0}, dataset=dataset)
    add_run(store, "20261102-b", {"c": 45.0, "c#2": 50.0, "c#3": 55.0}, dataset=dataset)
    found = ahead(place, "seeds=5")
    assert found.spread == pytest.approx(math.sqrt(0.04 / 3))
    assert sentences(found) == [
        "can detect: 27 % of kid (5 seeds; spread between seeds 12 % as in 2 runs of this store)",
        "to detect 2 %: more than 100 seeds; 5 %: 86; 10 %: 23",
    ]


def test_a_run_that_reused_the_trainings_of_another_counts_once(place):
    recipe, store = place
    dataset = make_plan(load_recipe(recipe), store).of_arm("mep")["dataset"].artifact_id
    add_run(store, "20261101-a", {"a": 90.0, "a#2": 110.0}, dataset=dataset)
    add_run(store, "20261102-b", {"a": 90.0, "a#2": 110.0, "a#3": 100.0}, dataset=dataset)
    spread = spreads_of(store, dataset, "imagefolder", 10)[KID]
    assert (spread.size, spread.freedom, spread.of_these_images) == (pytest.approx(0.1), 2, True)
    assert spread.source == "as in 1 run of this store"


def test_trainings_that_were_measured_again_count_once(place):
    recipe, store = place
    dataset = make_plan(load_recipe(recipe), store).of_arm("mep")["dataset"].artifact_id
    add_run(store, "20261101-a", {"a": 90.0, "a#2": 110.0}, dataset=dataset)
    add_run(store, "20261102-b", {"a": 90.0, "a#2": 110.0}, dataset=dataset, measured="-by-another-version")
    assert spreads_of(store, dataset, "imagefolder", 10)[KID].freedom == 1


def test_other_images_and_metrics_tell_nothing_and_other_numbers_of_images_are_named(place):
    recipe, store = place
    dataset = make_plan(load_recipe(recipe), store).of_arm("mep")["dataset"].artifact_id
    add_run(store, "20261101-a", {"a": 90.0, "a#2": 110.0}, dataset="dataset/other")
    add_run(store, "20261102-b", {"a": 91.0, "a#2": 111.0}, dataset=dataset, metric="fd")
    elsewhere = spreads_of(store, dataset, "imagefolder", 10)[KID]
    assert (elsewhere.size, elsewhere.of_these_images) == (SHIPPED[EXTRACTOR]["kid"], False)
    on_sample = spreads_of(store, dataset, "sample", 10)
    assert (on_sample[KID].source, on_sample[KID].of_these_images) == (SHIPPED_SOURCE, True)
    assert Place("unknown", "kid", "matched") not in on_sample
    add_run(store, "20261103-c", {"a": 92.0, "a#2": 112.0}, dataset=dataset, n_fake=99)
    found = spreads_of(store, dataset, "imagefolder", 10)[KID]
    assert found.source.endswith("of this store of other numbers of images")


def test_one_seed_detects_what_is_larger_than_the_spread_of_the_same_images(place):
    recipe, store = place
    dataset = make_plan(load_recipe(recipe), store).of_arm("mep")["dataset"].artifact_id
    add_run(store, "20261101-a", {"a": 95.0, "a#2": 105.0, "a#3": 100.0}, dataset=dataset)
    assert ahead(place).detectable == pytest.approx(detectable(math.sqrt(2) * 0.05, freedom=2))
    assert ahead(place, "seeds=2").detectable == pytest.approx(detectable(0.05, freedom=2))
    assert "(1 seed; spread between seeds" in sentences(ahead(place))[0]
    assert sentences(ahead(place))[0].endswith("as in 1 run of this store); a claim takes 3 seeds")


def test_one_seed_detects_nothing_of_a_method_and_one_arm_compares_nothing(place, monkeypatch):
    recipe, store = place
    assert sentences(ahead(place))[0].startswith(
        "can detect: no difference of methods with one seed, only of two sets of images (spread between seeds 2.7 %"
    )
    alone = yaml.safe_load(recipe.read_text()) | {"arms": {"only": {}}}
    assert ahead((write_recipe(recipe.with_name("alone.yaml"), alone), store)) is None
    monkeypatch.setattr("mep.runner.spreads.SHIPPED", {})
    assert "not known" in sentences(ahead(place))[0]


def test_the_plan_says_what_can_be_detected_and_which_control_is_not_run(place):
    recipe, store = place
    options = ["--runs", str(store.root), "plan", str(recipe), "--set", "seeds=5", "--set", "controls=[positive]"]
    text = CliRunner().invoke(main, options).output
    assert "can detect: 6.4 % of kid (5 seeds; spread between seeds 2.7 %" in text.replace("\n", " ")
    assert "positive control: not run, the recipe names no dataset.truth" in text.replace("\n", " ")
    told = json.loads(CliRunner().invoke(main, [*options, "--json"]).output)
    assert told["skipped"] == {"positive": "the recipe names no dataset.truth"}
    assert (told["detection"]["metric"], told["detection"]["seeds"]) == ("kid", 5)
    assert told["detection"]["seeds_needed"] == {"2%": 31, "5%": 7, "10%": 4}


def test_captions_with_the_truth_are_counted_before_they_are_made(place):
    recipe, store = place
    more = ["controls=[positive]", "dataset.truth=slide"]
    told = CliRunner().invoke(
        main, ["--runs", str(store.root), "plan", str(recipe), "--json", *(x for m in more for x in ("--set", m))]
    )
    arms = {arm["arm"]: arm for arm in json.loads(told.output)["arms"]}
    assert arms["control-positive"]["samples"] == arms["label-only"]["samples"] == 10
    assert arms["control-positive"]["prompts"] == 20
