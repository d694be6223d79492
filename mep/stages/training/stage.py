"""Training: fine-tune the base on captions and latents."""

from contextlib import ExitStack, closing

from mep.artifacts import BaseModel, Embeddings, Images, Latents, Model, Prompts, TrainingSet
from mep.diffusion.loop import optimise
from mep.errors import DataError
from mep.machine.devices import fixed_order, products
from mep.machine.libraries import prepare_libraries
from mep.machine.work import Work
from mep.sections.training import TrainingConfig
from mep.stage import stage


@stage(version=2, draws=True, repeats=True, parallel=True)
def training(  # noqa: PLR0913  (the parameters of a stage declare what it reads)
    config: TrainingConfig,
    images: Images,
    training_set: TrainingSet,
    prompts: Prompts,
    base: BaseModel,
    latents: Latents,
    embeddings: Embeddings | None = None,
    *,
    work: Work,
) -> Model:
    """Fine-tune the base on captions and latents, and on vectors where the recipe conditions on them."""
    prepare_libraries()  # a resumed run may begin here
    from mep.stages.training.batches import TrainingInputs
    from mep.stages.training.build import assemble
    from mep.stages.training.export import publish

    if not training_set.ids:
        raise DataError("there is no training image", hint="look at outliers and balancing", field="balancing.method")
    config.check_machine(work.machine)
    with ExitStack() as stack:
        stack.enter_context(products(tf32=config.precision == "tf32"))
        stack.enter_context(fixed_order(required=work.machine.deterministic))
        setup = assemble(config, TrainingInputs(images, training_set, prompts, base, latents, embeddings), work)
        stack.enter_context(closing(setup.step.ahead))
        log = optimise(work, setup.loop, setup.step, setup.state)
        if gathered := setup.model.gathered():
            publish(setup, *gathered, log)
    return Model(work.out)
