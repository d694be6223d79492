"""Every sample has a seed of its own, and only missing samples are made."""

import numpy as np
import pytest
from PIL import Image

from mep.allocations.per_prompt import PerPrompt
from mep.artifacts import Model, Prompt, Prompts
from mep.bases.scratch import Scratch
from mep.files import write_json
from mep.samplers.dpmsolverpp import DpmSolverPlusPlus
from mep.sources.imagefolder import ImageFolder
from mep.stage import Work
from mep.stages.dataset import DatasetConfig, dataset
from mep.stages.generation import GenerationConfig, generation

PROMPTS = Prompts([Prompt("a_c00", "type zero", "a", 0, 3), Prompt("b", "type one", "b", None, 3)], {})
SIZES = {
    "kind": "scratch",
    "resolution": 16,
    "autoencoder": {"channels": [8, 8], "latent_channels": 2, "steps": 2, "batch_size": 2, "crop_px": 16},
    "unet": {"channels": [8, 8], "attention": [False, True], "head_channels": 8},
    "text": {"width": 16, "layers": 1, "tokens": 20},
}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A pipeline that has learned nothing draws as repeatably as any other."""
    from conftest import draw_imagefolder

    root = tmp_path_factory.mktemp("model")
    source = ImageFolder(kind="imagefolder", path=draw_imagefolder(root / "images"))
    images = dataset.function(DatasetConfig(source=source, label="label"), work=Work(folder=root / "dataset"))
    work = Work(folder=root / "base")
    Scratch.model_validate(SIZES).build(images, work)
    write_json(work.out / "training.json", {"steps": 0, "images": 0, "parameters": 0, "resolution": 16})
    return Model(work.out)


def draw(model, folder, *, images=3, batch_size=4, guidance=1.5, **work):
    config = GenerationConfig(
        allocation=PerPrompt(kind="per_prompt", images=images),
        sampler=DpmSolverPlusPlus(kind="dpmsolver++", steps=2),
        guidance=guidance,
    )
    work = Work(folder=folder, batch_size=batch_size, **work)
    return generation.function(config, PROMPTS, model, work=work)


def pixels(samples):
    return {row["file_name"]: samples.read(row) for row in samples.rows}


def test_more_images_per_prompt_keep_the_earlier_ones(model, tmp_path):
    few, many = draw(model, tmp_path / "few", images=2), draw(model, tmp_path / "many", images=5)
    seeds = [{row["file_name"]: row["seed"] for row in one.rows} for one in (few, many)]
    assert seeds[0].items() <= seeds[1].items()
    assert len(set(seeds[1].values())) == 10


def test_the_batch_size_changes_no_image_by_more_than_a_grey_level(model, tmp_path):
    one, six = pixels(draw(model, tmp_path / "1", batch_size=1)), pixels(draw(model, tmp_path / "6", batch_size=6))
    assert one.keys() == six.keys()
    assert max(np.abs(one[name].astype(int) - six[name].astype(int)).max() for name in one) <= 1


def test_only_what_is_missing_is_made_again_and_comes_out_the_same(model, tmp_path):
    first = pixels(draw(model, tmp_path))
    kept, lost = tmp_path / "out" / "images/a_c00/000000.png", tmp_path / "out" / "images/b/000002.png"
    before = kept.stat().st_mtime_ns
    lost.unlink()
    again = pixels(draw(model, tmp_path))
    assert kept.stat().st_mtime_ns == before
    assert all(np.array_equal(first[name], again[name]) for name in first)


def test_images_have_the_side_that_the_base_was_trained_at(model, tmp_path):
    # the pipeline's own default would be the side that its UNet was built for
    config = (model.folder / "training.json").read_text()
    write_json(model.folder / "training.json", {"steps": 0, "images": 0, "parameters": 0, "resolution": 32})
    try:
        samples = draw(model, tmp_path, images=1)
    finally:
        (model.folder / "training.json").write_text(config)
    assert Image.open(samples.folder / samples.rows[0]["file_name"]).size == (32, 32)


def test_the_metadata_tells_each_files_caption_record_and_digest(model, tmp_path):
    from mep.files import sha256_of

    samples = draw(model, tmp_path)
    assert [(row["text"], row["label"], row["cluster"]) for row in samples.rows[::3]] == [
        ("type zero", "a", 0),
        ("type one", "b", None),
    ]
    assert all(sha256_of(samples.folder / row["file_name"]) == row["sha256"] for row in samples.rows)
    files = {path.relative_to(samples.folder).as_posix() for path in samples.folder.rglob("*.png")}
    assert files == {row["file_name"] for row in samples.rows}


def test_guidance_changes_the_image(model, tmp_path):
    plain, guided = pixels(draw(model, tmp_path / "1", guidance=1)), pixels(draw(model, tmp_path / "9", guidance=30))
    assert any(not np.array_equal(plain[name], guided[name]) for name in plain)
