"""`mep evaluate`: two plain folders, every number with its protocol, and a clear word about folders that are not."""

import json
import os
import shutil

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from small_data import draw

from mep.artifacts.score_row import COLUMNS
from mep.cli.main import main
from mep.evaluation.space import drawn
from mep.methods.extractors.random_conv import RandomConv
from mep.methods.scores.frechet import frechet_distance


def write(folder, n, brown, *, size=32, ending="png", mode="RGB", seed=0, inverted=False):
    """n pictures of one of two colours in a folder of their own."""
    rng = np.random.default_rng([seed, n, brown])
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(n):
        pixels = draw(rng, brown, size)
        Image.fromarray(255 - pixels if inverted else pixels).convert(mode).save(folder / f"{number:03d}.{ending}")
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("folders")
    write(root / "real" / "a", 20, True)
    write(root / "real" / "b", 20, False)
    write(root / "good" / "a", 20, True, seed=1)
    write(root / "good" / "b", 20, False, seed=1)
    write(root / "poor" / "a", 20, True, seed=2)
    write(root / "poor" / "b", 20, False, seed=3, inverted=True)
    return root


@pytest.fixture
def evaluate(folders, tmp_path):
    """The command on folders below the root: its exit code, stdout and stderr."""

    def call(*options, real="real", synthetic=("good",), runs=tmp_path):
        paths = [part for name in synthetic for part in ("--synthetic", str(folders / name))]
        command = ["--runs", str(runs), "evaluate", "--real", str(folders / real), *paths, *options]
        if "--extractor" not in options:
            command += ["--extractor", "random_conv"]
        return CliRunner().invoke(main, command)

    return call


def rows_of(result, **wanted):
    rows = json.loads(result.stdout)["rows"]
    return [row for row in rows if all(row[name] == value for name, value in wanted.items())]


def features(folder):
    extract = RandomConv(kind="random_conv").load("cpu")
    paths = sorted(folder.rglob("*.png"))
    return np.concatenate([extract(np.asarray(Image.open(path))[None]) for path in paths]).astype(np.float64)


def test_the_number_is_that_of_the_features_and_carries_its_protocol(evaluate, folders):
    result = evaluate("--json")
    assert result.exit_code == 0
    (row,) = rows_of(result, metric="fd", reference="heldout", group="all")
    assert set(row) == {"synthetic", *COLUMNS}
    sets = [features(folders / name)[drawn(40, 40, 0, place)] for place, name in enumerate(("real", "good"))]
    assert row["value"] == pytest.approx(frechet_distance(*sets), rel=1e-4)
    assert (row["n_real"], row["n_fake"], row["d"], row["eval_resolution"]) == (40, 40, 64, None)
    assert row["image_format"] == {"real": "png RGB", "fake": "png RGB"}
    assert row["low"] < row["value"] < row["high"]
    assert "rank_deficient" in row["flags"]


def test_the_same_images_are_not_looked_at_twice(evaluate, monkeypatch):
    first = evaluate("--json")
    monkeypatch.setattr(RandomConv, "load", lambda *_: pytest.fail("features were in the cache"))
    assert evaluate("--json").stdout == first.stdout


def test_of_two_folders_the_better_one_is_told_apart_with_p(evaluate):
    result = evaluate("--json", synthetic=("good", "poor"))
    found = json.loads(result.stdout)["comparisons"]
    kid = next(one for one in found if one["metric"] == "kid" and one["reference"] == "heldout")
    assert kid["difference"] > 0
    assert kid["low"] > 0
    assert kid["p"] <= 0.01
    assert kid["p"] <= kid["p_holm"] <= 1
    assert "p_holm" not in found[0]  # the first metric is the one that was named beforehand
    shown = evaluate(synthetic=("good", "poor"))
    assert "random_conv kid ×10³ ↓" in shown.stdout
    assert "40 real against 40 synthetic images" in shown.stderr


def test_a_folder_of_labels_is_scored_label_by_label(evaluate):
    result = evaluate("--json", "--by", "label", "--score", "kid", synthetic=("poor",))
    values = {row["group"]: row["value"] for row in rows_of(result, metric="kid", reference="heldout")}
    assert set(values) == {"all", "label=a", "label=b", "label:macro", "label:weighted", "label:worst"}
    assert values["label=b"] > 5 * abs(values["label=a"])  # b is drawn inverted
    assert values["label:worst"] == values["label=b"]
    assert values["label:macro"] == pytest.approx((values["label=a"] + values["label=b"]) / 2)


def test_copies_of_training_images_are_found(evaluate, folders):
    result = evaluate("--json", "--train", str(folders / "good"), synthetic=("good",))
    (rate,) = rows_of(result, metric="copy_rate")
    assert (rate["value"], rate["null"]) == (1.0, 0.01)
    assert "files of the real images, byte for byte" in result.stderr


def test_unlike_sizes_are_brought_to_the_smaller_one(evaluate, folders):
    write(folders / "large", 24, True, size=64)
    (row,) = rows_of(evaluate("--json", "--score", "kid", synthetic=("large",)), metric="kid")
    assert (row["eval_resolution"], row["n_real"], row["n_real_of"]) == (32, 24, 40)
    (row,) = rows_of(evaluate("--json", "--score", "kid", "--resolution", "16"), metric="kid")
    assert row["eval_resolution"] == 16


