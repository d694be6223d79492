"""The section `training`: the model to start from, and how it is trained."""

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from mep.config import Config, Machine
from mep.errors import DataError, EnvironmentLacks
from mep.machine.devices import resolve_device
from mep.methods.bases import Base
from mep.methods.conditionings import Conditioning
from mep.methods.conditionings.text import Text
from mep.methods.trainers import Trainer
from mep.methods.trainers.unet import Unet
from mep.registry import OneOf

if TYPE_CHECKING:
    from torch import nn

    from mep.diffusion.families import Family


class BaseConfig(Config):
    """The part of the section `training` that the stage `base` reads."""

    base: OneOf[Base]


class LatentsConfig(Config):
    """The part of the section `training` that the stage `latents` reads."""

    symmetries: Literal["none", "mirror", "square"] = Field("none")
    """Augmentation: mirror left and right, or all eight symmetries of the square. Tissue has no up; a chest has a
    left."""
    cache: Literal["latents", "compact", "off"] = "latents"
    """Keep every image's latents on disk, as mean and standard deviation, so that training draws from the same
    distribution as without. latents: float32, 128 KB an image and symmetry at 512 pixels. compact: means in bfloat16,
    deviations in a byte, 278 KB for all eight symmetries where those take 1 MB; the default of a pretrained base. off:
    encode the pixels again in every step."""


SHARDED_CHOICES = {"optimizer": ("adamw",), "weights": ("fp32",), "precision": ("fp32", "tf32", "bf16")}
"""What each field may say where the model is split over processes."""
PACKAGES = {
    "adamw_8bit": ("bitsandbytes", "gpu"),
    "prodigy": ("prodigyopt", "optimizers"),
    "schedule_free": ("schedulefree", "optimizers"),
}
"""Package and extra of the optimizers that come with neither PyTorch nor transformers."""
IMPLIED: dict[str, dict[str, float]] = {"prodigy": {"learning_rate": 1.0}, "schedule_free": {"ema_decay": 0.0}}
"""What the section says where a recipe with such an optimizer does not."""


class WatchConfig(Config):
    """How a training is looked at. It changes no weight, but what is seen is kept with the model."""

    looks: int = Field(4, ge=0, le=1000)
    """How often, evenly spaced, the last time at the end; 0: never."""
    images: int = Field(256, ge=1, le=1_000_000_000)
    """Validation images at most, for the denoising loss by label and cluster; see dataset.validation."""
    prompts: int = Field(4, ge=0, le=64)
    """Prompts of which a sample is drawn at each look, from the same noise; 0: none."""
    steps: int = Field(20, ge=1, le=200)
    """Denoising steps of these samples, by DPM-Solver++."""
    guidance: float = Field(3.0, ge=0, le=50)
    """Guidance of these samples."""


