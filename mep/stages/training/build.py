"""From a recipe's section `training` to everything that the loop needs."""

from dataclasses import dataclass

from mep.diffusion.checkpoints import Stateful
from mep.diffusion.loop import LoopSettings, Tracker
from mep.errors import EnvironmentLacks
from mep.machine.work import Work
from mep.sections.training import TrainingConfig
from mep.stages.training.batches import Batches, EncodedInputs, TrainingInputs
from mep.stages.training.model import TrainedModel, build_model
from mep.stages.training.processes import AccelerateGroup
from mep.stages.training.step import Step
from mep.stages.training.validation import Validation


@dataclass(frozen=True)
class TrainingSetup:
    """What a training is made of; `state` determines what the next step does."""

    encoded: EncodedInputs
    model: TrainedModel
    step: Step
    validation: Validation
    loop: LoopSettings
    state: dict[str, Stateful]


def assemble(config: TrainingConfig, inputs: TrainingInputs, work: Work) -> TrainingSetup:
    """Build model, optimizer, batches and validation from the inputs of the stage."""
    group = AccelerateGroup(work, config.global_batch_size)
    encoded = EncodedInputs(config, inputs, work)  # before the UNet is loaded: the text encoder is gone by then
    model = build_model(config, encoded, group, work)
    trackers = _trackers_of(work) if group.is_main else []
    validation, step = Validation(encoded, model, trackers), Step(model, Batches(encoded, model.objective.times))
    loop = LoopSettings("training", config.steps, config.global_batch_size, group, validation, trackers)
    state = model.state | {"micro-batch": step, "scaler": step.scaler}
    return TrainingSetup(encoded, model, step, validation, loop, state)


def _trackers_of(work: Work) -> list[Tracker]:
    makers = {"tensorboard": _tensorboard, "trackio": _trackio}
    trackers = []
    for name in work.machine.trackers:
        try:
            trackers.append(makers[name](work))
        except ImportError as error:
            raise EnvironmentLacks(
                f"machine.trackers names {name}, which is not installed",
                hint=f"pip install {name}, or take it out of machine.trackers; the loss log is written either way",
            ) from error
    return trackers


def _tensorboard(work: Work) -> Tracker:
    """Event files in `tensorboard/` beside the cache: tensorboard --logdir runs/cache/tensorboard."""
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(str(work.cache_for("tensorboard") / work.folder.name))

    def write(row: dict[str, float]) -> None:
        for name, value in row.items():
            if name != "step":
                writer.add_scalar(name, value, row["step"])
        writer.flush()

    return write


def _trackio(work: Work) -> Tracker:
    import trackio

    run = trackio.init(project="mep", name=work.folder.name, resume="allow")
    return lambda row: run.log({name: value for name, value in row.items() if name != "step"}, step=row["step"])
