import json
import shutil

import numpy as np
import pytest
import torch
from machines import machine
from PIL import Image
from transformers import Dinov2WithRegistersConfig, Dinov2WithRegistersModel, ViTImageProcessor, ViTModel

from mep.errors import DataError, EnvironmentLacks
from mep.machine.files import sha256_of
from mep.machine.work import Work
from mep.methods.embedders import Embedder
from mep.methods.embedders.handcrafted import Handcrafted
from mep.methods.embedders.timm import Timm
from mep.methods.embedders.transformers import Transformers
from mep.methods.sources.imagefolder import ImageFolder
from mep.registry import members
from mep.sections.dataset import DatasetConfig
from mep.sections.embedding import EmbeddingConfig
from mep.stages.dataset.stage import dataset
from mep.stages.embedding import embedding

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def pictures(n=5, size=40, seed=0):
    return list(np.random.default_rng(seed).integers(0, 255, (n, size, size + 8, 3), dtype=np.uint8))


@pytest.fixture(scope="module")
def timm_vit(tmp_path_factory):
    """A small vision transformer of timm with random weights, saved as timm saves to the hub."""
    import timm
    from timm.models import save_for_hf

    folder = tmp_path_factory.mktemp("timm")
    torch.manual_seed(0)
    sizes = {"img_size": 32, "patch_size": 8, "embed_dim": 24, "depth": 2, "num_heads": 2}
    model = timm.create_model("vit_tiny_patch16_224", num_classes=3, **sizes)
    cfg = {"input_size": (3, 32, 32), "mean": (0.5, 0.4, 0.3), "std": (0.2, 0.2, 0.2)}
    model.pretrained_cfg = dict(model.pretrained_cfg) | cfg
    save_for_hf(model, folder, safe_serialization=True, model_args=sizes)
    (folder / "pytorch_model.bin").unlink(missing_ok=True)
    return folder


@pytest.fixture
def load(vit, timm_vit):
    def of_kind(kind, **settings):
        paths = {"transformers": {"path": vit}, "timm": {"path": timm_vit}}
        return members(Embedder)[kind](kind=kind, **paths.get(kind, {}), **settings).load("cpu")

    return of_kind


@pytest.mark.parametrize("kind", sorted(members(Embedder).keys() - {"table"}))  # which embeds no image
def test_a_vector_does_not_depend_on_the_batch(kind, load):
    embed, images = load(kind), pictures()
    together = embed(images)
    assert together.dtype == np.float32
    assert np.concatenate([embed([image]) for image in images]) == pytest.approx(together, abs=1e-5)


@pytest.mark.parametrize("kind", ["transformers", "timm"])
def test_bfloat16_gives_nearly_the_same_vectors(kind, load):
    exact, rough = load(kind)(pictures()), load(kind, dtype="bfloat16")(pictures())
    assert rough.dtype == np.float32
    assert np.abs(exact - rough).max() < 0.1 * np.abs(exact).max()
    assert not np.array_equal(exact, rough)


@pytest.mark.parametrize(("pooling", "d"), [("model", 24), ("cls", 24), ("mean", 24), ("cls+mean", 48)])
def test_a_timm_model_gives_the_tokens_that_were_asked_after_its_own_transform(timm_vit, pooling, d):
    import timm

    images = pictures(2)
    embed = Timm(kind="timm", path=timm_vit, pooling=pooling).load("cpu")
    model = timm.create_model(f"local-dir:{timm_vit}", pretrained=True, num_classes=0).eval()
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(model), is_training=False)
    with torch.no_grad():
        tokens = model.forward_features(torch.stack([transform(Image.fromarray(image)) for image in images]))
    parts = {"model": [tokens[:, 0]], "cls": [tokens[:, 0]], "mean": [tokens[:, 1:].mean(1)]}
    parts["cls+mean"] = parts["cls"] + parts["mean"]
    assert embed(images) == pytest.approx(torch.cat(parts[pooling], 1).numpy(), abs=1e-5)
    assert embed.about["mean"] == [0.5, 0.4, 0.3]
    assert embed.about["size"] == "32x32"
    assert embed(images).shape == (2, d)


def test_an_id_is_written_as_timm_writes_it():
    assert Timm(kind="timm", id="hf-hub:MahmoodLab/uni").id == "MahmoodLab/uni"
    assert Timm(kind="timm", id="vit_small_patch16_224.dino").id == "timm/vit_small_patch16_224.dino"


