"""Fine-tuning: the published objective, whatever the number of parts, processes, caches and interruptions."""

import json
import sys
from copy import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from counting import Counting
from diffusers import DDPMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from diffusers.training_utils import EMAModel, compute_snr
from machines import machine, stopping_after
from PIL import Image
from safetensors.torch import load_file
from small_data import TINY_BASE
from training_parts import Inputs, files_of, setup_of

from mep.diffusion.denoiser import EMA
from mep.diffusion.pipelines import load_pipeline
from mep.errors import DataError, EnvironmentLacks, Interrupted
from mep.methods.bases.scratch import Scratch
from mep.stages.training.batches import Batch
from mep.stages.training.optimizers import StochasticRounding, groups_of, round_stochastically
from mep.stages.training.step import share_of

UNET = "diffusion_pytorch_model.safetensors"


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return Inputs(tmp_path_factory.mktemp("inputs"))


@pytest.fixture(scope="module")
def calm(inputs, tmp_path_factory):
    """A training that nothing disturbs."""
    return inputs.train(tmp_path_factory.mktemp("calm"))


@pytest.mark.parametrize("gamma", [None, 5.0])
@pytest.mark.parametrize("kind", ["epsilon", "v_prediction", "sample"])
def test_the_loss_is_that_of_a_plain_computation_with_diffusers(inputs, tmp_path, kind, gamma):
    settings = {"noise_offset": 0.1, "input_perturbation": 0.1, "prediction": kind, "snr_gamma": gamma}
    setup = setup_of(inputs, tmp_path, **settings)
    scheduler = DDPMScheduler.from_pretrained(inputs.base.pipeline / "scheduler", prediction_type=kind)
    unet = UNet2DConditionModel.from_pretrained(inputs.base.pipeline / "unet")
    batch = setup.step.ahead(0)
    with torch.no_grad():
        ours = setup.step.errors(batch).mean()
        noisy = scheduler.add_noise(batch.clean, batch.added, batch.times)
        predicted = unet(noisy, batch.times, batch.condition["states"]).sample
    velocity = scheduler.get_velocity(batch.clean, batch.noise, batch.times)
    target = {"epsilon": batch.noise, "v_prediction": velocity, "sample": batch.clean}[kind]
    error = torch.nn.functional.mse_loss(predicted, target, reduction="none").mean((1, 2, 3))
    if gamma:  # Hang et al. 2023, as diffusers' training script has it; its clean latent has the weight min(snr, 5)
        snr = compute_snr(scheduler, batch.times)
        capped = snr.clamp_max(gamma)
        error *= {"epsilon": capped / snr, "v_prediction": capped / (snr + 1), "sample": capped}[kind]
    assert float(ours) == pytest.approx(float(error.mean()), rel=1e-6)


def test_noise_offset_and_perturbation_act_where_their_papers_say(inputs, tmp_path):
    plain, offset, perturbed = (
        setup_of(inputs, tmp_path / str(n), **settings).step.batches(0)
        for n, settings in enumerate(({}, {"noise_offset": 0.5}, {"input_perturbation": 0.5}))
    )
    shift = offset.noise - plain.noise
    assert torch.allclose(shift, shift[:, :, :1, :1].expand_as(shift), atol=1e-6)  # one number a channel
    assert torch.equal(offset.added, offset.noise)
    assert torch.equal(perturbed.noise, plain.noise)  # what is predicted stays
    assert float((perturbed.added - perturbed.noise).std()) == pytest.approx(0.5, rel=0.1)


def test_a_share_of_captions_is_empty(inputs, tmp_path):
    setup = setup_of(inputs, tmp_path, caption_dropout=0.25, global_batch_size=400)
    share = float((setup.step.batches(0).captions == setup.step.batches.empty).float().mean())
    assert share == pytest.approx(0.25, abs=0.065)  # three standard errors of 400 draws


@pytest.mark.parametrize("micro_batch", [1, 2, 3])
def test_micro_batches_add_up_to_the_global_batch(inputs, calm, tmp_path, micro_batch):
    _, losses = inputs.train(tmp_path, machine=machine(micro_batch=micro_batch))
    assert losses == pytest.approx(calm[1], rel=1e-5)  # sums of float32 in another order


def test_training_from_pixels_takes_the_same_steps_as_from_cached_latents(inputs, calm, tmp_path):
    model, losses = inputs.train(tmp_path, cache="off")
    assert losses == pytest.approx(calm[1], rel=1e-5)
    assert not list((tmp_path / "cache" / "latents").glob("*"))
    assert model.facts()["images"] == 16


