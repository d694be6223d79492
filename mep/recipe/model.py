"""The experiment: its sections, and what one of them asks of another."""

from typing import Any

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from mep.config import Config
from mep.diffusion.token_names import TOKEN
from mep.errors import DataError
from mep.methods.bases import Base
from mep.recipe.controls import NEGATIVE
from mep.recipe.wording import find_near
from mep.sections.balancing import FINDING, BalancingConfig
from mep.sections.clustering import ClusteringConfig
from mep.sections.columns import widths_of
from mep.sections.dataset import DatasetConfig
from mep.sections.embedding import EmbeddingConfig
from mep.sections.generation import GenerationConfig, GuidanceChoice
from mep.sections.metrics import MetricsConfig
from mep.sections.outliers import OutliersConfig
from mep.sections.privacy import PrivacyConfig
from mep.sections.prompts import PromptsConfig
from mep.sections.samples import SamplesConfig
from mep.sections.slots import FORMATS, problem_of
from mep.sections.training import TrainingConfig
from mep.sections.utility import UtilityConfig

MOST_SEEDS = 100
"""Repeats of an arm."""
APART = 10 * MOST_SEEDS
"""What sets the trainings of the negative control apart from those of all other arms."""
NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
"""What a recipe and an arm may be called."""


def repeat_name(arm: str, repeat: int) -> str:
    """What an arm is called when it is trained for the nth time: `mep`, `mep#2`, `mep#3`."""
    return arm if repeat == 1 else f"{arm}#{repeat}"


def repeat_of(name: str) -> tuple[str, int]:
    """The arm and the number of the repeat; the inverse of `repeat_name`."""
    arm, _, repeat = name.partition("#")
    return arm, int(repeat or 1)


def training_of(name: str) -> int:
    """Which training of the recipe's seed a stage of an arm is: its repeat, or for the negative control one that no
    repeat of any other arm is."""
    arm, repeat = repeat_of(name)
    return repeat + APART if arm == NEGATIVE else repeat


