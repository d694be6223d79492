"""Ways to get a recipe wrong, and what a person reads then: where, what was found, what is wanted, what to do.

Each case is two files of the folder `bad`: a recipe, and beside it the message as it is read. Words that grow with mep
stand there as <scores> or <a score>. A first line `# mep validate ... --set FIELD=VALUE` is an override.
"""

from pathlib import Path

import pytest

import mep
from mep.errors import RecipeError
from mep.methods import families
from mep.recipe import load_recipe
from mep.recipe.annotations import choices
from mep.recipe.model import Experiment
from mep.recipe.recipe_file import RecipeFile
from mep.recipe.wording import wanted
from mep.sections.clustering import ClusteringConfig
from mep.sections.training import TrainingConfig

BAD = Path(__file__).parent / "bad"
GOOD = (BAD / "good.yaml").read_text()
SECTIONS = {
    "recipe": RecipeFile,
    "experiment": Experiment,
    "training": TrainingConfig,
    "clustering": ClusteringConfig,
}


def filled_in(message: str) -> str:
    """The message with the words of this mep: every new method is one more."""
    words = {"folder": str(BAD), "version": mep.__version__}
    words |= {name: ", ".join(sorted(config.model_fields)) for name, config in SECTIONS.items()}
    for name, family in families().items():
        choice = wanted(family)
        words |= {name: ", ".join(choices(family)), choice.partition(" (")[0]: choice}
    for name, text in words.items():
        message = message.replace(f"<{name}>", text)
    return message


def test_the_recipe_that_the_bad_ones_extend_is_good():
    assert list(load_recipe(BAD / "good.yaml").arms) == ["label-only", "mep"]


@pytest.mark.parametrize("name", sorted(path.stem for path in BAD.glob("*.yaml") if path.stem != "good"))
def test_the_message_says_where_and_what_to_do_when(name, monkeypatch):
    monkeypatch.chdir(BAD)
    command = Path(f"{name}.yaml").read_text(encoding="utf-8").partition("\n")[0]
    _, _, override = command.partition(" --set ")
    with pytest.raises(RecipeError) as caught:
        load_recipe(f"{name}.yaml", [override] if override else [])
    assert f"{caught.value}\n" == filled_in(Path(f"{name}.txt").read_text(encoding="utf-8"))


def mistakes_of(path: Path, text: str | bytes, *overrides: str) -> list[str]:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(RecipeError) as caught:
        load_recipe(path, overrides)
    return [f"{mistake.place}  {mistake.field}".removeprefix(f"{path.parent}/") for mistake in caught.value.mistakes]


def test_all_mistakes_are_told_at_once_from_top_to_bottom(tmp_path):
    text = GOOD.replace("kmeans", "kmaens").replace("100", "0").replace("mep: {}", "mep: {seed: -1}")
    assert mistakes_of(tmp_path / "chest.yaml", text, "training.global_batch_size=0", "x") == [
        "chest.yaml:5:18  clustering.method.kind",
        "chest.yaml:8:10  training.steps",
        "chest.yaml:12:15  arms.mep.seed",
        "--set x  ",
        "--set training.global_batch_size=0  training.global_batch_size",
    ]


def test_a_mistake_of_the_common_part_is_told_once_whatever_the_number_of_arms(tmp_path):
    text = GOOD.replace("100", "0") + "  third: {seed: 3}\n  fourth: {training: {global_batch_size: 4}}\n"
    assert mistakes_of(tmp_path / "chest.yaml", text) == ["chest.yaml:8:10  training.steps"]


def test_a_key_that_the_common_part_lacks_is_told_once_where_its_section_begins(tmp_path):
    text = GOOD.replace("  steps: 100\n", "") + "  third: {training: {global_batch_size: 4}}\n"
    assert mistakes_of(tmp_path / "chest.yaml", text) == ["chest.yaml:6:1  training.steps"]


