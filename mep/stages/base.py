"""Base: the latent diffusion model to start from, shared by all arms."""

from mep.artifacts import BaseModel, Images
from mep.machine.devices import fixed_order
from mep.machine.files import write_json
from mep.machine.work import Work
from mep.sections.training import BaseConfig
from mep.stage import stage


@stage(version=2, section="training", draws=True)
def base(config: BaseConfig, images: Images, *, work: Work) -> BaseModel:
    """Fetch a pretrained model, or build a small one and train its autoencoder."""
    with fixed_order(required=work.machine.deterministic):
        origin = config.base.build(images.train, work)
    facts = {"kind": config.base.kind, "resolution": config.base.resolution}
    write_json(work.out / "base.json", facts | {name: value for name, value in origin.items() if value})
    return BaseModel(work.out)
