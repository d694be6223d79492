"""Images that show several findings, or none: read, captioned, balanced and checked."""

import csv
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner
from findings_data import FINDINGS, draw_findings_folder
from pydantic import ValidationError
from small_data import tiny_settings, write_recipe

from mep.artifacts import Clusters, Images
from mep.artifacts.findings import Findings, joined
from mep.cli.main import main
from mep.errors import DataError, RecipeError
from mep.machine.work import Work
from mep.methods.balancers.none import NoBalancer
from mep.methods.balancers.uniform_per_prompt import UniformPerPrompt
from mep.methods.sources import Record
from mep.methods.sources.imagefolder import ImageFolder
from mep.recipe import load_recipe
from mep.sections.balancing import BalancingConfig
from mep.sections.dataset import DatasetConfig, LabelsConfig
from mep.stages.balancing import balancing
from mep.stages.dataset.labels import read_labels
from mep.stages.dataset.lint import finding_counts, lint
from mep.stages.dataset.stage import dataset
from mep.stages.prompts.template import Record as Caption
from mep.stages.prompts.template import Writer


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return draw_findings_folder(tmp_path_factory.mktemp("findings") / "images", 40)


def build(folder, tmp_path, **settings):
    config = DatasetConfig(source=ImageFolder(kind="imagefolder", path=folder), **settings)
    return dataset.function(config, work=Work(folder=tmp_path / "work", seed=3))


def labelled(*rows, **settings):
    """Names of the labels of rows of a table."""
    records = [Record(f"{place}.png", "", row) for place, row in enumerate(rows)]
    config = DatasetConfig(source=ImageFolder(kind="imagefolder", path="."), labels=LabelsConfig(**settings))
    numbers, names, findings = read_labels(records, config)
    assert set(findings.of_label) == set(names)
    return [names[number] for number in numbers]


def test_columns_and_a_list_say_the_same(folder, tmp_path):
    by_column = build(folder, tmp_path, labels={"columns": FINDINGS}, group="patient")
    by_list = build(folder, tmp_path, labels={"column": "findings", "separator": "|"}, group="patient")
    assert by_column.findings == by_list.findings
    assert np.array_equal(by_column.splits, by_list.splits)
    with (folder / "metadata.csv").open() as file:
        table = [[int(row[name]) for name in FINDINGS] for row in csv.DictReader(file)]
    assert np.array_equal(by_column.shown, np.array(table, dtype=bool))
    assert "effusion and mass" in by_column.label_names
    by_column.save(tmp_path)
    loaded = Images.load(tmp_path, DatasetConfig(source=ImageFolder(kind="imagefolder", path=folder)))
    assert loaded.findings == by_column.findings
    assert np.array_equal(loaded.strata, by_column.strata)


def test_a_split_holds_the_share_of_every_finding_and_keeps_patients_together(folder, tmp_path):
    drawn = {
        "group": "patient",
        "near_duplicate_bits": None,
        "holdout": {"fraction": 0.25},
        "validation": {"fraction": 0.2},
    }
    images = build(folder, tmp_path, labels={"columns": FINDINGS}, **drawn)
    effusion, mass, nodule = np.abs(images.held_out.shown.sum(axis=0) - 0.25 * images.shown.sum(axis=0))
    assert max(effusion, mass, nodule) <= 1
    assert images.validation.shown[:, 2].sum() == 1  # of seven nodules, the rarest finding
    assert set(images.held_out.metadata["patient"]).isdisjoint(images.seen.metadata["patient"])


@pytest.mark.parametrize(("yes", "no"), [(1, 0), (1.0, 0.0), ("yes", "no"), ("Yes", "NO"), (True, False), ("1.0", "0")])
def test_yes_and_no_are_written_in_many_ways(yes, no):
    assert labelled({"a": yes, "b": no}, {"a": no, "b": yes}, columns=["a", "b"]) == ["a", "b"]


def test_what_is_blank_and_uncertain_is_said_by_the_recipe():
    rows = {"a": 1, "b": "-1.0"}, {"a": "", "b": 1}
    chosen = {"columns": ["a", "b"], "blank": "absent"}
    assert labelled(*rows, **chosen, uncertain="present") == ["a and b", "b"]
    assert labelled(*rows, **chosen, uncertain="absent", none="healthy") == ["a", "b"]
    assert labelled({"f": ""}, {"f": "a|b"}, column="f", separator="|", blank="absent") == ["no finding", "a and b"]


def test_a_list_may_be_text_or_a_list_and_none_is_no_finding():
    rows = {"f": "Mass|Effusion"}, {"f": "No Finding"}, {"f": "Effusion| Mass |Nodule"}
    names = ["Effusion and Mass", "no finding", "Effusion, Mass and Nodule"]
    assert labelled(*rows, column="f", separator="|") == names
    lists = {"f": ["Mass", "Effusion"]}, {"f": []}, {"f": ["Nodule", "Mass", "Effusion"]}
    assert labelled(*lists, column="f") == names