def test_compact_latents_train_alike_in_a_third_of_the_space(inputs, calm, tmp_path):
    _, losses = inputs.train(tmp_path, cache="compact")
    assert losses != pytest.approx(calm[1], rel=1e-7)
    assert losses == pytest.approx(calm[1], rel=0.02)  # this untrained encoder has deviations as large as its means
    sizes = [path.stat().st_size for path in (tmp_path / "latents").rglob("shards/*.npy")]
    exact = 22 * 8 * 2 * 2 * 8 * 8 * 4  # images, symmetries, mean and deviation, channels, height, width, bytes
    assert sum(sizes) < 0.27 * exact + 200


def test_no_more_shards_are_open_than_a_process_may(inputs, calm, tmp_path, monkeypatch):
    monkeypatch.setattr("mep.machine.array_cache.SHARD_ROWS", 2)
    monkeypatch.setattr("mep.stages.training.batches.OPEN_SHARDS", 3)
    setup = setup_of(inputs, tmp_path)
    losses = [float(setup.step(number)["loss"]) for number in range(6)]
    assert losses == calm[1].tolist()
    about = setup.encoded.shard.cache_info()
    assert about.currsize <= 3 < about.misses


def test_gradient_checkpointing_changes_no_loss(inputs, calm, tmp_path):
    _, losses = inputs.train(tmp_path, machine=machine(gradient_checkpointing=True))
    assert losses == pytest.approx(calm[1], rel=1e-6)


OPTIONS = {
    "adafactor in bf16": {"optimizer": "adafactor", "weights": "bf16", "precision": "bf16"},
    "lora on bf16": {"method": {"kind": "lora", "dropout": 0.3}, "weights": "bf16", "precision": "bf16"},
    "prodigy": {"optimizer": "prodigy", "method": {"kind": "lora", "variant": "dora"}},
    "schedule-free in bf16": {"optimizer": "schedule_free", "weights": "bf16", "precision": "bf16"},
    "text encoder": {"text_encoder": "train", "schedule": "cosine", "warmup_steps": 2},
}


@pytest.mark.parametrize("settings", OPTIONS.values(), ids=OPTIONS.keys())
def test_a_training_that_is_stopped_twice_ends_with_the_same_log_and_bytes(inputs, tmp_path, settings):
    settings = settings | {"watch": {"looks": 3, "steps": 2, "prompts": 1}}
    calm, _ = inputs.train(tmp_path / "calm", **settings)
    for n_looks in (2, 1):
        with pytest.raises(Interrupted):
            inputs.train(tmp_path / "stormy", work={"stop_signal": stopping_after(n_looks)}, **settings)
    stormy, _ = inputs.train(tmp_path / "stormy", **settings)
    assert files_of(calm) == files_of(stormy)
    assert (stormy.folder / "raw").exists() == (settings.get("optimizer") != "schedule_free")  # its average is its own
    assert calm.losses == stormy.losses
    assert [row["step"] for row in stormy.validation] == [2, 4, 6]


def test_lora_changes_what_the_pipeline_draws_by_the_scale_asked_for(inputs, tmp_path):
    model, _ = inputs.train(tmp_path, method={"kind": "lora", "rank": 2, "alpha": 4}, learning_rate=0.05, ema_decay=0)
    plain = StableDiffusionPipeline.from_pretrained(model.pipeline, safety_checker=None)
    before = {name: one.clone() for name, one in plain.unet.state_dict().items()}
    weights = load_file(inputs.base.pipeline / "unet" / UNET)
    assert all(torch.equal(before[name], weights[name]) for name in weights)  # the base is as it was
    plain.load_lora_weights(model.folder / "lora")
    plain.fuse_lora(lora_scale=0.5)
    plain.unload_lora_weights()
    ours = {scale: load_pipeline(model.pipeline, "cpu", lora_scale=scale).unet.state_dict() for scale in (0.5, 1.0)}
    changed = [name for name in before if not torch.equal(ours[1.0][name], before[name])]
    assert changed
    assert all(".attn" in name for name in changed)
    for name in changed:
        assert torch.allclose(ours[0.5][name], plain.unet.state_dict()[name], atol=1e-6)
        assert torch.allclose(ours[1.0][name] - before[name], 2 * (ours[0.5][name] - before[name]), atol=1e-6)


def test_a_trained_text_encoder_is_part_of_the_pipeline(inputs, tmp_path):
    model, _ = inputs.train(tmp_path, text_encoder="train")
    own = load_file(model.pipeline / "text_encoder" / "model.safetensors")
    base = load_file(inputs.base.pipeline / "text_encoder" / "model.safetensors")
    assert any(not torch.equal(own[name], base[name]) for name in base)
    adapted, _ = inputs.train(tmp_path / "lora", text_encoder="train", method="lora", learning_rate=0.01)
    loaded = load_pipeline(adapted.pipeline, "cpu").text_encoder.state_dict()
    assert any(not torch.equal(one, base[name]) for name, one in loaded.items() if name in base)


