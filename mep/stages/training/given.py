"""Training, where the model was trained elsewhere: it is taken as if this arm had trained it."""

import shutil
from pathlib import Path

from mep.artifacts import BaseModel, Images, Model, Prompts
from mep.diffusion.families import family_of
from mep.diffusion.lora_files import lora_file
from mep.diffusion.pipelines import LORA_FILE
from mep.errors import DataError
from mep.machine.files import link_or_copy, read_json, write_json
from mep.machine.work import Work
from mep.methods.bases.pretrained import Pretrained, check_folder
from mep.sections.samples import SamplesConfig
from mep.stage import stage
from mep.stages.prompts.stage import check


@stage(version=1, section="samples")
def given_model(config: SamplesConfig, images: Images, prompts: Prompts, base: BaseModel, *, work: Work) -> Model:
    """Take a model that was trained elsewhere, and see that it reads this arm's captions to their end."""
    if config.pipeline is None:
        for path in sorted(path for path in base.pipeline.rglob("*") if path.is_file()):
            link_or_copy(path, work.out / "pipeline" / path.relative_to(base.pipeline))
        side = base.resolution
    else:
        side = config.resolution or trained_side(config.pipeline)
        base_of = Pretrained.model_construct(kind="pretrained", id=None, path=config.pipeline, resolution=side)
        base_of.build(images, work)
    if config.lora is not None:
        (work.out / "lora").mkdir(exist_ok=True)
        shutil.copyfile(lora_file(config.lora), work.out / "lora" / LORA_FILE)
    write_json(work.out / Model.about, {"resolution": side, "made": "elsewhere"})
    model = Model(work.out)
    check([*prompts.prompts, *prompts.unseen], model)
    return model


def check_pipeline(pipeline: Path, resolution: int | None) -> None:
    """DataError where a folder is no whole pipeline of a known family, or does not say the side of its images."""
    try:
        check_folder(pipeline, resolution or 0)
    except DataError as error:
        raise DataError(error.message, hint=error.hint, field="samples.pipeline") from error
    if resolution is None:
        trained_side(pipeline)


def trained_side(pipeline: Path) -> int:
    """Pixels of a side that a pipeline was trained at; DataError where its files do not say."""
    side = read_json(pipeline / family_of(pipeline).core / "config.json").get("sample_size")
    if not isinstance(side, int):
        raise DataError(
            f"{pipeline} does not say which side its images have",
            hint="say it: samples.resolution",
            field="samples.resolution",
        )
    blocks = read_json(pipeline / "vae" / "config.json").get("block_out_channels", [0])
    return side * int(2 ** (len(blocks) - 1))
