"""What the tests of training share: the inputs of the stage, made once from drawn images and a tiny base."""

import numpy as np
from small_data import TINY_BASE, draw_imagefolder

from mep.artifacts import BaseModel, Embeddings, Latents, Members, Prompt, Prompts, TrainingSet
from mep.machine.settings import ONE_PROCESS
from mep.machine.work import Work
from mep.methods.bases.scratch import Scratch
from mep.methods.sources.imagefolder import ImageFolder
from mep.sections.dataset import DatasetConfig
from mep.sections.training import BaseConfig, LatentsConfig, TrainingConfig
from mep.stages.base import base
from mep.stages.dataset.stage import dataset
from mep.stages.latents import latents
from mep.stages.training.batches import TrainingInputs
from mep.stages.training.build import assemble
from mep.stages.training.stage import training

COMMON = {
    "base": TINY_BASE,
    "steps": 6,
    "global_batch_size": 5,
    "learning_rate": 1e-3,
    "symmetries": "square",
    "watch": {"looks": 0},
}


def work_of(folder, **settings):
    """Of a training in a folder."""
    return Work(folder=folder / "training", cache=folder / "cache", seed=3, **settings)


def files_of(model):
    """The bytes of every file of a model, by its path."""
    return {path.relative_to(model.folder): path.read_bytes() for path in model.folder.rglob("*") if path.is_file()}


def embeddings_of(ids, clusters):
    """Vectors that tell clusters apart in their first dimension; the last one is the same for all."""
    vectors = np.random.default_rng(0).normal(size=(len(ids), 6)).astype(np.float32)
    vectors[:, 0], vectors[:, -1] = 100 + 10 * clusters, 7
    return Embeddings(list(ids), vectors)


class Inputs:
    """Images, a training set of 16 and validation images of 6 of them, prompts, and the tiny base."""

    def __init__(self, folder):
        self.folder = folder
        source = ImageFolder(kind="imagefolder", path=draw_imagefolder(folder / "images"))
        self.images = dataset.function(
            DatasetConfig(source=source, label="label"), work=Work(folder=folder / "dataset")
        )
        train = self.images.train
        names = [train.label_of(row) for row in range(22)]
        clusters = np.arange(22) % 3
        self.training_set = TrainingSet(
            train.ids[:16],
            names[:16],
            clusters[:16],
            np.ones(16),
            [],
            Members(train.ids[16:22], names[16:], clusters[16:]),
        )
        labels = sorted(set(names))
        self.prompts = Prompts(
            [Prompt(label, f"Histology image of {label} tissue", label, None, 8) for label in labels],
            {image_id: labels.index(name) for image_id, name in zip(train.ids[:22], names, strict=True)},
        )
        self.embeddings = embeddings_of(train.ids[:22], clusters)
        self.base = self.build(Scratch.model_validate(TINY_BASE), "base")

    def build(self, config, name) -> BaseModel:
        return base.function(BaseConfig(base=config), self.images, work=Work(folder=self.folder / name))

    def latents(self, config, base, folder) -> Latents:
        part = LatentsConfig(symmetries=config.symmetries, cache=config.cache)
        work = Work(folder=folder / "latents", cache=folder / "cache")
        return latents.function(part, self.images, self.training_set, base, work=work)

    def train(self, folder, *, base=None, machine=ONE_PROCESS, work=None, **settings):
        """The model, and the loss log as a list of losses.

        work        fields of the stage's work
        """
        config = TrainingConfig.model_validate(COMMON | settings)
        base = base or self.base
        work = work_of(folder, machine=machine, **work or {})
        model = training.function(
            config,
            self.images,
            self.training_set,
            self.prompts,
            base,
            self.latents(config, base, folder),
            self.embeddings if "embeddings" in config.also_reads else None,
            work=work,
        )
        return model, np.array([row["loss"] for row in model.losses])


def setup_of(inputs, folder, *, machine=ONE_PROCESS, **settings):
    """What a training is made of, before its first step."""
    config = TrainingConfig.model_validate(COMMON | settings)
    work = work_of(folder, machine=machine)
    latents = inputs.latents(config, inputs.base, folder)
    given = TrainingInputs(inputs.images, inputs.training_set, inputs.prompts, inputs.base, latents, inputs.embeddings)
    return assemble(config, given, work)