def test_registers_are_no_patches(tmp_path):
    sizes = {"hidden_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 48}
    torch.manual_seed(0)
    model = Dinov2WithRegistersModel(
        Dinov2WithRegistersConfig(image_size=32, patch_size=8, num_register_tokens=4, **sizes)
    ).eval()
    model.save_pretrained(tmp_path)
    processor = ViTImageProcessor(size={"height": 32, "width": 32})
    processor.save_pretrained(tmp_path)
    images = pictures(2)
    with torch.no_grad():
        hidden = model(**processor(images=images, return_tensors="pt")).last_hidden_state
    found = Transformers(kind="transformers", path=tmp_path, pooling="mean").load("cpu")(images)
    assert hidden.shape[1] == 1 + 4 + 16
    assert found == pytest.approx(hidden[:, 5:].mean(1).numpy(), abs=1e-5)


def embed_folder(folder, tmp_path, model, **settings):
    config = DatasetConfig(source=ImageFolder(kind="imagefolder", path=folder), validation={"fraction": 0.2})
    images = dataset.function(config, work=Work(folder=tmp_path / "dataset"))
    work = Work(folder=tmp_path / "work", machine=machine(batch_size=4))
    return images, embedding.function(EmbeddingConfig(model=model, **settings), images, work=work)


def test_training_and_validation_images_are_embedded_and_the_preprocessing_is_kept(imagefolder, vit, tmp_path):
    model = Transformers(kind="transformers", path=vit)
    images, found = embed_folder(imagefolder, tmp_path, model)
    assert found.ids == images.seen.ids
    assert len(found.ids) == len(images.train) + len(images.validation)
    alone = model.load("cpu")([images.seen.read(0)])
    assert found.vectors[:1] == pytest.approx(alone, abs=1e-5)
    assert found.about["mean"] == [0.5, 0.5, 0.5]
    assert (found.about["size"], found.about["interpolation"], found.about["dtype"]) == ("32x32", "bilinear", "float32")
    assert 0.5 < found.about["seen_std"] / found.about["expected_std"] < 1.5


def test_the_edge_view_ignores_colour(imagefolder, tmp_path):
    images, found = embed_folder(imagefolder, tmp_path, Handcrafted(kind="handcrafted"), view="canny")
    colour = images.seen.read(0)
    grey = np.repeat(np.asarray(Image.fromarray(colour).convert("L"))[..., None], 3, 2)
    embed = EmbeddingConfig(model=Handcrafted(kind="handcrafted"), view="canny").load("cpu")
    assert np.array_equal(embed([colour]), embed([grey]))
    assert np.array_equal(embed([colour]), found.vectors[:1])
    assert found.about["view"] == "canny"


@pytest.mark.parametrize("factor", [1 / 255**2, 1.0])
def test_images_scaled_twice_or_not_at_all_end_the_stage_before_its_first_batch(imagefolder, vit, tmp_path, factor):
    # defect 1: the original scaled by 1/255 twice, so that the model saw images at 1/255 of their contrast
    shutil.copytree(vit, tmp_path / "vit")
    path = tmp_path / "vit" / "preprocessor_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"rescale_factor": factor}))
    with pytest.raises(DataError, match=r"flattened the images|times the contrast that the model expects"):
        embed_folder(imagefolder, tmp_path, Transformers(kind="transformers", path=tmp_path / "vit"))
    assert not (tmp_path / "work" / "vectors").exists()


def test_a_model_whose_vectors_do_not_depend_on_the_image_ends_the_stage(imagefolder, vit, tmp_path):
    shutil.copytree(vit, tmp_path / "vit")
    model = ViTModel.from_pretrained(vit, add_pooling_layer=False)
    torch.nn.init.zeros_(model.embeddings.patch_embeddings.projection.weight)
    model.save_pretrained(tmp_path / "vit")
    with pytest.raises(DataError, match="embeddings of 16 images are nearly equal"):
        embed_folder(imagefolder, tmp_path, Transformers(kind="transformers", path=tmp_path / "vit"))


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


@pytest.fixture
def cached(vit, tmp_path, monkeypatch):
    """The model in the cache of the hub, as its branch `main`, on a machine that is offline."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    repository = tmp_path / "models--lab--tiny-vit"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(COMMIT)
    (repository / "snapshots" / COMMIT).mkdir(parents=True)
    for path in vit.iterdir():
        (repository / "snapshots" / COMMIT / path.name).write_bytes(path.read_bytes())
    return Transformers(kind="transformers", id="lab/tiny-vit")


def test_a_branch_is_resolved_to_the_commit_in_the_cache_and_the_model_loaded_from_there(vit, cached):
    assert cached.externals(sha256_of) == {"model": COMMIT}
    images = pictures(2)
    assert cached.load("cpu")(images) == pytest.approx(Transformers(kind="transformers", path=vit).load("cpu")(images))


def test_a_model_that_is_here_is_loaded_where_the_library_of_the_hub_asks_for_a_list_of_its_files(cached, monkeypatch):
    import huggingface_hub

    def asks(*name, local_files_only=False, **options):
        if not local_files_only:
            raise ConnectionError("offline")
        return fetch(*name, local_files_only=True, **options)

    fetch = huggingface_hub.snapshot_download
    monkeypatch.setattr(huggingface_hub, "snapshot_download", asks)
    assert cached.folder(["*.json"]).name == COMMIT


def test_a_model_that_is_nowhere_is_told_with_the_command_that_fetches_it(tmp_path, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(EnvironmentLacks, match="lab/absent") as caught:
        Transformers(kind="transformers", id="lab/absent").externals(sha256_of)
    assert caught.value.hint.endswith("hf download lab/absent --revision main")
    pinned = Transformers(kind="transformers", id="lab/absent", revision=COMMIT)
    assert pinned.commit == COMMIT  # a full hash needs no look-up
