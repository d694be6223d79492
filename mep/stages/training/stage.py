"""Training: fine-tune the base on captions and latents."""

from mep.artifacts import BaseModel, Images, Latents, Model, Prompts, TrainingSet
from mep.diffusion.loop import optimise
from mep.errors import DataError, EnvironmentLacks
from mep.machine.libraries import prepare_libraries
from mep.machine.work import Work
from mep.stage import stage
from mep.stages.training.config import TrainingConfig


@stage(version=2, draws=True, repeats=True, parallel=True)
def training(
    config: TrainingConfig,
    images: Images,
    training_set: TrainingSet,
    prompts: Prompts,
    base: BaseModel,
    latents: Latents,
    *,
    work: Work,
) -> Model:
    """Fine-tune the base on captions and latents."""
    prepare_libraries()  # a resumed run may begin here
    from mep.stages.training.build import assemble
    from mep.stages.training.export import publish

    if not training_set.ids:
        raise DataError("there is no training image", hint="look at outliers and balancing", field="balancing.method")
    check_machine(config, work.device, in_parts=work.machine.in_parts)
    parts = assemble(config, images, training_set, prompts, base, latents, work)
    log = optimise(
        work,
        "training",
        config.steps,
        parts.step,
        parts.state,
        n_images=config.global_batch_size,
        crew=parts.crew,
        observer=parts.observer,
        trackers=parts.trackers,
    )
    if trained := parts.whole():
        publish(config, *trained, parts, log, base, training_set, prompts, work)
    return Model(work.out)


def check_machine(config: TrainingConfig, device: str, *, in_parts: bool) -> None:
    """EnvironmentLacks: the arithmetic, the optimizer or its package is not to be had on this device, or not on a
    model in parts, of which no step sees a whole tensor."""
    for field, fit in (("optimizer", ("adamw",)), ("weights", ("fp32",)), ("precision", ("fp32", "tf32", "bf16"))):
        if in_parts and getattr(config, field) not in fit:
            raise EnvironmentLacks(
                f"training.{field}: {getattr(config, field)} does not work on a model in parts (FSDP)",
                hint=f"set it to {' or '.join(fit)}, or distributed_type: MULTI_GPU in machine.accelerate",
            )
    if config.precision == "fp16" and not device.startswith("cuda"):
        raise EnvironmentLacks(
            f"training.precision: fp16 needs a GPU, this machine would train on {device}",
            hint="set training.precision to bf16 or fp32",
        )
    if config.optimizer == "adamw_8bit":
        from mep.stages.training.optimizers import bitsandbytes

        bitsandbytes()
        if not device.startswith("cuda"):
            raise EnvironmentLacks(
                f"training.optimizer: adamw_8bit needs a GPU, this machine would train on {device}",
                hint="set training.optimizer to adafactor, which needs as little memory",
            )