@pytest.mark.parametrize(
    ("rows", "settings", "message", "hint"),
    [
        ([{"effusion": 1}], {"columns": ["efusion"]}, "no column 'efusion'", "did you mean 'effusion'?"),
        ([{"f": "a;b"}], {"column": "f", "separator": "|"}, "no value has the separator '|'", 'try separator: ";"'),
        ([{"f": "a"}], {"column": "f", "separator": "|"}, "no value has the separator '|'", "dataset.label"),
        ([{"f": "a|b"}], {"column": "f"}, "holds text such as 'a|b' and not a list", 'dataset.labels.separator: "|"'),
        ([{"a": 1, "b": 0}], {"columns": ["a", "b"]}, "no image has the finding 'b'", "take it out"),
        ([{"a": 1}, {"a": 2}, {"a": "m"}], {"columns": ["a"]}, "1.png has '2' in column 'a', which is", "correct"),
        ([{"a": 1}, {"a": -1}], {"columns": ["a"]}, "1.png has -1 in column 'a'", "dataset.labels.uncertain"),
        ([{"a": 1}, {"a": ""}], {"columns": ["a"]}, "1.png has no label in column 'a'", "labels.blank: absent"),
        ([{"f": ["a", "b and c"]}, {"f": ["a and b", "c"]}], {"column": "f"}, "read alike: ", "call one of them"),
    ],
)
def test_what_cannot_be_read_is_told_in_one_message(rows, settings, message, hint):
    with pytest.raises(DataError) as told:
        labelled(*rows, **settings)
    assert message in told.value.message
    assert hint in told.value.hint


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"label": "a", "labels": {"columns": ["b"]}}, "not both"),
        ({"labels": {}}, "give columns"),
        ({"labels": {"columns": ["a"], "column": "b"}}, "give columns"),
        ({"labels": {"columns": ["a"], "separator": "|"}}, "separator is about column"),
        ({"labels": {"columns": ["a", "a"]}}, "named twice"),
        ({"labels": {"columns": ["a", "No Finding"]}}, "no finding itself"),
    ],
)
def test_a_recipe_that_says_it_in_two_ways_is_refused(settings, message):
    with pytest.raises(ValidationError, match=message):
        DatasetConfig(source=ImageFolder(kind="imagefolder", path="."), **settings)


def test_one_label_an_image_has_the_fingerprint_that_it_had():
    config = DatasetConfig(source=ImageFolder(kind="imagefolder", path="."), label="label")
    assert "labels" not in config.dump()
    assert "labels" in DatasetConfig(source=config.source, labels={"columns": ["a"]}).dump()


def test_captions_name_all_findings_in_the_recipes_words():
    findings = Findings(["effusion", "mass"], {"effusion and mass": ["effusion", "mass"], "no finding": []})
    words = {"effusion": "pleural effusion", "mass": "a mass", "no finding": "clear lungs"}
    writer = Writer(["{labels}", "{labels:name}", "{label:title}"], words, {}, findings)
    assert writer.write(Caption("effusion and mass")) == [
        "effusion and mass",
        "pleural effusion and a mass",
        "Effusion and mass",
    ]
    assert writer.write(Caption("no finding"))[1] == "clear lungs"
    with pytest.raises(DataError, match="none for label mass"):
        Writer(["{labels:name}"], {"effusion": "e"}, {}, findings).write(Caption("effusion and mass"))
    assert joined(["a", "b", "c", "d"]) == "a, b, c and d"


def balanced(tmp_path, by, kind=None, **metadata):
    """Twelve images: a on half of them, b on three of these, c on one of the others."""
    labels = ["a"] * 3 + ["a and b"] * 3 + ["no finding"] * 5 + ["c"]
    names = sorted(set(labels))
    findings = Findings(["a", "b", "c"], {"a": ["a"], "a and b": ["a", "b"], "no finding": [], "c": ["c"]})
    ids = [str(row) for row in range(12)]
    numbers = np.array([names.index(label) for label in labels])
    sizes = np.ones((12, 2), int)
    images = Images(ids, numbers, names, np.zeros(12, np.int8), ids, sizes, metadata, source=None, findings=findings)
    clusters = Clusters(ids, np.zeros(12, int), np.zeros(12, np.float32), {})
    config = BalancingConfig(method=kind or NoBalancer(kind="none"), by=by)
    return balancing.function(config, images, clusters, work=Work(folder=tmp_path))


@pytest.mark.parametrize(
    ("by", "groups"),
    [
        (["label"], {"a": 3, "a and b": 3, "c": 1, "no finding": 5}),
        (["a"], {"no a": 6, "a": 6}),
        (["b", "a"], {"no b, no a": 6, "no b, a": 3, "b, a": 3}),
        (["finding"], {"a": 3, "b": 3, "c": 1, "no finding": 5}),
        ({"age": 10}, {"age 40 to 49": 2, "age 50 to 59": 10}),
        (["c", {"age": 10}], {"no c, age 40 to 49": 2, "no c, age 50 to 59": 9, "c, age 50 to 59": 1}),
    ],
)
def test_groups_may_be_of_any_finding_or_of_steps_of_a_number(by, groups, tmp_path):
    made = balanced(tmp_path, by, age=["41", 49.5, *range(50, 60)])
    assert {row["group"]: row["images"] for row in made.groups} == groups


