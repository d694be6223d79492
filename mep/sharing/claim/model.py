"""What a study says of its model and how that was trained."""

from collections.abc import Iterator

from mep.artifacts import BaseModel, Guidance, Model, Prompts
from mep.diffusion.families import family_of
from mep.report.text import plain, seconds
from mep.sharing.claim import Item
from mep.sharing.finished import Finished

ELSEWHERE = "The model of this arm was made elsewhere."
SOFTWARE = ("mep", "python")


def description(shared: Finished) -> Iterator[str]:
    arm, training, generation = shared.arm, shared.arm.experiment.training, shared.arm.experiment.generation
    model = arm.get(Model)
    if arm.elsewhere:
        yield ELSEWHERE
    if model is not None and model.pipeline.is_dir():
        facts = model.facts()
        n = f", {facts['parameters']:,} parameters trained" if "parameters" in facts else ""
        family, side = family_of(model.pipeline), model.resolution
        yield f"{family.pipeline}, {side} × {side} px{n} ({training.method.kind})."
    if arm.experiment.prompts.method.kind == "template":
        yield f"Captions: {plain(arm.experiment.prompts.template)}."
    else:
        yield "Captions were given image by image."
    if prompts := arm.get(Prompts):
        yield f"{len(prompts.prompts)} different captions; clusters by {arm.experiment.clustering.method.kind}."
    guidance = arm.load(Guidance)
    scale = f", guidance {guidance.scale:g}" if guidance else ""
    yield f"Drawn by {generation.sampler.kind} in {generation.sampler.steps} steps{scale}."


def software(shared: Finished) -> Iterator[str]:
    locked = shared.locked
    named = {name: locked[name] for name in SOFTWARE if name in locked} | dict(locked.get("packages", {}))
    if named:
        yield f"{', '.join(f'{name} {version}' for name, version in named.items())}."


def initialization(shared: Finished) -> Iterator[str]:
    base = shared.arm.get(BaseModel)
    if base is None:
        return
    origin = base.origin
    if origin.get("id"):
        yield f"Weights of {origin['id']} at {origin['revision']}."
    elif origin["kind"] == "scratch":
        yield "At random; the autoencoder was trained first, on the training images."
    else:
        yield f"A base of kind {origin['kind']}; the lock has its digest."
    yield f"Seed {shared.arm.experiment.seed}."


def training(shared: Finished) -> Iterator[str]:
    config = shared.arm.experiment.training
    if shared.arm.elsewhere:
        yield ELSEWHERE
        return
    yield (
        f"{config.steps:,} steps of {config.global_batch_size} images; {config.optimizer}, learning rate"
        f" {config.learning_rate:g} ({config.schedule}, {config.warmup_steps} warm-up steps), weight decay"
        f" {config.weight_decay:g}, {config.precision}."
    )
    yield f"Captions were dropped in {config.caption_dropout:.0%} of the steps. Symmetries: {config.symmetries}."
    wall_s = sum(stage.wall_s or 0 for stage in shared.run.stages if stage.stage == "training")
    sessions = shared.run.provenance["sessions"]
    device = next((row["gpu"].splitlines()[0] if row["gpu"] else row["cpu"] for row in sessions), "")
    yield f"All trainings took {seconds(wall_s)}" + (f" on {plain(device)}." if device else ".")


def selection(shared: Finished) -> Iterator[str]:
    arm = shared.arm
    if arm.elsewhere:
        return
    decay = arm.experiment.training.ema_decay
    weights = f"the moving average of the weights (decay {decay:g})" if decay else "the last weights"
    yield f"No checkpoint was chosen by a score: {weights} after the last step."
    guidance = arm.load(Guidance)
    if guidance and guidance.curve:
        yield f"Guidance {guidance.scale:g} was chosen on validation images, from {len(guidance.curve)} values."


def ensembling(shared: Finished) -> Iterator[str]:
    repeats = shared.run.recipe.seeds
    yield "None." if repeats == 1 else f"None: the {repeats} trainings of an arm are measured one by one."


MODEL, TRAINING = "Model", "Training"
ITEMS = [
    Item(22, MODEL, "The model in detail", description, "A figure of it, where it is new."),
    Item(23, MODEL, "Software, frameworks, packages", software),
    Item(24, MODEL, "How weights were initialised", initialization, "Whether the base has seen test images."),
    Item(25, TRAINING, "How it was trained", training),
    Item(26, TRAINING, "How the final model was chosen", selection),
    Item(27, TRAINING, "Ensembles", ensembling),
]
