"""Privacy: can it be found out which patients' images a generator was trained on?"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

import mep
from mep.artifacts import (
    Assignment,
    BaseModel,
    Clusters,
    Embeddings,
    HeldOutEmbeddings,
    Images,
    Model,
    Privacy,
    Prompts,
    References,
    Samples,
    TrainingSet,
)
from mep.artifacts.score_row import Reason, ScoreProtocol
from mep.config import folder_digest
from mep.evaluation.features import features_of
from mep.machine.files import sha256_of
from mep.machine.libraries import prepare_libraries
from mep.machine.work import Work
from mep.methods.conditionings import Conditioning
from mep.methods.conditionings.embedding import Embedding
from mep.methods.conditionings.text import Text
from mep.methods.extractors import Extractor
from mep.registry import OneOf
from mep.sections.privacy import Attack, PrivacyConfig
from mep.stage import stage
from mep.stages.metrics import SampleSquares
from mep.stages.privacy.asked import FEWEST, MEMBER, Asked, Told
from mep.stages.privacy.attack import Suspicion, findings
from mep.stages.privacy.rows import Rows, template_of
from mep.stages.references import Squares
from mep.statistics.distances import Arithmetic, nearest_rows

if TYPE_CHECKING:
    from mep.stages.privacy.losses import Losses

FROM_NOTHING = ("scratch", "dit")
"""Kinds of bases whose part that removes noise has random weights."""


class AttackConfig(PrivacyConfig):
    """The section `privacy`, and what the attacks take from other sections."""

    elsewhere: ClassVar[dict[str, str]] = {
        "precision": "generation.precision",
        "extractors": "metrics.extractors",
        "seed": "metrics.seed",
        "conditioning": "training.conditioning",
    }
    later: ClassVar[tuple[str, ...]] = ("conditioning",)

    precision: Literal["fp32", "bf16", "fp16"]
    extractors: tuple[OneOf[Extractor], ...]
    seed: int
    conditioning: OneOf[Conditioning] = Text(kind="text")

    @property
    def also_reads(self) -> tuple[str, ...]:
        """Vectors of all images, where the model was told those of the images that it was trained on."""
        return ("embeddings", "real") if self.told_of_images == "vector" else ()

    @property
    def told_of_images(self) -> Literal["", "vector", "kind"]:
        """What a conditioned model is told of an image: its own vector, or what its label and cluster have."""
        if "loss" not in self.attacks or self.conditioning.kind == "text":
            return ""
        return "vector" if isinstance(self.conditioning, Embedding) and self.conditioning.vector == "image" else "kind"


@stage(version=2, section="privacy")
def privacy(  # noqa: PLR0913  (the parameters of a stage declare what it reads)
    config: AttackConfig,
    images: Images,
    training_set: TrainingSet,
    clusters: Clusters,
    prompts: Prompts,
    base: BaseModel,
    model: Model,
    references: References,
    assignment: Assignment,
    samples: Samples,
    embeddings: Embeddings | None = None,
    real: HeldOutEmbeddings | None = None,
    *,
    work: Work,
) -> Privacy:
    """Try to tell the images that the model was trained on from held-out ones: by its loss, and by nearest samples."""
    attacks = Attacks.of(config, images, training_set, clusters, assignment, work)
    if "loss" in config.attacks and attacks.possible:
        told = attacks.told(embeddings, real)
        attacks.by_loss(prompts, base, model, told)
    if "nearest" in config.attacks and attacks.possible:
        attacks.by_nearest(references, samples)
    return attacks.result()


@dataclass(frozen=True, eq=False)
class Attacks:
    """The attacks on one generator, all on the same images."""

    config: AttackConfig
    images: Images
    asked: Asked
    work: Work
    rows: Rows

    @classmethod
    def of(
        cls,
        config: AttackConfig,
        images: Images,
        training_set: TrainingSet,
        clusters: Clusters,
        assignment: Assignment,
        work: Work,
    ) -> "Attacks":
        asked = Asked.draw(images, training_set, clusters, assignment, config.images, config.seed)
        counts = int(images.heldout.sum()), len(training_set.ids)
        template = template_of(asked, *counts, images.group is not None, mep.__version__)
        attacks = cls(config, images, asked, work, Rows(template, config.resamples))
        if not attacks.possible:
            for attack in config.attacks:
                n = asked.count(MEMBER)
                why = f"{n} training images have a held-out one of their kind beside them, {FEWEST} are needed"
                attacks.refuse(attack, why, Reason.TOO_FEW)
        return attacks

    @property
    def possible(self) -> bool:
        return self.asked.count(MEMBER) >= FEWEST

    def told(self, embeddings: Embeddings | None, real: HeldOutEmbeddings | None) -> Told:
        """What a model may be told of each image beside its caption, of training and other images alike."""
        if self.config.told_of_images != "vector":
            return self.asked.kinds if self.config.told_of_images else None
        assert embeddings is not None, "the runner loads what the config reads"
        assert real is not None, "the runner loads what the config reads"
        asked, vector_of = set(self.asked.ids), dict[str, NDArray[np.float32]]()
        for ids, vectors in ((embeddings.ids, embeddings.vectors), (real.ids, real.vectors["original"])):
            vector_of |= {image_id: vectors[place] for place, image_id in enumerate(ids) if image_id in asked}
        return np.stack([vector_of[image_id] for image_id in self.asked.ids])

    def by_loss(self, prompts: Prompts, base: BaseModel, model: Model, told: Told = None) -> None:
        """The loss of the model, and what it has gained over that of the model that it was trained from."""
        prepare_libraries()  # a resumed run may begin here
        from mep.stages.privacy.losses import Questions

        shown = self.images.select(self.asked.ids)
        captions = self._captions(prompts)
        questions = Questions(shown, captions, self.config.levels, self.config.precision, told)
        asked: dict[str, object] = {"levels": self.config.levels, "captions": any(captions)}
        inputs = questions.inputs(model)
        if inputs is not None:
            asked["condition"] = self.config.conditioning.kind
        common = self._protocol("loss", asked, eval_resolution=model.resolution, dtype=self.config.precision)
        losses = questions.losses("model", model, inputs, self.work)
        self._found("loss", common, suspicion_of(-losses))
        if why := _unlike(base, model):
            self.rows.refuse("calibrated", common, why)
            return
        before = questions.losses("base", base, questions.inputs(base), self.work)
        self._found("calibrated", common, suspicion_of(before - losses))

    def by_nearest(self, references: References, samples: Samples) -> None:
        """The distance of an image to the nearest synthetic one, in the first feature space of the metrics."""
        extractor = self.config.extractors[0]
        protocol = references.protocol[extractor.name]
        size = protocol["eval_resolution"]
        made = features_of("samples", SampleSquares.of(samples, size), len(samples), extractor, self.work)
        real = self._real_features(references, extractor, size)
        squared = nearest_rows(real, made, 1, arithmetic=Arithmetic(device=self.work.device))[1]
        common = self._protocol("nearest", **{"dtype": "float32"} | protocol)
        self._found("nearest", common, -np.sqrt(squared[:, 0]))

    def refuse(self, attack: Attack, why: str, reason: Reason = Reason.NO_VALUE) -> None:
        self.rows.refuse(attack, self._protocol(attack), why, reason)

    def result(self) -> Privacy:
        return Privacy(self.rows.rows, self.rows.halves())

    def _captions(self, prompts: Prompts) -> list[str]:
        texts = {name: prompts.prompts[number].text for name, number in prompts.of_image.items()}
        return self.asked.captions(texts)

    def _real_features(self, references: References, extractor: Extractor, size: int) -> NDArray[np.float32]:
        """float32 (n, d) of all images that are asked about: from the references where they are there."""
        known: dict[str, NDArray[np.float32]] = {}
        for part, table in references.tables.items():
            known |= dict(zip(table["id"], references.features[extractor.name][part], strict=True))
        others = [image_id for image_id in self.asked.ids if image_id not in known]
        if others:
            read = Squares(self.images.select(others), size)
            known |= dict(zip(others, features_of("others", read, len(others), extractor, self.work), strict=True))
        return np.stack([known[image_id] for image_id in self.asked.ids])

    def _found(self, attack: str, protocol: ScoreProtocol, suspicion: Suspicion) -> None:
        found = findings(suspicion, self.asked, self.config.resamples, self.config.seed)
        self.rows.add(attack, protocol, found)

    def _protocol(self, attack: str, asked: Mapping[str, object] | None = None, /, **more: object) -> ScoreProtocol:
        settings = {"attack": attack, "images": self.config.images, "resamples": self.config.resamples}
        about = {"extractor": "membership", "seed": self.config.seed, "settings": settings | dict(asked or {})}
        return ScoreProtocol.from_json(about | more)


def suspicion_of(gains: "Losses") -> Suspicion:
    """One number an image from those at every level of noise, float64 (n,): each level counts alike.

    gains   (n, levels)     the higher, the better the model knows the image; in units of its own at every level
    """
    values = gains.astype(np.float64)
    spread = values.std(axis=0)
    return np.asarray(((values - values.mean(axis=0)) / np.where(spread > 0, spread, 1.0)).mean(axis=1))


def _unlike(base: BaseModel, model: Model) -> str:
    """Why the base cannot say how hard an image is; empty where it can."""
    if not base.pipeline.is_dir():
        return "the recipe names no base that the model was trained from"
    if base.origin["kind"] in FROM_NOTHING:
        return "the model was trained from nothing, and a base that knows no image cannot say how hard one is"
    autoencoders = [folder_digest(one.pipeline / "vae", sha256_of) for one in (base, model)]
    if base.resolution != model.resolution or autoencoders[0] != autoencoders[1]:
        return "the model was not trained from the recipe's base"
    return ""