def test_the_last_weights_and_their_average_are_both_kept(inputs, calm, tmp_path):
    last, _ = inputs.train(tmp_path, ema_decay=0)
    assert not (last.folder / "raw").exists()
    plain = (last.pipeline / "unet" / UNET).read_bytes()
    assert (calm[0].folder / "raw" / "pipeline" / "unet" / UNET).read_bytes() == plain
    assert (calm[0].pipeline / "unet" / UNET).read_bytes() != plain


def test_the_average_is_that_of_diffusers():
    torch.manual_seed(0)
    weights = [torch.nn.Parameter(torch.randn(4)) for _ in range(2)]
    ours, theirs = EMA(weights, 0.9), EMAModel(weights, decay=0.9, use_ema_warmup=False)
    for _ in range(40):
        for weight in weights:
            weight.data += torch.randn(4)
        ours.step()
        theirs.step(weights)
    assert all(torch.allclose(a, b, rtol=1e-5) for a, b in zip(ours.shadow, theirs.shadow_params, strict=True))


def test_rounding_to_bfloat16_keeps_small_updates_on_average():
    # 1 + 2^-10 lies an eighth of the way from 1 to the next bfloat16, 1 + 2^-7
    values, rounded = torch.full((400, 250), 1 + 2**-10), torch.zeros((400, 250), dtype=torch.bfloat16)
    untouched = torch.zeros(2)
    round_stochastically([torch.full((2,), 0.3), values], [untouched, rounded], seed=0)
    assert set(rounded.ravel().tolist()) == {1.0, 1 + 2**-7}
    assert float((rounded.float() - 1).mean()) == pytest.approx(2**-10, rel=0.03)
    assert torch.equal(values.to(torch.bfloat16).float(), torch.ones(400, 250))  # to nearest: lost
    assert untouched.tolist() == [pytest.approx(0.3)] * 2


def test_weights_are_rounded_in_few_operations_and_without_a_copy_between_devices():
    weights = [torch.nn.Parameter(torch.ones(40, 5, dtype=torch.bfloat16)) for _ in range(30)]
    optimizer = StochasticRounding(torch.optim.AdamW(groups_of(weights), fused=True))
    for _ in range(2):  # the first step makes the optimizer's state
        for weight in weights:
            weight.grad = torch.ones_like(weight)
        with Counting() as counted:
            optimizer.step()
    assert len(optimizer.param_groups) == 1
    assert (counted.draws, counted.waits) == (["randint"], ["_local_scalar_dense"])  # the seed, on the CPU
    assert counted.copies == []
    assert counted.launches <= 2 * len(weights) + 40  # each tensor and its gradient to float32, the rest at once
    assert all(weight.dtype == torch.bfloat16 and weight.grad is None for weight in weights)


def test_memory_that_runs_out_halves_the_micro_batch_and_keeps_the_steps(inputs, calm, tmp_path, monkeypatch, caplog):
    real, seen = Batch.part, []

    def part(batch, rows):
        found = real(batch, rows)
        seen.append(len(found))
        if len(found) > 2:
            raise RuntimeError("[enforce fail at alloc_cpu.cpp:1] . DefaultCPUAllocator: can't allocate memory")
        return found

    monkeypatch.setattr(Batch, "part", part)
    _, losses = inputs.train(tmp_path)
    assert losses == pytest.approx(calm[1], rel=1e-5)
    assert seen[:4] == [5, 3, 2, 2]
    assert [record.getMessage() for record in caplog.records if "memory" in record.getMessage()][-1].endswith(
        "micro-batches of 2 images"
    )


@pytest.mark.parametrize(("size", "n"), [(16, 2), (5, 2), (7, 8)])
def test_processes_share_a_batch_without_gap_or_overlap(size, n):
    shares = [range(size)[share_of(size, rank, n)] for rank in range(n)]
    assert [row for share in shares for row in share] == list(range(size))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_validation_loss_is_told_by_label_and_cluster_and_the_same_whenever_looked(inputs, tmp_path):
    model, _ = inputs.train(tmp_path, watch={"looks": 2, "steps": 2, "prompts": 2}, learning_rate=1e-9)
    first, last = model.validation
    assert (first["step"], last["step"], last["n"]) == (3, 6, 6)
    assert last["loss"] == pytest.approx(first["loss"], rel=1e-5)  # the weights hardly moved, the noise not at all
    assert last["labels"].keys() == {"cancer", "healthy"}
    assert last["clusters"].keys() == {"0", "1", "2"}
    sizes = [list(inputs.training_set.validation.labels).count(label) for label in ("cancer", "healthy")]
    mean = np.average([last["labels"]["cancer"], last["labels"]["healthy"]], weights=sizes)
    assert last["loss"] == pytest.approx(mean)


