"""Every sample has a seed of its own, is made once, and comes out the same however it was made."""

import json
import shutil

import numpy as np
import pytest
import torch
from generation_parts import PROMPTS, contents, draw, images, model  # noqa: F401  (fixtures)
from machines import FakeEngine
from PIL import Image

from mep.artifacts import Clusters, Images, Model, Prompt, Prompts
from mep.errors import DataError, EnvironmentLacks
from mep.machine.engines.local import Local
from mep.machine.files import read_json, read_json_lines, sha256_of, write_json
from mep.machine.transfer import Returned
from mep.methods.allocations.table import Table
from mep.methods.samplers import Sampler
from mep.methods.samplers.dpmsolverpp import DpmSolverPlusPlus
from mep.registry import members
from mep.stages.generation.contact_sheets import image_grid
from mep.stages.generation.schedule import SamplePlan, file_name
from mep.stages.generation.stage import native_side, real_counts
from mep.stages.generation.worker_job import DrawJob, encode, fault_of


def pixels(samples):
    return {row["file_name"]: samples.read(row) for row in samples.rows}


def test_more_images_per_prompt_keep_the_earlier_ones(draw, tmp_path):
    few, many = draw(tmp_path / "few", n=2), draw(tmp_path / "many", n=5)
    seeds = [{row["file_name"]: row["seed"] for row in one.rows} for one in (few, many)]
    assert seeds[0].items() <= seeds[1].items()
    assert len(set(seeds[1].values())) == 10


def test_images_of_an_earlier_smaller_dataset_are_taken_over_and_not_drawn_again(draw, tmp_path):
    few = draw(tmp_path / "few", n=2)
    drawn = []
    many = draw(tmp_path / "many", n=5, work={"earlier": [few.folder]}, engine=FakeEngine(spy(drawn)))
    assert sorted(sample.ordinal for sample in drawn) == [2, 2, 3, 3, 4, 4]
    assert all(
        pixels(few)[name].tolist() == value.tolist() for name, value in pixels(many).items() if name in pixels(few)
    )
    assert many.facts() == {"images": 10, "prompts": 2}


def spy(seen):
    """An engine that writes down which samples it is given."""

    def map_unordered(job, items, stop):
        for number, batch in enumerate(items):
            seen.extend(batch)
            yield number, job.finish(job.prepare("cpu")(batch))

    return map_unordered


def test_the_batch_size_changes_no_image_by_more_than_a_grey_level(draw, tmp_path):
    one, six = pixels(draw(tmp_path / "1", batch_size=1)), pixels(draw(tmp_path / "6", batch_size=6))
    assert one.keys() == six.keys()
    assert max(np.abs(one[name].astype(int) - six[name].astype(int)).max() for name in one) <= 1


def test_two_worker_processes_write_the_same_dataset_byte_for_byte(draw, tmp_path):
    alone, shared = draw(tmp_path / "1", n=6), draw(tmp_path / "2", n=6, engine=Local(kind="local", processes=2))
    assert contents(alone.folder) == contents(shared.folder)


def test_a_job_names_the_weights_and_does_not_carry_them(model):
    import pickle

    sampler = DpmSolverPlusPlus(kind="dpmsolver++")
    job = DrawJob(pipeline=model.pipeline, sampler=sampler, guidance=2, side=16, saved_side=16, batch_size=4)
    assert len(pickle.dumps(job)) < 2000


@pytest.mark.parametrize("wound", ["lost", "half", "stray", "torn journal", "no journal"])
def test_whatever_a_kill_left_is_put_right_and_only_what_is_missing_is_drawn(draw, tmp_path, wound):
    whole = contents(draw(tmp_path / "whole").folder)
    folder = tmp_path / "wounded"
    out = draw(folder).folder
    victim, journal = out / file_name("b", 2, "png"), folder / "drawn.jsonl"
    if wound == "lost":
        victim.unlink()
    elif wound == "half":
        victim.write_bytes(victim.read_bytes()[:100])
    elif wound == "stray":
        victim.with_name(".0000002.png.tmp").write_bytes(b"half")
        victim.with_name("0000009.png").write_bytes(b"not in the plan")
    elif wound == "torn journal":
        journal.write_bytes(journal.read_bytes()[:-20])
    else:
        journal.unlink()
    drawn = []
    assert contents(draw(folder, engine=FakeEngine(spy(drawn))).folder) == whole
    assert len(drawn) == {"stray": 0, "no journal": 6}.get(wound, 1)


