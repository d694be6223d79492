"""Conditions beyond text: a vector, or the number of a class, told in tokens after those of the caption."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline
from generation_parts import draw, images, model  # noqa: F401  (fixtures)
from machines import stopping_after
from PIL import Image
from safetensors.numpy import load_file
from small_data import TINY_BASE
from training_parts import COMMON, Inputs, embeddings_of, files_of, setup_of

from mep.artifacts import Embeddings, Members, Prompt, Prompts, TrainingSet
from mep.diffusion.conditioner import WEIGHTS, prompt_arguments
from mep.diffusion.cues import VECTORS
from mep.errors import DataError, Interrupted
from mep.machine.work import Work
from mep.methods.bases.scratch import Scratch
from mep.methods.samplers.dpmsolverpp import DpmSolverPlusPlus
from mep.methods.sources.imagefolder import ImageFolder
from mep.sections.dataset import DatasetConfig
from mep.sections.training import TrainingConfig
from mep.stages import stages
from mep.stages.dataset.stage import dataset
from mep.stages.privacy.losses import Questions

KINDS = {
    "embedding": {"kind": "embedding", "tokens": 2},
    "centroid": {"kind": "embedding", "vector": "centroid", "tokens": 2},
    "class": {"kind": "class", "tokens": 2},
}
CAPTION = "Histology image of tissue"
DARK, BRIGHT = 60, 190


class Planted(Inputs):
    """Dark and bright images in two clusters, all with one caption."""

    def __init__(self, folder):
        self.folder = folder
        n, rng = 24, np.random.default_rng(0)
        clusters = np.arange(n) % 2
        (folder / "images").mkdir()
        for number, cluster in enumerate(clusters):
            pixels = rng.normal([DARK, BRIGHT][cluster], 10, (16, 16, 3))
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / "images" / f"{number:02d}.png")
        source = ImageFolder(kind="imagefolder", path=folder / "images")
        self.images = dataset.function(DatasetConfig(source=source), work=Work(folder=folder / "dataset"))
        ids = self.images.train.ids
        numbers = [int(image_id.split("/")[-1].split(".")[0]) for image_id in ids]
        clusters = clusters[numbers]
        self.training_set = TrainingSet(ids, [None] * len(ids), clusters, np.ones(len(ids)), [], Members())
        prompts = [Prompt(f"c{cluster:02d}", CAPTION, None, cluster, 12) for cluster in (0, 1)]
        self.prompts = Prompts(prompts, dict(zip(ids, clusters.tolist(), strict=True)))
        self.embeddings = embeddings_of(ids, clusters)
        small = {"autoencoder": {"kind": "pca", "patch_px": 4, "latent_channels": 4}}
        unet = TINY_BASE["unet"] | {"channels": [16, 16], "pooled_caption": True}
        self.base = self.build(Scratch.model_validate(TINY_BASE | small | {"unet": unet}), "base")


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    return Planted(tmp_path_factory.mktemp("planted"))


def shades_of(samples):
    """Mean brightness of each drawn image, by the cluster that it was asked for."""
    rows = [(row["cluster"], samples.read(row).mean()) for row in samples.rows]
    return [np.array([shade for cluster, shade in rows if cluster == asked]) for asked in (0, 1)]


@pytest.fixture(scope="module", params=["text", "embedding", "class"])
def trained(request, planted, tmp_path_factory):
    settings = {"steps": 60, "learning_rate": 5e-3, "global_batch_size": 12, "symmetries": "none", "ema_decay": 0}
    folder = tmp_path_factory.mktemp(f"trained on {request.param}")
    return request.param, planted.train(folder, conditioning=KINDS.get(request.param, "text"), **settings)[0]


def test_with_one_caption_for_all_only_a_condition_beyond_text_tells_clusters_apart(planted, trained, draw, tmp_path):
    kind, model = trained
    sampler = DpmSolverPlusPlus(kind="dpmsolver++", steps=5)
    settings = {"n": 10, "batch_size": 20, "model": model, "prompts": planted.prompts, "sampler": sampler}
    dark, bright = shades_of(draw(tmp_path / "drawn", **settings))
    if kind == "text":
        assert np.std(dark) > 25, "either cluster is drawn, whatever was asked for"
        assert np.std(bright) > 25
        return
    assert np.abs(dark - DARK).max() < 25
    assert np.abs(bright - BRIGHT).max() < 25
    if kind == "embedding":
        dark, bright = shades_of(draw(tmp_path / "means", vectors="centroid", **settings))
        assert bright.mean() - dark.mean() > 100


def test_diffusers_draws_what_it_is_told_with_the_lines_of_the_model_card(trained):
    kind, model = trained
    pipeline = StableDiffusionPipeline.from_pretrained(model.pipeline, safety_checker=None)
    pipeline.set_progress_bar_config(disable=True)
    size = {"height": 16, "width": 16, "num_inference_steps": 5, "output_type": "np", "guidance_scale": 1.5}
    alone = pipeline(CAPTION, generator=torch.Generator().manual_seed(0), **size).images[0]
    assert alone.shape == (16, 16, 3)  # the caption alone is read, as by any Stable Diffusion
    card = (model.folder / "README.md").read_text()
    if kind == "text":
        assert "condition" not in card.split("## Recipe lock")[0]
        assert not (model.folder / "condition").exists()
        return
    assert f'prompt_arguments(pipeline, "condition", "{CAPTION}", cluster=0)' in card
    told = [prompt_arguments(pipeline, model.folder / "condition", CAPTION, cluster=cluster) for cluster in (0, 1)]
    generators = [torch.Generator().manual_seed(0) for _ in told]
    images = [pipeline(**one, generator=seeded, **size).images[0] for one, seeded in zip(told, generators, strict=True)]
    assert images[1].mean() - images[0].mean() > 0.3
    assert (kind == "embedding") == ("variation of that training image" in card)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return Inputs(tmp_path_factory.mktemp("inputs"))


@pytest.mark.parametrize("kind", ["embedding", "class"])
def test_a_conditioned_training_that_is_stopped_ends_with_the_same_bytes(inputs, tmp_path, kind):
    settings = {"conditioning": KINDS[kind], "watch": {"looks": 2, "steps": 2, "prompts": 1}, "caption_dropout": 0.5}
    calm, losses = inputs.train(tmp_path / "calm", **settings)
    with pytest.raises(Interrupted):
        inputs.train(tmp_path / "stormy", work={"stop_signal": stopping_after(3)}, **settings)
    stormy, _ = inputs.train(tmp_path / "stormy", **settings)
    assert files_of(calm) == files_of(stormy)
    assert np.isfinite(losses).all()
    averaged, raw = (load_file(folder / "condition" / WEIGHTS) for folder in (calm.folder, calm.folder / "raw"))
    assert any(not np.array_equal(value, raw[name]) for name, value in averaged.items())
    assert json.loads((calm.folder / "training.json").read_text())["conditioning"] == KINDS[kind]["kind"]


def test_vectors_of_images_stay_out_of_a_model_that_was_trained_on_means(inputs, tmp_path):
    shown, _ = inputs.train(tmp_path / "image", conditioning=KINDS["embedding"], steps=1)
    means, _ = inputs.train(tmp_path / "centroid", conditioning=KINDS["centroid"], steps=1)
    numbers, _ = inputs.train(tmp_path / "class", conditioning=KINDS["class"], steps=1)
    of_images, of_means = (load_file(model.folder / "condition" / VECTORS)["vectors"] for model in (shown, means))
    assert len(of_images) == 16
    assert len(of_means) == 6  # two labels, three clusters
    assert not (of_means[:, None] == of_images[None]).all(-1).any()
    assert not (numbers.folder / "condition" / VECTORS).exists()


def test_an_image_without_its_caption_is_without_its_cue_too(inputs, tmp_path):
    for kind in KINDS:
        batch = setup_of(inputs, tmp_path / kind, conditioning=KINDS[kind], caption_dropout=0.5).step.batches(0)
        table = batch.table["states"][batch.captions]
        is_empty = (table == table[batch.captions == 2][:1]).all(-1).all(-1)  # the caption after those of two labels
        nothing = batch.cues == 6 if kind == "class" else (batch.cues == 0).all(-1)
        assert torch.equal(is_empty, nothing)
        assert 0 < int(nothing.sum()) < len(nothing)


def test_samples_of_a_conditioned_model_are_drawn_once_whatever_the_batch(inputs, draw, tmp_path):
    model, _ = inputs.train(tmp_path / "trained", conditioning=KINDS["embedding"], steps=1)
    settings = {"model": model, "prompts": inputs.prompts}
    one, four = (draw(tmp_path / str(size), batch_size=size, **settings) for size in (1, 4))
    pixels = [[samples.read(row).astype(int) for row in samples.rows] for samples in (one, four)]
    assert all(np.abs(a - b).max() <= 1 for a, b in zip(*pixels, strict=True))
    more = draw(tmp_path / "more", batch_size=4, n=5, work={"earlier": [four.folder]}, **settings)
    before = {row["file_name"]: row["sha256"] for row in four.rows}
    assert before.items() <= {row["file_name"]: row["sha256"] for row in more.rows}.items()


def test_a_lora_is_told_its_cues_beside_a_base_that_stays(inputs, draw, tmp_path):
    settings = {"method": {"kind": "lora", "rank": 2}, "text_encoder": "train", "learning_rate": 0.05}
    model, _ = inputs.train(tmp_path / "trained", conditioning=KINDS["class"], **settings)
    assert (model.folder / "lora").is_dir()
    assert (model.folder / "raw" / "condition").is_dir()
    drawn = draw(tmp_path / "told", model=model, prompts=inputs.prompts)
    (model.folder / "condition").rename(model.folder / "elsewhere")
    untold = draw(tmp_path / "untold", model=model, prompts=inputs.prompts)
    assert all((drawn.read(a) != untold.read(b)).any() for a, b in zip(drawn.rows, untold.rows, strict=True))


def test_weights_in_bfloat16_are_told_cues_too(inputs, tmp_path):
    _, losses = inputs.train(tmp_path, conditioning=KINDS["embedding"], weights="bf16", precision="bf16")
    assert np.isfinite(losses).all()


def test_a_prompt_of_no_training_image_cannot_be_drawn(inputs, draw, tmp_path):
    model, _ = inputs.train(tmp_path / "trained", conditioning=KINDS["class"], steps=1)
    prompts = Prompts([Prompt("cancer_c07", "type seven", "cancer", 7, 1)], {})
    with pytest.raises(DataError, match="no training image has label cancer and cluster 7"):
        draw(tmp_path / "drawn", model=model, prompts=prompts)


def test_what_was_made_before_there_were_conditions_is_reused():
    settings = COMMON | {"conditioning": "text"}
    assert "conditioning" not in TrainingConfig.model_validate(settings).dump()
    assert TrainingConfig.model_validate(settings).also_reads == ()
    embedding = TrainingConfig.model_validate(COMMON | {"conditioning": "embedding"})
    assert embedding.also_reads == ("embeddings",)
    assert embedding.dump()["conditioning"] == {"kind": "embedding", "vector": "image", "tokens": 4}
    stage = stages()["training"]
    assert "embeddings" not in stage.reads(TrainingConfig.model_validate(settings))
    assert stage.reads(embedding)["embeddings"] is Embeddings


def test_an_attack_asks_a_model_with_the_condition_that_each_image_has(planted, trained, tmp_path):
    kind, model = trained
    images, clusters = planted.images.train, planted.training_set.clusters

    def loss(name, given):
        groups = [(None, int(clusters[row])) for row in given]
        told = {"text": None, "embedding": planted.embeddings.vectors[given], "class": groups}[kind]
        asked = Questions(images, [CAPTION] * len(images), 4, "fp32", told)
        return asked.losses(name, model, asked.inputs(model), Work(tmp_path / name)).mean(), asked

    rows = np.arange(len(images))
    other = np.argsort(clusters, kind="stable")[::-1]  # dark images are told what bright ones have, and these the other
    own, swapped = loss("own", rows), loss("swapped", other[np.argsort(np.argsort(clusters, kind="stable"))])
    assert (swapped[0] > 1.2 * own[0]) == (kind != "text")
    assert (own[1].inputs(model) is None) == (kind == "text")
    new = replace(own[1], told=[(None, 0), (None, 7)])
    assert new.inputs(model) is None  # no image has type 7, so that nothing is told of any