def test_jpeg_against_png_and_grey_against_colour_are_flagged(evaluate, folders):
    write(folders / "jpeg", 24, True, ending="jpg")
    write(folders / "grey", 24, True, mode="L")
    (row,) = rows_of(evaluate("--json", "--score", "kid", synthetic=("jpeg",)), metric="kid")
    assert row["flags"] == ["unlike_formats"]
    result = evaluate("--json", "--score", "kid", synthetic=("grey",))
    assert rows_of(result, metric="kid")[0]["flags"] == ["unlike_channels"]
    assert "grey is repeated into three" in result.stderr


def test_numbers_of_unlike_protocol_are_not_compared_and_strictly_end_with_five(evaluate, folders):
    write(folders / "jpeg", 40, True, ending="jpg")
    result = evaluate("--json", "--score", "kid", synthetic=("good", "jpeg"))
    assert result.exit_code == 0
    assert json.loads(result.stdout)["comparisons"][0]["reason"] == "they differ in the image files"
    strict = evaluate("--score", "kid", "--strict-comparable", synthetic=("good", "jpeg"))
    assert strict.exit_code == 5
    assert "they differ in the image files" in strict.stderr
    assert evaluate("--score", "kid", "--strict-comparable", synthetic=("good", "poor")).exit_code == 0


def test_too_few_images_have_an_honest_gap_with_its_reason(evaluate, folders):
    write(folders / "few", 8, True)
    result = evaluate("--json", synthetic=("few",))
    (row,) = rows_of(result, metric="coverage", reference="heldout")
    assert row["value"] is None
    assert row["reason"] == "8 real rows of features, at least 11 are needed"
    assert "too_few_images" in row["flags"]
    assert rows_of(result, metric="kid", reference="heldout")[0]["value"] is not None


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.mkdir(), "holds no image"),
        (lambda path: write(path, 1, True), "holds a single image, 000.png"),
        (lambda path: (write(path, 3, True) / "x.png").write_bytes(b"no picture"), "x.png is no image"),
        (lambda path: _cut(write(path, 3, True) / "001.png"), "001.png does not decode"),
        (lambda path: path.parent.mkdir(exist_ok=True), "is not a folder"),
    ],
)
def test_folders_that_are_none_are_told_by_name(evaluate, folders, tmp_path, make, message):
    make(tmp_path / "bad")
    result = evaluate("--synthetic", str(tmp_path / "bad"), synthetic=())
    assert result.exit_code in (1, 2)
    assert message in " ".join(result.stderr.split())


def _cut(path):
    path.write_bytes(path.read_bytes()[:200])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--extractor", "random_cnov"), "--extractor 'random_cnov'"),
        (("--extractor", "{kind: inception, weights: absent.pt}"), "does not exist"),
        (("--extractor", "{kind: random_conv, width: 7}"), "width"),
        (("--score", "fidd"), "known: adherence, cmmd"),
        (("--by", "stain"), "have no column 'stain'"),
        (("--group", "slide"), "have no column 'slide'"),
    ],
)
def test_mistakes_on_the_command_line_are_told_with_what_is_known(evaluate, options, message):
    result = evaluate(*options)
    assert result.exit_code in (1, 2)
    assert message in " ".join(result.stderr.split())


@pytest.mark.parametrize("damage", ["truncated weights", "another model", "no processor", "no configuration"])
def test_a_model_that_does_not_load_is_told(evaluate, vit, tmp_path, damage):
    folder = tmp_path / "model"
    shutil.copytree(vit, folder)
    if damage == "truncated weights":
        os.truncate(folder / "model.safetensors", 1000)
    elif damage == "another model":
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | {"intermediate_size": 96}))
    elif damage == "no processor":
        (folder / "preprocessor_config.json").unlink()
    else:
        (folder / "config.json").unlink()
        (folder / "preprocessor_config.json").unlink()
    result = evaluate("--score", "kid", "--extractor", f"{{kind: transformers, path: {folder}}}")
    assert result.exit_code == 1, result.output
    assert str(folder) in result.stderr
    assert "hint: name" in result.stderr


@pytest.mark.parametrize(
    ("device", "code", "message"), [("gpu", 2, "no device 'gpu'"), ("cuda:1", 3, "0 CUDA devices")]
)
def test_a_device_that_is_not_there_is_told(evaluate, device, code, message):
    result = evaluate("--score", "kid", "--device", device)
    assert (result.exit_code, message in result.stderr) == (code, True), result.output


def test_unequal_numbers_are_told_with_how_many_of_each_are_compared(folders, evaluate):
    write(folders / "few", 13, True)
    told = evaluate("--halves", "0", synthetic=("good", "few")).stderr
    assert f"unequal numbers of images ({folders / 'real'} 40, {folders / 'good'} 40, {folders / 'few'} 13)" in told
    assert "13 of each are compared" in told
    assert "unequal numbers" not in evaluate("--halves", "0").stderr