def test_images_have_the_side_that_the_base_was_trained_at(draw, model, tmp_path):
    # the pipeline's own default would be the side that its UNet was built for
    other = Model(shutil.copytree(model.folder, tmp_path / "model"))
    write_json(other.folder / "training.json", {"steps": 0, "images": 0, "parameters": 0, "resolution": 32})
    samples = draw(tmp_path / "work", n=1, model=other)
    assert Image.open(samples.folder / samples.rows[0]["file_name"]).size == (32, 32)


def test_images_are_brought_to_the_real_native_side_and_it_is_recorded(draw, tmp_path):
    samples = draw(tmp_path, n=1, size="native")
    assert Image.open(samples.folder / samples.rows[0]["file_name"]).size == (32, 32)
    recorded = json.loads((samples.folder / "generation.json").read_text())
    assert (recorded["drawn_px"], recorded["saved_px"]) == (16, 32)


def test_the_native_side_is_the_median_shorter_side():
    sizes = np.array([[100, 80], [70, 90], [300, 400]])
    images = Images(list("abc"), np.zeros(3, int), [], np.zeros(3, bool), list("abc"), sizes, {}, None)
    assert native_side(images) == 80


def test_the_metadata_tells_each_files_caption_record_and_digest(draw, tmp_path):
    samples = draw(tmp_path)
    assert [(row["text"], row["label"], row["cluster"]) for row in samples.rows[::3]] == [
        ("type zero", "a", 0),
        ("type one", "b", None),
    ]
    assert all(sha256_of(samples.folder / row["file_name"]) == row["sha256"] for row in samples.rows)
    files = {path.relative_to(samples.folder).as_posix() for path in (samples.folder / "images").rglob("*.*")}
    assert files == {row["file_name"] for row in samples.rows}


def test_datasets_reads_every_image_even_of_a_label_that_is_called_like_a_split(draw, tmp_path):
    from datasets import load_dataset

    prompts = Prompts([Prompt("stress-test_c00", "one", "stress test", 0, 1), PROMPTS.prompts[1]], {})
    samples = draw(tmp_path / "work", prompts=prompts)
    found = load_dataset("imagefolder", data_dir=str(samples.folder), cache_dir=str(tmp_path / "cache"))
    assert list(found) == ["train"]
    assert found["train"]["text"] == [row["text"] for row in samples.rows]
    assert found["train"][0]["image"].size == (16, 16)
    assert {"label", "cluster", "prompt_id", "seed", "sha256"} <= set(found["train"].column_names)


def test_a_contact_sheet_of_every_prompt_shows_its_first_sixteen(draw, tmp_path):
    samples = draw(tmp_path, n=18)
    with Image.open(samples.folder / "__sheets__" / "a_c00.jpg") as sheet:
        assert sheet.size == (4 * 16 + 3 * 2, 4 * 16 + 3 * 2)
    first = samples.rows[0]
    grid = image_grid([[samples.folder / first["file_name"], None]])
    assert np.array_equal(np.asarray(grid)[:, :16], samples.read(first))


@pytest.mark.parametrize(("form", "loss"), [("png", 0), ("jpeg", 40), ("webp", 60)])
def test_every_format_holds_the_picture(form, loss):
    y, x = np.mgrid[:32, :32]
    picture = np.stack([8 * y, 8 * x, 4 * (x + y)], -1).astype(np.uint8)
    import io

    with Image.open(io.BytesIO(encode(picture, form, 95))) as image:
        assert image.format.lower() == form
        assert np.abs(np.asarray(image.convert("RGB")).astype(int) - picture).max() <= loss


def returned(pixels, finite):
    return Returned({"pixels": torch.from_numpy(pixels), "finite": torch.tensor(finite)})