def test_balancing_by_a_finding_picks_as_many_with_it_as_without(tmp_path):
    made = balanced(tmp_path, ["b"], UniformPerPrompt(kind="uniform_per_prompt"))
    assert sorted(label == "a and b" for label in made.labels) == [False] * 3 + [True] * 3


def test_what_has_no_steps_is_told(tmp_path):
    with pytest.raises(DataError, match="0 has old in column 'age', which is no number") as told:
        balanced(tmp_path, {"age": 10}, age=["old"] * 12)
    assert told.value.hint == "name the column without a width: by: [age]"


def test_lint_tells_how_often_findings_are_there_and_together():
    rows = [{"f": ["a", "b"]}, {"f": ["a"]}, {"f": []}, {"f": ["a", "b", "c"]}, {"f": ["b"]}]
    source = SimpleNamespace(records=lambda: [Record(f"{n}.png", "", row) for n, row in enumerate(rows)])
    config = DatasetConfig.model_construct(source=source, labels=LabelsConfig(column="f"), exclude=None)
    assert finding_counts(config) == [
        {"finding": "(no finding)", "images": 1},
        {"finding": "a", "images": 3, "alone": 1, "together with": "b 2, c 1"},
        {"finding": "b", "images": 3, "alone": 1, "together with": "a 2, c 1"},
        {"finding": "c", "images": 1, "alone": 0, "together with": "a 1, b 1"},
    ]


def test_lint_shows_the_counts_of_a_recipe(folder, tmp_path):
    settings = tiny_settings(folder)
    del settings["dataset"]["label"]
    settings["dataset"] |= {"labels": {"columns": [*FINDINGS]}}
    done = CliRunner().invoke(main, ["lint", str(write_recipe(tmp_path / "recipe.yaml", settings))])
    assert done.exit_code == 0, done.output
    assert "together with" in done.stdout
    assert "(no finding)" in done.stdout


@pytest.mark.parametrize("command", ["plan", "lint"])
def test_what_is_wrong_with_labels_is_told_before_a_run_and_with_its_line(command, folder, tmp_path):
    settings = tiny_settings(folder)
    settings["dataset"] = {"source": settings["dataset"]["source"], "labels": {"columns": ["mass", "age"]}}
    recipe = write_recipe(tmp_path / "recipe.yaml", settings)
    done = CliRunner().invoke(main, ["--runs", str(tmp_path / "runs"), command, str(recipe)])
    assert done.exit_code != 0
    assert f"{recipe}:10:5  dataset.labels.columns: 00.jpg has '" in done.stderr.replace("\n", "")


def test_lint_counts_every_finding(folder, tmp_path):
    source = ImageFolder(kind="imagefolder", path=folder)
    splits = {"holdout": {"fraction": 0.2}, "near_duplicate_bits": None}
    work = Work(folder=tmp_path / "work")
    _, found = lint(DatasetConfig(source=source, labels={"columns": FINDINGS}, **splits), work)
    assert [problem.check for problem in found] == []
    blanked = folder.parent / "blanked"
    blanked.mkdir()
    lines = (folder / "metadata.csv").read_text().splitlines()
    for path in sorted(folder.glob("*.jpg")):
        (blanked / path.name).write_bytes(path.read_bytes())
    rare = [line.rsplit(",", 1)[0] + f",{int(place == 3)}" for place, line in enumerate(lines[1:])]
    rare[0] = rare[0].rsplit(",", 1)[0] + ","
    (blanked / "metadata.csv").write_text("\n".join([lines[0], *rare]))
    config = DatasetConfig(source=ImageFolder(kind="imagefolder", path=blanked), labels={"columns": FINDINGS}, **splits)
    _, found = lint(config, Work(folder=tmp_path / "other"))
    assert [(problem.check, problem.image) for problem in found] == [("missing_label", "00.jpg"), ("small_class", "")]
    assert found[0].detail == "nothing in column 'nodule'"
    assert found[1].detail.startswith("class 'nodule' has 1 image, 1 to train on: balancing by uniform_per_prompt")


def test_a_recipe_may_balance_by_findings_and_names_no_column_twice(folder):
    settings = tiny_settings(folder)
    del settings["dataset"]["label"]
    settings["dataset"] |= {"labels": {"columns": [*FINDINGS]}, "columns": [{"age": 10}]}
    settings["balancing"] = {"by": ["mass", "cluster"]}
    path = folder.parent / "recipe.yaml"
    assert load_recipe(write_recipe(path, settings)).arms["mep"].balancing.keys == ("mass", "cluster")
    for by, told in ((["masss"], "did you mean 'mass'"), ([{"age": 10}], r"by: \[age\]")):
        with pytest.raises(RecipeError, match=told):
            load_recipe(write_recipe(path, settings | {"balancing": {"by": by}}))
