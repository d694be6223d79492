"""What was made elsewhere and does not fit the images is told before anything is made."""

import json

import pytest
from small_data import draw_imagefolder, tiny_settings, write_recipe

from mep.errors import DataError
from mep.recipe import load_recipe
from mep.runner.run import run
from mep.runner.tables_ahead import refuse_what_does_not_fit
from mep.store import Store

LONG = "a very long report " * 20


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder of images with a column `report`, too long for every third of them."""
    root = tmp_path_factory.mktemp("ahead")
    rows = (draw_imagefolder(root / "images") / "metadata.jsonl").read_text().splitlines()
    reports = [json.loads(row) | {"report": "tissue" if n % 3 else LONG} for n, row in enumerate(rows)]
    (root / "images" / "metadata.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in reports))
    (root / "others.csv").write_text("id,cluster,text,f0\nx.png,1,tissue,0.5\ny.png,2,tissue,0.7\n")
    return root, write_recipe(root / "tiny.yaml", tiny_settings(root / "images"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("embedding.model={kind: table, path: OTHERS, columns: [f0]}", "others.csv has no vector of 40 of 40 images"),
        ("outliers.method={kind: given, path: OTHERS}", "others.csv names 2 of 2 images that the dataset does not"),
        ("clustering.method={kind: given, path: OTHERS}", "others.csv has a row for none of the 40 images"),
        ("clustering.method={kind: given, column: type}", "the dataset has no column 'type'"),
        ("prompts.method={kind: given, path: OTHERS}", "others.csv has a row for none of the 40 images"),
        ("prompts.method={kind: given, column: report}", r"1 of 2 captions have more than the \d+ tokens"),
    ],
)
def test_what_does_not_fit_ends_a_run_before_its_first_stage(place, tmp_path, change, message):
    root, recipe = place
    changes = [change.replace("OTHERS", str(root / "others.csv")), "balancing.method=none"]
    with pytest.raises(DataError, match=message):
        run(load_recipe(recipe, changes), Store(tmp_path / "runs"))
    assert not [*(tmp_path / "runs").glob("*-tiny")]


@pytest.mark.parametrize(
    "changes",
    [
        ["balancing.method=uniform_per_prompt"],  # it may leave every third image out
        ["balancing.method=none", "dataset.holdout.fraction=0.9"],  # all 14 may be held out: 0.9 ** 14 is 0.2
        ["balancing.method=none", "prompts.method.too_long=cut"],
    ],
)
def test_a_caption_that_may_not_be_trained_on_ends_no_run(place, changes):
    given = "prompts.method={kind: given, column: report}"
    refuse_what_does_not_fit(load_recipe(place[1], [given, *changes]).arms["mep"])