def test_black_constant_and_broken_images_are_refused_and_counted(draw, tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (16, 16, 3)).astype(np.uint8)
    stack = np.stack([noise, noise // 64, np.full_like(noise, 99), noise])
    assert [fault_of(one) for one in stack] == ["", "black", "constant", ""]

    def faulty(job, items, stop):
        for number, batch in enumerate(items):
            yield number, job.finish((batch, returned(stack[: len(batch)], [True, True, True, False][: len(batch)])))

    samples = draw(tmp_path, engine=FakeEngine(faulty))  # batches of four and two
    refused = read_json(samples.folder / "generation.json")["refused"]
    assert refused == {"black": 2, "constant": 1, "not finite": 1}
    assert samples.facts() == {"images": 2, "prompts": 2, "refused": 4}
    assert [row["refused"] for row in read_json_lines(samples.folder / "refused.jsonl")] != []
    again = draw(tmp_path)  # the same seed would give the same fault again
    assert read_json(again.folder / "generation.json")["refused"] == refused


def test_a_model_that_draws_only_faults_ends_the_run(draw, tmp_path):
    def broken(job, items, stop):
        for number, batch in enumerate(items):
            black = np.zeros((len(batch), 16, 16, 3), np.uint8)
            yield number, job.finish((batch, returned(black, [True] * len(batch))))

    with pytest.raises(DataError, match=r"all 6 images are refused \(black\)"):
        draw(tmp_path, engine=FakeEngine(broken))


def test_guidance_changes_the_image_and_rescaling_takes_contrast_back(draw, tmp_path):
    plain, guided = pixels(draw(tmp_path / "1", guidance=1)), pixels(draw(tmp_path / "9", guidance=30))
    assert any(not np.array_equal(plain[name], guided[name]) for name in plain)
    rescaled = pixels(draw(tmp_path / "r", guidance=30, guidance_rescale=0.7))
    assert any(not np.array_equal(rescaled[name], guided[name]) for name in guided)


@pytest.mark.parametrize("kind", members(Sampler))
def test_every_sampler_draws_the_same_whatever_the_batch_or_says_that_it_does_not_fit(draw, tmp_path, kind):
    # the model predicts velocity from pure noise, which pndm and heun cannot begin at
    sampler = members(Sampler)[kind](kind=kind, steps=3)
    if not sampler.zero_snr:
        with pytest.raises(DataError, match="cannot begin at pure noise"):
            draw(tmp_path / "3", sampler=sampler)
        return
    three, six = (pixels(draw(tmp_path / str(n), sampler=sampler, batch_size=n)) for n in (3, 6))
    assert max(np.abs(three[name].astype(int) - six[name].astype(int)).max() for name in three) <= 1


@pytest.mark.parametrize("kind", members(Sampler))
@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
def test_a_sampler_recovers_the_image_from_a_perfect_prediction_or_is_refused(kind, prediction):
    # An oracle that knows the clean latent: every sampler has to end at it, whatever the model predicts.
    import torch
    from diffusers import DDPMScheduler

    from mep.diffusion.objective import target_of

    trained = DDPMScheduler(
        beta_schedule="scaled_linear",
        beta_start=0.00085,
        beta_end=0.012,
        prediction_type=prediction,
        clip_sample=False,
        steps_offset=1,
    )
    sampler = members(Sampler)[kind](kind=kind, steps=50)
    if prediction not in sampler.predictions:
        with pytest.raises(DataError, match=f"{kind} does not fit a model that predicts '{prediction}'"):
            sampler.fitted(trained.config)
        return
    scheduler = sampler.fitted(trained.config)
    scheduler.set_timesteps(sampler.steps)
    generator = torch.Generator().manual_seed(0)
    clean = torch.randn(1, 2, 4, 4, generator=generator)
    latent = torch.randn(clean.shape, generator=generator) * scheduler.init_noise_sigma
    for t in scheduler.timesteps:
        scaled = scheduler.scale_model_input(latent, t)
        level = trained.alphas_cumprod[min(round(float(t)), 999)]
        noise = (scaled - level.sqrt() * clean) / (1 - level).sqrt()
        target = target_of(trained, clean, noise, torch.tensor([min(round(float(t)), 999)]))
        latent = scheduler.step(
            target, t, latent, **({"generator": generator} if kind == "euler_a" else {})
        ).prev_sample
    # pndm ends at the first level of the schedule: sqrt(1 - alpha_0) = 0.03 of the noise, here up to 3.4, is left
    assert torch.allclose(latent, clean, atol=0.12)


def test_a_prompt_that_is_not_there_is_named_with_the_nearest(draw, tmp_path):
    with pytest.raises(DataError, match="no prompt 'a_c01'") as caught:
        draw(tmp_path, allocation=Table(kind="table", images={"a_c01": 3}))
    assert "did you mean 'a_c00'" in caught.value.hint
    assert caught.value.field == "generation.allocation"


def test_a_model_of_another_architecture_is_refused_by_its_name(draw, model, tmp_path):
    other = Model(shutil.copytree(model.folder, tmp_path / "model"))
    write_json(other.pipeline / "model_index.json", {"_class_name": "KandinskyPipeline"})
    with pytest.raises(DataError, match=r"holds a KandinskyPipeline, wanted one of .*StableDiffusionPipeline"):
        draw(tmp_path / "work", model=other)


def test_half_precision_without_a_gpu_is_refused_and_bf16_draws(draw, tmp_path):
    with pytest.raises(EnvironmentLacks, match="fp16 needs a GPU"):
        draw(tmp_path / "fp16", precision="fp16")
    assert len(draw(tmp_path / "bf16", precision="bf16", decoding="tiled")) == 6


def test_a_full_disk_is_told_as_one_and_keeps_what_is_drawn(draw, tmp_path):
    half = tmp_path / "out" / "images" / "b" / "0000" / ".0000000.png.tmp"
    half.parent.mkdir(parents=True)
    half.symlink_to("/dev/full")
    with pytest.raises(EnvironmentLacks, match="disk is full") as caught:
        draw(tmp_path)
    assert "mep resume" in caught.value.hint
    assert [row["prompt_id"] for row in read_json_lines(tmp_path / "drawn.jsonl")] == ["a_c00"]


def test_pairs_that_were_never_seen_are_drawn_on_request(draw, tmp_path):
    unseen = Prompts(PROMPTS.prompts, {}, [Prompt("b_c00", "type zero of b", "b", 0, 0)])
    assert {row["prompt_id"] for row in draw(tmp_path / "no", prompts=unseen).rows} == {"a_c00", "b"}
    rows = draw(tmp_path / "yes", prompts=unseen, unseen_images=2).rows
    assert [(row["text"], row["ordinal"]) for row in rows[6:]] == [("type zero of b", 0), ("type zero of b", 1)]


def test_a_plan_finds_every_sample_and_goes_round_the_prompts():
    plan = SamplePlan(PROMPTS.prompts, [1, 3], lambda *names: hash(names))
    samples = [plan.sample(number) for number in range(len(plan))]
    assert [(s.prompt.id, s.ordinal) for s in samples] == [("a_c00", 0), ("b", 0), ("b", 1), ("b", 2)]
    assert [plan.find(s.prompt.id, s.ordinal) for s in samples] == [0, 1, 2, 3]
    assert plan.find("b", 3) is None
    assert list(plan.drawing_order()) == [0, 1, 2, 3]


def test_folders_hold_a_thousand_images_at_most():
    assert file_name("b", 999, "png") == "images/b/0000/0000999.png"
    assert file_name("b", 1_000, "png") == "images/b/0001/0001000.png"


def test_real_frequencies_count_images_before_balancing_without_outliers(images):
    labels = [0, 0, 1, -1] * (len(images.ids) // 4)
    clusters = Clusters(images.ids, np.array(labels), np.zeros(len(labels)), {})
    prompts = [Prompt("h0", "", "healthy", 0, 1), Prompt("h1", "", "healthy", 1, 1), Prompt("c", "", "cancer", None, 1)]
    train = images.train
    expected = [0, 0, 0]
    for row, image_id in enumerate(train.ids):
        label, cluster = train.label_of(row), labels[images.ids.index(image_id)]
        expected[0] += (label, cluster) == ("healthy", 0)
        expected[1] += (label, cluster) == ("healthy", 1)
        expected[2] += label == "cancer" and cluster >= 0
    assert real_counts(prompts, train, clusters) == expected
    assert min(expected) > 0
