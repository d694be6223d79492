import json

import numpy as np
import pytest
import torch
from transformers import ViTConfig, ViTImageProcessor, ViTModel

from mep.embedders import Embedder
from mep.embedders.handcrafted import Handcrafted
from mep.embedders.transformers import Transformers
from mep.errors import DataError, EnvironmentLacks
from mep.files import sha256_of
from mep.hub import commit_of
from mep.registry import members

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def pictures(n=5, size=40, seed=0):
    return list(np.random.default_rng(seed).integers(0, 255, (n, size, size + 8, 3), dtype=np.uint8))


@pytest.fixture(scope="module")
def vit(tmp_path_factory):
    """A small vision transformer with random weights, saved as the hub would have it."""
    folder = tmp_path_factory.mktemp("vit")
    torch.manual_seed(0)
    sizes = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48}
    ViTModel(ViTConfig(image_size=32, patch_size=8, **sizes), add_pooling_layer=False).save_pretrained(folder)
    ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("kind", members(Embedder))
def test_a_vector_does_not_depend_on_the_batch(kind, vit):
    settings = {"transformers": {"path": vit}}.get(kind, {})
    embed = members(Embedder)[kind](kind=kind, **settings).load("cpu")
    images = pictures()
    together = embed(images)
    assert together.dtype == np.float32
    assert np.concatenate([embed([image]) for image in images]) == pytest.approx(together, abs=1e-5)


def test_handcrafted_vectors_tell_colour_and_texture_apart_but_not_position():
    embed = Handcrafted(kind="handcrafted").load("cpu")
    brown, blue = np.full((2, 64, 64, 3), 0, np.uint8)
    brown[:], blue[:] = (120, 70, 30), (70, 80, 160)
    stripes = brown.copy()
    stripes[:, ::4] = 200
    shifted = np.roll(stripes, 4, axis=1)
    a, b, c, d = embed([brown, blue, stripes, shifted])
    assert np.linalg.norm(a - b) > 0.5
    assert np.linalg.norm(a - c) > 0.5
    assert np.linalg.norm(c - d) < 0.1
    assert a.shape == (78,)


@pytest.mark.parametrize(("pooling", "d"), [("cls", 24), ("mean", 24), ("cls+mean", 48)])
def test_a_local_vision_transformer_gives_the_tokens_that_were_asked(vit, pooling, d):
    images = pictures(2)
    vectors = Transformers(kind="transformers", path=vit, pooling=pooling).load("cpu")(images)
    model, processor = (
        ViTModel.from_pretrained(vit, add_pooling_layer=False).eval(),
        ViTImageProcessor.from_pretrained(vit),
    )
    with torch.no_grad():
        hidden = model(**processor(images=images, return_tensors="pt")).last_hidden_state
    parts = {"cls": [hidden[:, 0]], "mean": [hidden[:, 1:].mean(1)], "cls+mean": [hidden[:, 0], hidden[:, 1:].mean(1)]}
    assert vectors == pytest.approx(torch.cat(parts[pooling], 1).numpy(), abs=1e-5)
    assert vectors.shape == (2, d)


def test_a_processor_that_flattens_the_images_is_caught(vit, tmp_path):
    # defect 1: the original scaled by 1/255 twice, so that the model saw images at 1/255 of their contrast
    for path in vit.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    settings = json.loads((tmp_path / "preprocessor_config.json").read_text())
    settings["rescale_factor"] = 1 / 255**2
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(settings))
    embed = Transformers(kind="transformers", path=tmp_path).load("cpu")
    with pytest.raises(DataError, match="flattened the images"):
        embed(pictures())


def test_another_weight_is_another_fingerprint(vit, tmp_path):
    for path in vit.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    here, copy = (Transformers(kind="transformers", path=path) for path in (vit, tmp_path))
    assert here.externals(sha256_of) == copy.externals(sha256_of)
    weights = bytearray((tmp_path / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (tmp_path / "model.safetensors").write_bytes(weights)
    assert here.externals(sha256_of) != copy.externals(sha256_of)


def test_a_branch_is_resolved_to_the_commit_in_the_cache_and_the_model_loaded_from_there(vit, tmp_path, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    repository = tmp_path / "models--lab--tiny-vit"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(COMMIT)
    (repository / "snapshots" / COMMIT).mkdir(parents=True)
    for path in vit.iterdir():
        (repository / "snapshots" / COMMIT / path.name).write_bytes(path.read_bytes())
    embedder = Transformers(kind="transformers", id="lab/tiny-vit")
    assert embedder.externals(sha256_of) == {"model": COMMIT}
    images = pictures(2)
    assert embedder.load("cpu")(images) == pytest.approx(
        Transformers(kind="transformers", path=vit).load("cpu")(images)
    )


def test_a_model_that_is_nowhere_is_told_with_the_command_that_fetches_it(tmp_path, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(EnvironmentLacks, match="lab/absent") as caught:
        Transformers(kind="transformers", id="lab/absent").externals(sha256_of)
    assert caught.value.hint.endswith("hf download lab/absent --revision main")
    assert commit_of("lab/absent", COMMIT) == COMMIT  # a full hash needs no look-up