class TrainingConfig(BaseConfig, LatentsConfig):
    """The model to start from, and how it is trained."""

    later: ClassVar[tuple[str, ...]] = ("conditioning",)
    method: OneOf[Trainer] = Unet(kind="unet")
    conditioning: OneOf[Conditioning] = Text(kind="text")
    """What the model is told of an image. text: its caption. embedding: also the vector that the stage `embedding` made
    of it, or the mean vector of its label and cluster. class: also the number of its label and cluster."""
    text_encoder: Literal["frozen", "train"] = "frozen"
    """Leave the text encoder as it is, which lets captions be encoded once; or train it with the rest."""
    steps: int = Field(ge=1, le=1_000_000_000)
    """Optimizer steps."""
    global_batch_size: int = Field(16, ge=1, le=1_000_000)
    """Images in an optimizer step, over all devices and micro-batches; how many of these there are changes no
    result."""
    optimizer: Literal["adamw", "adamw_8bit", "adafactor", "prodigy", "schedule_free"] = "adamw"
    """AdamW (Loshchilov & Hutter 2019); the same with its state in 8 bits (Dettmers et al. 2022; package bitsandbytes,
    GPU only); Adafactor (Shazeer & Stern 2018), which keeps one number a row and column and not two a weight; Prodigy
    (Mishchenko & Defazio 2024, arXiv:2306.06101), which finds the learning rate itself; or schedule-free AdamW (Defazio
    et al. 2024, arXiv:2405.15682), whose own average of the weights is what generation uses."""
    learning_rate: float = Field(1e-5, gt=0, le=10)
    """Peak learning rate. 1e-5 fine-tunes Stable Diffusion, 1e-4 its LoRA; a UNet from scratch wants about 1e-3.
    schedule_free wants up to ten times as much. Of prodigy a factor of what it finds, and 1 where nothing is said."""
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    """What the learning rate does after the warm-up."""
    warmup_steps: int = Field(0, ge=0, le=1_000_000_000)
    """Steps in which the learning rate rises from zero."""
    weight_decay: float = Field(1e-2, ge=0)
    """Decoupled weight decay (Loshchilov & Hutter 2019)."""
    max_grad_norm: float = Field(1.0, gt=0)
    """Gradients longer than this are shortened to it."""
    caption_dropout: float = Field(0.1, ge=0, le=1)
    """Share of images trained with the empty caption, which guidance needs (Ho & Salimans 2022, arXiv:2207.12598)."""
    prediction: Literal["epsilon", "v_prediction", "sample"] | None = None
    """What the UNet predicts: the noise (Ho et al. 2020), the velocity (Salimans & Ho 2022) or the clean latent.
    Default: as the base does; another choice has to be learned anew."""
    timesteps: Literal["uniform", "stratified", "logit_normal"] = "uniform"
    """How noise levels are drawn. Stratified gives every batch one from each of global_batch_size equal bands, which
    lowers the variance of the loss (Kingma et al. 2021, arXiv:2107.00630). logit_normal draws middle ones more often
    (Esser et al. 2024, arXiv:2403.03206); it is the default of flow matching from scratch."""
    snr_gamma: float | None = Field(None, gt=0)
    """Min-SNR loss weighting (Hang et al. 2023); its authors use 5. Null weighs all timesteps alike."""
    noise_offset: float = Field(0.0, ge=0, le=1)
    """Strength of noise that is constant over a channel, for images much darker or brighter than the average
    (Guttenberg 2023); 0.05 to 0.1 where it is used."""
    input_perturbation: float = Field(0.0, ge=0, le=1)
    """Strength of further noise on the UNet's input that it need not predict (Ning et al. 2023, arXiv:2301.11706, who
    use 0.1)."""
    zero_terminal_snr: bool = False
    """Let the noise schedule end in pure noise (Lin et al. 2024, arXiv:2305.08891); needs prediction: v_prediction."""
    ema_decay: float = Field(0.999, ge=0, lt=1)
    """Decay of the moving average of the weights that generation uses; 0 keeps the last weights. It warms up as
    min(decay, (1 + step) / (10 + step)). Always 0 with schedule_free, which averages itself."""
    precision: Literal["fp32", "tf32", "bf16", "fp16"] = "fp32"
    """Arithmetic of forward and backward pass. Default: bf16 where the base is pretrained, else fp32. tf32 rounds the
    inputs of products to 10 bits on GPUs that can; bf16 and fp16 are autocast, fp16 with a scaled loss and on GPUs
    only."""
    weights: Literal["fp32", "bf16"] = "fp32"
    """Type in which the model is held. bf16 halves its memory: of the frozen part with LoRA; with the whole UNet of the
    trained weights too, which are then rounded stochastically. Needs precision: bf16."""
    watch: WatchConfig = WatchConfig()

    @model_validator(mode="before")
    @classmethod
    def _as_usual_for_base_and_optimizer(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        return Base.implied_by(given.get("base")) | IMPLIED.get(str(given.get("optimizer")), {}) | given

    @model_validator(mode="after")
    def _fit_together(self) -> "TrainingConfig":
        if self.weights == "bf16" and self.precision != "bf16":
            raise PydanticCustomError(
                "cross_field",
                "weights held in bf16 are computed with in bf16, not {precision}",
                {"precision": self.precision, "field": "weights", "hint": "set precision: bf16 too"},
            )
        for field, only in self.base.only.items():
            value = getattr(self, field)
            if getattr(value, "kind", value) != only:
                raise PydanticCustomError(
                    "cross_field",
                    "a base of kind {kind} is trained with {field} {only}",
                    {"kind": self.base.kind, "only": str(only), "field": field, "hint": f"take {field} out"},
                )
        if self.zero_terminal_snr and self.prediction == "epsilon":
            raise PydanticCustomError(
                "cross_field",
                "a model that predicts the noise cannot learn from a schedule that ends in pure noise",
                {"field": "zero_terminal_snr", "hint": "set prediction: v_prediction"},
            )
        return self

    @model_validator(mode="after")
    def _optimizer_can(self) -> "TrainingConfig":
        own, is_whole_in_bf16 = self.optimizer, self.weights == "bf16" and not self.method.adapts
        lacks = [
            (own != "prodigy" and self.learning_rate >= 1, "learning_rate", "rates of 1 and more are for prodigy"),
            (own == "prodigy" and is_whole_in_bf16, "weights", "prodigy needs all weights at once, not in bf16"),
            (own == "schedule_free" and self.schedule != "constant", "schedule", "schedule_free has no schedule"),
            (own == "schedule_free" and self.ema_decay, "ema_decay", "schedule_free averages the weights itself"),
        ]
        for is_so, field, problem in lacks:
            if is_so:
                known = {"problem": problem, "field": field, "hint": f"take {field} out"}
                raise PydanticCustomError("cross_field", "{problem}", known)
        return self

    def dump(self) -> dict[str, Any]:
        """The fields, and what some of them did not mean until version 2: other random numbers to round with, and no
        warm-up before a constant rate."""
        given = super().dump() | ({"rounding": "SplitMix64"} if self.weights == "bf16" else {})
        if self.schedule == "constant" and self.warmup_steps:
            given["warm_up"] = "linear"
        return given

    @property
    def also_reads(self) -> tuple[str, ...]:
        return self.conditioning.also_reads

    @property
    def reads_tokens(self) -> bool:
        """Whether captions enter a step as tokens, and not as what a frozen text encoder once made of them."""
        return self.text_encoder == "train" or self.method.learns is not None

    def require(self) -> None:
        """DataError where the base cannot be trained so: told from its configuration, before anything is computed.

        EnvironmentLacks where the package of the optimizer is not installed.
        """
        self._require_optimizer()
        if self.method.adapts or self.reads_tokens:
            outline = self.base.outline()
            if outline is not None:
                self.check_core(*outline)

    def check_core(self, family: "Family", core: "nn.Module") -> None:
        """DataError where a model of this family and with these layers, weights or none, cannot be trained so."""
        if self.text_encoder == "train" and not family.trains_text:
            raise DataError(
                f"the text encoders of a {family.pipeline} stay as they are",
                hint="set text_encoder to frozen",
                field="training.text_encoder",
            )
        if self.method.learns and not family.trains_text:
            raise DataError(
                f"the text encoders of a {family.pipeline} learn no new tokens",
                hint="train LoRA without new_tokens, or start from Stable Diffusion 1 or 2",
                field="training.method",
            )
        if self.method.adapts and not family.adapts:
            raise DataError(
                f"{family.pipeline} loads no LoRA weights", hint="set method to unet", field="training.method"
            )
        self.method.check(core)

    def _require_optimizer(self) -> None:
        module, extra = PACKAGES.get(self.optimizer, ("", ""))
        if module and find_spec(module) is None:
            other = ", or take optimizer: adafactor, which needs as little memory" if extra == "gpu" else ""
            raise EnvironmentLacks(
                f"training.optimizer: {self.optimizer} needs the package {module}, which is not installed",
                hint=f"pip install 'mep[{extra}]'{other}",
            )

    def check_machine(self, machine: Machine) -> None:
        device = resolve_device(machine.device)  # only here: finding it takes PyTorch, and a second
        if machine.sharded:
            self._check_sharded()
        if self.precision == "fp16" and not device.startswith("cuda"):
            raise EnvironmentLacks(
                f"training.precision: fp16 needs a GPU, this machine would train on {device}",
                hint="set training.precision to bf16 or fp32",
            )
        self._require_optimizer()
        if self.optimizer == "adamw_8bit" and not device.startswith("cuda"):
            raise EnvironmentLacks(
                f"training.optimizer: adamw_8bit needs a GPU, this machine would train on {device}",
                hint="set training.optimizer to adafactor, which needs as little memory",
            )
        if machine.attention == "xformers" and not device.startswith("cuda"):
            raise EnvironmentLacks(
                f"machine.attention: xformers needs a GPU, this machine would train on {device}",
                hint="set machine.attention to sdpa",
            )

    def _check_sharded(self) -> None:
        """EnvironmentLacks where a setting needs whole tensors, which no process of a sharded model has."""
        for field, choices in SHARDED_CHOICES.items():
            if getattr(self, field) not in choices:
                raise EnvironmentLacks(
                    f"training.{field}: {getattr(self, field)} does not work on a model in parts (FSDP)",
                    hint=f"set it to {' or '.join(choices)}, or distributed_type: MULTI_GPU in machine.accelerate",
                )