def test_a_common_value_that_only_some_arms_use_names_them(tmp_path):
    text = GOOD.replace("mep: {}", "mep: {}\n  third: {}").replace("k: 8", "k: 1")
    text = text.replace("label-only:", "label-only:\n    clustering: {method: none}")
    (tmp_path / "chest.yaml").write_text(text)
    with pytest.raises(RecipeError, match=r"found 1, wanted an integer >= 2 \(in arm mep, third\)"):
        load_recipe(tmp_path / "chest.yaml")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"name: caf\xe9\n", "chest.yaml:1:10  is not UTF-8: byte 0xe9\n    save it as UTF-8"),
        (b"\xef\xbb\xbfname: a\n", "chest.yaml  begins with a byte order mark\n    save it as UTF-8 without BOM"),
        (b"#" * (1 << 20) + b"\n", "chest.yaml  is larger than 1 MiB"),
        (b"a: " + b"[" * 100, "chest.yaml:1:68  nested more than 64 deep"),
        (b"a: &a [*a]\n", "chest.yaml:1:8  *a stands for nothing"),
        (b"? [a]\n: b\n", "chest.yaml:1:3  a key is text"),
    ],
)
def test_a_file_that_is_no_recipe_is_refused_at_once(tmp_path, monkeypatch, content, message):
    monkeypatch.chdir(tmp_path)
    Path("chest.yaml").write_bytes(content)
    with pytest.raises(RecipeError) as caught:
        load_recipe("chest.yaml")
    assert str(caught.value).startswith(message)


def test_a_file_that_is_not_there_is_a_mistake_too(tmp_path):
    with pytest.raises(RecipeError, match=r"nowhere.yaml  cannot be read: No such file or directory"):
        load_recipe(tmp_path / "nowhere.yaml")
    with pytest.raises(RecipeError, match=r"cannot be read: Is a directory"):
        load_recipe(tmp_path)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("quickstrt", "quickstart"),  # comes with mep
        ("quickstart.yaml", "quickstart"),
        ("./chst.yaml", "chest.yaml"),
        ("chest.yml", "chest.yaml"),
        ("folder/quickstrt", None),  # what comes with mep lies in no folder
        ("something-else", None),
    ],
)
def test_a_mistyped_name_of_a_recipe_is_guessed(tmp_path, monkeypatch, typed, meant):
    monkeypatch.chdir(tmp_path)
    Path("chest.yaml").touch()
    with pytest.raises(RecipeError) as caught:
        load_recipe(typed)
    [mistake] = caught.value.mistakes
    assert mistake.hint.partition("name the YAML file")[0] == (f"did you mean '{meant}'?  " if meant else "")


def test_aliases_count_as_often_as_they_are_used(tmp_path):
    # Ten to the sixth values in 200 bytes.
    lines = ["a0: &a0 [x,x,x,x,x,x,x,x,x,x]"]
    lines += [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 6)]
    (tmp_path / "chest.yaml").write_text("\n".join(lines))
    with pytest.raises(RecipeError, match="more than 10,000 values, aliases counted as often as they are used"):
        load_recipe(tmp_path / "chest.yaml")


def test_an_alias_repeats_a_value(tmp_path):
    text = GOOD.replace("label: stain", "label: &column stain, group: *column")
    (tmp_path / "chest.yaml").write_text(text)
    recipe = load_recipe(tmp_path / "chest.yaml")
    assert recipe.arms["mep"].dataset.group == "stain"
    assert recipe.origins["mep"]["dataset.group"].column == text.splitlines()[2].index("&column") + 1


def test_a_second_kind_of_a_method_in_an_arm_has_no_fields_of_the_first(tmp_path):
    text = GOOD.replace("mep: {}", "mep: {clustering: {method: {kind: hdbscan}}}")
    (tmp_path / "chest.yaml").write_text(text)
    assert load_recipe(tmp_path / "chest.yaml").arms["mep"].clustering.method.dump()["kind"] == "hdbscan"
    assert mistakes_of(tmp_path / "chest.yaml", text, "clustering.method.k=5") == [
        "--set clustering.method.k=5  clustering.method.k"
    ]