def test_looking_at_a_training_changes_no_step(inputs, calm, tmp_path):
    model, losses = inputs.train(tmp_path, watch={"looks": 6, "steps": 2, "prompts": 2})
    assert losses.tolist() == calm[1].tolist()
    assert (model.pipeline / "unet" / UNET).read_bytes() == (calm[0].pipeline / "unet" / UNET).read_bytes()
    assert sorted(path.name for path in (model.folder / "looks").iterdir())[-1] == "000000006.png"
    with Image.open(model.folder / "looks.png") as grid:
        assert grid.size == (56 + 2 * 16 + 2, 6 * 18 - 2)


def test_another_schedule_and_prediction_are_told_to_who_loads_the_pipeline(inputs, tmp_path):
    model, _ = inputs.train(tmp_path, prediction="v_prediction", zero_terminal_snr=True)
    config = load_pipeline(model.pipeline, "cpu").scheduler.config
    assert (config.prediction_type, config.rescale_betas_zero_snr) == ("v_prediction", True)
    base = json.loads((inputs.base.pipeline / "scheduler" / "scheduler_config.json").read_text())
    assert base["_class_name"] == "DDPMScheduler"  # links into the base were not written through


def test_the_model_card_tells_base_licence_captions_and_settings(inputs, tmp_path):
    model, _ = inputs.train(tmp_path, work={"lineage": {"dataset": {"version": 1}}})
    card = (model.folder / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: diffusers\n")
    for part in ("trained from scratch", '"Histology image of cancer tissue" (8 images)', "dataset:\n  version: 1"):
        assert part.lower() in card.lower()


def test_tensorboard_gets_every_line_of_the_loss_log(inputs, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    _, losses = inputs.train(tmp_path, machine=machine(trackers=("tensorboard",)))
    (file,) = (tmp_path / "cache" / "tensorboard").rglob("events.*")
    written = EventAccumulator(str(file.parent)).Reload().Scalars("loss")
    assert [one.step for one in written] == list(range(len(losses)))
    assert [one.value for one in written] == pytest.approx(losses, rel=1e-6)


def test_a_tracker_that_is_not_installed_is_told(inputs, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "trackio", None)
    with pytest.raises(EnvironmentLacks, match="names trackio, which is not installed"):
        inputs.train(tmp_path, machine=machine(trackers=("trackio",)))


BAD = {
    "fp16 on a cpu": ({"precision": "fp16"}, EnvironmentLacks, "fp16 needs a GPU"),
    "no bitsandbytes": ({"optimizer": "adamw_8bit"}, EnvironmentLacks, "bitsandbytes, which is not installed"),
    "lora targets": (
        {"method": {"kind": "lora", "targets": ["to_q", "to_z"]}},
        DataError,
        "no linear or convolution layer of the model is called 'to_z'",
    ),
    "lora on a norm": (
        {"method": {"kind": "lora", "targets": ["norm1"]}},
        DataError,
        "layer of the model is called 'norm1'",
    ),
}


@pytest.mark.parametrize(("settings", "error", "message"), BAD.values(), ids=BAD.keys())
def test_what_cannot_be_trained_is_told_before_the_first_step(inputs, tmp_path, settings, error, message, monkeypatch):
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(error, match=message) as caught:
        inputs.train(tmp_path, **settings)
    assert caught.value.hint


def test_a_base_that_predicts_the_noise_is_not_trained_where_there_is_only_noise(inputs, tmp_path):
    scratch = Scratch.model_validate(TINY_BASE | {"prediction": "epsilon"})
    with pytest.raises(DataError, match="cannot learn from a schedule that ends in pure noise"):
        inputs.train(tmp_path, base=inputs.build(scratch, "epsilon"), zero_terminal_snr=True)


def test_a_disk_without_room_for_checkpoints_is_told_before_the_first_step(inputs, tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda folder: type("Usage", (), {"free": 1000})())
    with pytest.raises(EnvironmentLacks, match=r"training needs .* GB of disk"):
        inputs.train(tmp_path)


def test_a_prompt_that_is_too_long_is_told_with_its_length(inputs, tmp_path):
    long = [replace(inputs.prompts.prompts[0], text="word " * 30), inputs.prompts.prompts[1]]
    changed = copy(inputs)
    changed.prompts = replace(inputs.prompts, prompts=long)
    with pytest.raises(DataError, match=r"has \d+ tokens, the text encoder reads 20"):
        changed.train(tmp_path)


def test_no_training_image_is_told(inputs, tmp_path):
    changed, full = copy(inputs), inputs.training_set
    changed.training_set = replace(full, ids=[], labels=[], clusters=full.clusters[:0], weights=full.weights[:0])
    with pytest.raises(DataError, match="no training image"):
        changed.train(tmp_path)
