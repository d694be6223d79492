"""A tiny untrained pipeline, prompts for it, and the generation stage on both, as fixtures."""

import numpy as np
import pytest
from machines import machine
from small_data import TINY_BASE, draw_imagefolder

from mep.artifacts import Clusters, Guidance, Model, Prompt, Prompts
from mep.machine.files import write_json
from mep.machine.settings import ONE_PROCESS
from mep.machine.work import Work
from mep.methods.allocations.per_prompt import PerPrompt
from mep.methods.bases.scratch import Scratch
from mep.methods.samplers.dpmsolverpp import DpmSolverPlusPlus
from mep.methods.sources.imagefolder import ImageFolder
from mep.sections.dataset import DatasetConfig
from mep.sections.generation import GenerationConfig
from mep.stages.dataset.stage import dataset
from mep.stages.generation.stage import generation

PROMPTS = Prompts([Prompt("a_c00", "type zero", "a", 0, 3), Prompt("b", "type one", "b", None, 3)], {})


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    root = tmp_path_factory.mktemp("images")
    source = ImageFolder(kind="imagefolder", path=draw_imagefolder(root / "images"))
    return dataset.function(DatasetConfig(source=source, label="label"), work=Work(folder=root / "dataset"))


@pytest.fixture(scope="module")
def model(images, tmp_path_factory):
    """A pipeline that has learned nothing draws as repeatably as any other."""
    work = Work(folder=tmp_path_factory.mktemp("base"))
    Scratch.model_validate(TINY_BASE).build(images, work)
    write_json(work.out / "training.json", {"steps": 0, "images": 0, "parameters": 0, "resolution": 16})
    return Model(work.out)


@pytest.fixture
def draw(images, model):
    clusters = Clusters(images.ids, np.zeros(len(images.ids), int), np.zeros(len(images.ids)), {})

    def draw(
        folder,
        *,
        n=3,
        batch_size=4,
        work=None,
        engine=ONE_PROCESS.engine,
        device="cpu",
        model=model,
        prompts=PROMPTS,
        **config,
    ):
        config = {"allocation": PerPrompt(kind="per_prompt", images=n), "guidance": 1.5} | config
        config = {"sampler": DpmSolverPlusPlus(kind="dpmsolver++", steps=2)} | config
        here = machine(batch_size=batch_size, engine=engine, device=device)
        work = Work(folder=folder, machine=here, **(work or {}))
        given = Guidance(float(config["guidance"]), [])
        return generation.function(GenerationConfig(**config), images, clusters, prompts, model, given, work=work)

    return draw


def contents(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
