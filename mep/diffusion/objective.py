"""What a model learns: how noise is added at a time, and what it shall predict. One class, one way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from mep.diffusion.flow import Flow, is_flow
from mep.errors import DataError

if TYPE_CHECKING:
    from torch import Tensor

    from mep.diffusion.types import DDPMScheduler


class Objective(Protocol):
    """How a model is trained; times are float32 or int64 (b,), latents float32 (b, c, h, w)."""

    @property
    def scheduler_config(self) -> Mapping[str, object]:
        """That of a scheduler of diffusers which draws from such a model."""

    def times(self, level: Tensor) -> Tensor:
        """Times of levels of noise, float32 (b,) in [0, 1): 0 is none."""

    def add_noise(self, clean: Tensor, noise: Tensor, times: Tensor) -> Tensor:
        """The latents as they are at those times."""

    def target(self, clean: Tensor, noise: Tensor, times: Tensor) -> Tensor:
        """What shall be predicted for them."""

    def weights(self, times: Tensor) -> Tensor:
        """Weight of each squared error, float32 (b,)."""


@dataclass(frozen=True)
class Diffusion:
    """Denoising diffusion (Ho et al. 2020), at whole timesteps of a noise schedule.

    snr_gamma   of min-SNR weighting; None weighs all timesteps alike
    """

    scheduler: DDPMScheduler
    snr_gamma: float | None = None

    @property
    def scheduler_config(self) -> Mapping[str, object]:
        return self.scheduler.config

    def times(self, level: Tensor) -> Tensor:
        n: int = self.scheduler.config["num_train_timesteps"]
        return (level * n).long()

    def add_noise(self, clean: Tensor, noise: Tensor, times: Tensor) -> Tensor:
        return self.scheduler.add_noise(clean, noise, times)  # type: ignore[arg-type]  # any integers will do

    def target(self, clean: Tensor, noise: Tensor, times: Tensor) -> Tensor:
        return target_of(self.scheduler, clean, noise, times)

    def weights(self, times: Tensor) -> Tensor:
        return loss_weights(self.scheduler, times, self.snr_gamma)


def target_of(scheduler: DDPMScheduler, clean: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
    """What the UNet shall predict: the noise, the velocity or the clean latent.

    clean, noise    float32 (b, c, h, w)
    timesteps       int64 (b,)
    Source          Ho et al. 2020, arXiv:2006.11239 (epsilon); Salimans & Ho 2022, arXiv:2202.00512 (velocity)
    """
    kind = scheduler.config["prediction_type"]
    if kind == "v_prediction":
        return scheduler.get_velocity(clean, noise, timesteps)  # type: ignore[arg-type]  # any integers will do
    return {"epsilon": noise, "sample": clean}[kind]


def loss_weights(scheduler: DDPMScheduler, timesteps: Tensor, gamma: float | None) -> Tensor:
    """Weight of each squared error, float32 (b,): one, or min-SNR-gamma (Hang et al. 2023, arXiv:2303.09556)."""
    import torch

    if gamma is None:
        return torch.ones_like(timesteps, dtype=torch.float32)
    signal = scheduler.alphas_cumprod.to(timesteps.device)[timesteps].float()
    snr = signal / (1 - signal).clamp_min(1e-12)
    divisor = {"epsilon": snr, "v_prediction": snr + 1, "sample": torch.ones_like(snr)}
    return snr.clamp_max(gamma) / divisor[scheduler.config["prediction_type"]]


def denoising_errors(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean squared error of each image, float32 (b,)."""
    return (prediction.float() - target.float()).pow(2).mean(dim=tuple(range(1, prediction.ndim)))


def objective_of(
    config: Mapping[str, object], prediction: str | None, zero_terminal_snr: bool, snr_gamma: float | None
) -> Objective:
    """What a model with a scheduler of this configuration learns, with what the recipe changes.

    DataError   the recipe changes what flow matching does not have
    """
    if not is_flow(config):
        return Diffusion(noise_scheduler_of(config, prediction, zero_terminal_snr), snr_gamma)
    asked = {"prediction": prediction, "snr_gamma": snr_gamma, "zero_terminal_snr": zero_terminal_snr}
    for field, value in asked.items():
        if value:
            raise DataError(
                f"the base is trained by flow matching, which has no {field}",
                hint=f"take {field} out of the section training",
                field=f"training.{field}",
            )
    return Flow(config)


def noise_scheduler_of(config: Mapping[str, object], prediction: str | None, zero_terminal_snr: bool) -> DDPMScheduler:
    """The noise schedule that a model is trained on: that of the base, with what the recipe changes.

    zero_terminal_snr   stretch the schedule until its last step is pure noise (Lin et al. 2024, arXiv:2305.08891)
    """
    from diffusers.schedulers.scheduling_ddpm import DDPMScheduler

    changes: dict[str, str | bool] = {"prediction_type": prediction} if prediction else {}
    if zero_terminal_snr:
        changes |= {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}
    scheduler: DDPMScheduler = DDPMScheduler.from_config(config, **changes)
    if zero_terminal_snr and scheduler.config["prediction_type"] == "epsilon":
        raise DataError(
            "a model that predicts the noise cannot learn from a schedule that ends in pure noise",
            hint="set training.prediction to v_prediction, or leave zero_terminal_snr out",
            field="training.zero_terminal_snr",
        )
    return scheduler