class Experiment(Config):
    """Everything that determines a result. Every arm is one of these."""

    seed: int = Field(0, ge=0, lt=2**63)
    """Everything random is drawn from this number."""
    dataset: DatasetConfig
    """Images, labels and the held-out part."""
    embedding: EmbeddingConfig
    """What turns an image into the vector that is clustered."""
    outliers: OutliersConfig
    """Which images are left out of clusters and captions."""
    clustering: ClusteringConfig
    """What groups the images."""
    balancing: BalancingConfig
    """Which images are trained on."""
    prompts: PromptsConfig
    """How captions are built."""
    training: TrainingConfig
    """The model to start from, and how it is fine-tuned."""
    generation: GenerationConfig
    """How many images of which prompt, and how they are drawn."""
    samples: SamplesConfig | None = None
    """Synthetic images, or a model, that were made elsewhere, in the place of what this arm would make."""
    metrics: MetricsConfig = MetricsConfig()
    """What is measured."""
    utility: UtilityConfig = UtilityConfig()
    """What generated images teach a classifier that is tested on real ones."""
    privacy: PrivacyConfig = PrivacyConfig()
    """What is tried to find out which images a generator was trained on."""

    @property
    def made_elsewhere(self) -> str:
        """What of this arm was made elsewhere: images, model, or nothing."""
        if self.samples is None:
            return ""
        return "images" if self.samples.source else "model"

    def require(self) -> None:
        """DataError where a pipeline that was made elsewhere is not whole or of no known family, or LoRA weights are of
        another model than the arm draws with."""
        if self.samples is None:
            return
        if (pipeline := self.samples.pipeline) is not None:
            from mep.stages.training.given import check_pipeline

            check_pipeline(pipeline, self.samples.resolution)
        if self.samples.lora is None:
            return
        from mep.diffusion.lora_files import check_change, lora_file
        from mep.methods.bases.pretrained import outline_in

        outline = self.training.base.outline() if pipeline is None else outline_in(pipeline)
        if outline is not None:
            check_change(lora_file(self.samples.lora), *outline)

    @model_validator(mode="before")
    @classmethod
    def _drawn_with_the_arithmetic_of_its_base(cls, given: Any) -> Any:
        """Where the recipe does not say how to draw: as models of that base are trained where nothing else is said."""
        sections: list[Any] = (
            [given.get(name) for name in ("training", "generation")] if isinstance(given, dict) else []
        )
        if not sections or not all(isinstance(section, dict) for section in sections):
            return given
        implied = Base.implied_by(sections[0].get("base"))
        precision = {"precision": implied["precision"]} if "precision" in implied else {}
        return given | {"generation": precision | sections[1]}

    @model_validator(mode="after")
    def _slots_are_there(self) -> "Experiment":
        slots = [*FORMATS, *self.dataset.column_names]
        for name in sorted(self.prompts.names.difference(slots)):
            hint = find_near(name, slots)
            if not hint.startswith("did"):
                hint += "  a metadata column has to be named in dataset.columns"
            raise _mistake("prompts.template", f"no slot '{name}'", hint)
        if "labels" in self.dataset.column_names and any("{labels" in text for text in self.prompts.templates):
            message = "{labels} is the label of an image, and dataset.columns names a column 'labels'"
            raise _mistake("prompts.template", message, "call the column otherwise")
        templates = self.prompts.templates if self.prompts.names else ()
        message, hint = problem_of(
            templates, self.dataset.column_names, self.clustering.method.kind, self.clustering.second
        )
        if message:
            raise _mistake("prompts.template", message, hint)
        if self.dataset.truth is None and "truth" in self.prompts.names:
            message = "the template names {truth}, but dataset.truth is not set"
            raise _mistake("prompts.template", message, "name a metadata column in dataset.truth, or take {truth} out")
        if not self.dataset.is_labelled and "label" in self.prompts.names:
            message = "the template names {label}, but dataset.label is not set"
            hint = "name the label column in dataset.label (several: dataset.labels), or take {label} out"
            raise _mistake("prompts.template", message, hint)
        return self

    @model_validator(mode="after")
    def _condition_has_what_it_says(self) -> "Experiment":
        kind = self.training.conditioning.kind
        if kind == "text" and self.prompts.apart_by:
            message = "prompts with one caption are one prompt to a model that is told nothing else"
            hint = "set training.conditioning to embedding or class, or take apart_by out"
            raise _mistake("prompts.apart_by", message, hint)
        if kind != "text" and self.generation.unseen_images:
            message = "a pair of label and cluster that no training image shows cannot be conditioned on"
            raise _mistake("generation.unseen_images", message, "take it out, or condition on text alone")
        if "label" in self.prompts.apart_by and not self.dataset.is_labelled:
            message = "prompts are to be set apart by label, but dataset.label is not set"
            raise _mistake("prompts.apart_by", message, "name the label column in dataset.label, or take label out")
        return self

    @model_validator(mode="after")
    def _names_new_tokens(self) -> "Experiment":
        if self.training.method.kind != "textual_inversion" or self.prompts.method.kind != "template":
            return self
        if not any(TOKEN.search(template) for template in self.prompts.templates):
            message = "textual inversion trains new tokens, and no template names one"
            raise _mistake("prompts.template", message, "write one into it: <morph-{cluster}>")
        return self

    @model_validator(mode="after")
    def _groups_are_there(self) -> "Experiment":
        findings = self.dataset.labels
        columns = ["label", "cluster", *self.dataset.column_names]
        columns += [FINDING, *findings.columns] if findings else []
        for name in self.balancing.keys:
            if name in self.dataset.steps and name in widths_of(self.balancing.by):
                raise _mistake("balancing.by", f"dataset.columns cuts '{name}' into steps already", f"by: [{name}]")
            if name not in columns and not (findings and findings.column):  # what it lists is known once it is read
                hint = f"{find_near(name, columns)}; a metadata column has to be named in dataset.columns"
                raise _mistake("balancing.by", f"'{name}' is nothing to balance by", hint)
        return self

    @model_validator(mode="after")
    def _sampler_fits_the_model(self) -> "Experiment":
        """Where the recipe says what the model predicts; a pretrained one says it itself, before anything is drawn."""
        prediction = self.training.prediction or getattr(self.training.base, "prediction", None)
        if prediction is None:
            return self
        from_scratch = prediction == "v_prediction" and self.training.base.kind == "scratch"
        pure_noise = self.training.zero_terminal_snr or from_scratch
        try:
            self.generation.sampler.check({"prediction_type": prediction, "rescale_betas_zero_snr": pure_noise})
        except DataError as error:
            raise _mistake(error.field, error.message, error.hint) from error
        return self

    @model_validator(mode="after")
    def _has_a_model_to_start_from(self) -> "Experiment":
        needs_one = self.samples is None or (self.samples.lora is not None and self.samples.pipeline is None)
        if self.training.base.kind == "none" and needs_one:
            hint = "name a base, or the images that were made elsewhere: samples: {source: ...}"
            raise _mistake("training.base.kind", "'none' is nothing to train from", hint)
        return self

    @model_validator(mode="after")
    def _guidance_can_be_chosen(self) -> "Experiment":
        aside = self.dataset.validation
        if isinstance(self.generation.guidance, GuidanceChoice) and not (aside.splits or aside.fraction):
            message = "guidance is chosen on validation images, and the recipe sets none aside"
            hint = "add dataset.validation: {fraction: 0.1}, or give one number"
            raise _mistake("generation.guidance", message, hint)
        return self

    @model_validator(mode="after")
    def _extractor_is_not_the_embedder(self) -> "Experiment":
        extractors = [("metrics.extractors", extractor) for extractor in self.metrics.extractors]
        for field, extractor in [*extractors, ("utility.extractor", self.utility.extractor)]:
            if _same_model(extractor, self.embedding.model):
                message = f"'{extractor.name}' also makes the clusters: distances in its own space favour captions"
                raise _mistake(field, f"{message} made from it", "measure in another extractor")
        return self


def _mistake(field: str, message: str, hint: str) -> PydanticCustomError:
    """A mistake of one field that only shows beside another; `explain` finds where the field is written."""
    return PydanticCustomError("cross_field", "{message}", {"message": message, "field": field, "hint": hint})


def _same_model(extractor: Config, embedder: Config) -> bool:
    """Whether both are one model, whatever part of its output each takes."""
    extracts, embeds = extractor.model_dump(), embedder.model_dump()
    if extracts["kind"] != embeds["kind"]:
        return False
    fields = ("id", "path") if "id" in extracts and "id" in embeds else tuple(extracts.keys() & embeds.keys())
    return all(extracts[name] == embeds[name] for name in fields)
