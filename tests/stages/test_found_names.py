"""Names of clusters that a model finds: from the recipe to the captions."""

import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from small_data import draw_imagefolder, tiny_settings, write_recipe
from tiny_clip import save_clip

from mep.artifacts import Prompts, TrainingSet
from mep.cli.main import main
from mep.errors import EnvironmentLacks, RecipeError
from mep.recipe import load_recipe
from mep.runner.part_of_run import make_stage
from mep.runner.plan import make_plan
from mep.runner.run import check
from mep.store import Store

TERMS = ["blue blobs", "brown blobs", "nothing"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Images of two kinds, a CLIP that knows both and a third, and its terms."""
    from PIL import Image

    root = tmp_path_factory.mktemp("named")
    draw_imagefolder(root / "images", n=16)
    seen = [np.asarray(Image.open(root / "images" / f"{number:02d}.png")) for number in range(16)]
    save_clip(root / "clip", TERMS, [seen[0::2], seen[1::2], [np.full((32, 32, 3), 255, np.uint8)]])
    (root / "terms.txt").write_text("\n".join(TERMS))
    return root


def recipe_of(folder, *, names=None, template="{label}, {cluster:name}", **found):
    settings = tiny_settings(folder / "images")
    settings["dataset"]["source"]["path"] = "images"
    found = {"kind": "zero_shot", "model": {"path": "clip"}, "terms": "terms.txt"} | found
    settings["prompts"] = {"template": template, "cluster_names": found}
    settings["training"]["base"]["text"]["tokens"] = 32
    settings["training"]["base"]["autoencoder"] = {"kind": "pca"}
    if names:
        (folder / "names.yaml").write_text(yaml.safe_dump({"mep": 2, "prompts": {"cluster_names": names}}))
        settings["extends"] = "names.yaml"
    return load_recipe(write_recipe(folder / "recipe.yaml", settings))


def captions_of(recipe, tmp_path):
    """Captions of the arm that names clusters, and its training set."""
    store = Store(tmp_path / "runs")
    tasks = {task.arms[0]: task for task in make_stage(recipe, store, "prompts")}
    task = tasks["mep"]
    prompts = store.load(Prompts, task.artifact_id, task.config)
    source = task.inputs["training_set"]
    return prompts, store.load(TrainingSet, source.artifact_id, source.config), tasks


def test_captions_say_the_terms_that_fit_and_a_name_by_hand_wins(folder, tmp_path):
    prompts, training_set, tasks = captions_of(recipe_of(folder), tmp_path)
    colour = {"healthy": "blue blobs", "cancer": "brown blobs"}  # as `draw_imagefolder` paints them
    for found in prompts.found:
        labels = [training_set.labels[row] for row in np.flatnonzero(training_set.clusters == found["cluster"])]
        assert found["name"] == colour[max(set(labels), key=labels.count)]
    assert {prompt.text.split(", ")[1] for prompt in prompts.prompts} == set(colour.values())
    assert prompts.facts()["names found"] == 2
    assert tasks["label-only"].config.dump()["cluster_names"] == {}  # which is not trained again for a name

    named, _, again = captions_of(recipe_of(folder, names={0: "by hand"}), tmp_path)
    assert [one["cluster"] for one in named.found] == [1]
    assert {p.text.split(", ")[1] for p in named.prompts if p.cluster == 0} == {"by hand"}
    assert again["label-only"].artifact_id == tasks["label-only"].artifact_id
    assert again["mep"].artifact_id != tasks["mep"].artifact_id


def test_other_terms_are_other_captions_and_bad_ones_are_told_before_the_first_stage(folder, tmp_path):
    store = Store(tmp_path / "runs")
    recipe = recipe_of(folder)
    before = make_plan(recipe, store).of_arm("mep")["prompts"].fingerprint
    (folder / "terms.txt").write_text("\n".join([*TERMS, "more"]))
    assert make_plan(recipe, store).of_arm("mep")["prompts"].fingerprint != before
    (folder / "terms.txt").write_text("\n".join(TERMS))
    (folder / "half").mkdir(exist_ok=True)
    with pytest.raises(EnvironmentLacks, match=r"half is no CLIP .* it lacks config.json, weights as safetensors"):
        check(make_plan(recipe_of(folder, model={"path": "half"}), store))


@pytest.mark.parametrize(
    ("change", "where", "what"),
    [
        ({"kind": "zeroshot"}, "cluster_names.kind", "did you mean 'zero_shot'"),
        ({"termz": "a"}, "cluster_names.termz", "did you mean 'terms'"),
        ({"images": 0}, "cluster_names.images", "wanted an integer >= 1"),
        ({"terms": "none.txt"}, "cluster_names.terms", "does not exist"),
        ({"model": {}}, "cluster_names.model", "give either id"),
        ({"3": ["x"]}, "cluster_names", "wanted"),
    ],
)
def test_what_is_wrong_is_told_where_it_stands(folder, change, where, what):
    with pytest.raises(RecipeError) as caught:
        recipe_of(folder, **change)
    [mistake] = caught.value.mistakes
    assert mistake.field.startswith(f"prompts.{where}")
    assert what in f"{mistake.message} {mistake.hint}"


def test_the_sheet_of_a_recipe_shows_what_was_found_before_anything_is_trained(folder, tmp_path):
    recipe_of(folder)
    arguments = ["--runs", str(tmp_path / "runs"), "clusters", str(folder / "recipe.yaml")]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    page = (tmp_path / "runs" / "clusters-tiny.html").read_text()
    assert page.count('class="small found"') == 2
    assert 'placeholder="blue blobs"' in page
    assert not list((tmp_path / "runs" / "store").glob("training"))
    again = CliRunner().invoke(main, [*arguments, "--arm", "mepp"])
    assert (again.exit_code, "known: label-only, mep" in again.stderr) == (2, True)
