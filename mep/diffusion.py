"""The denoising objective of latent diffusion."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


def target_of(scheduler: Any, clean: "Tensor", noise: "Tensor", timesteps: "Tensor") -> "Tensor":
    """What the UNet shall predict, by the scheduler's prediction type: the noise, the velocity or the clean latent.

    clean, noise    float32 (b, c, h, w)
    timesteps       int64 (b,)
    Source          Ho et al. 2020, arXiv:2006.11239 (epsilon); Salimans & Ho 2022, arXiv:2202.00512 (velocity)
    """
    kind = scheduler.config.prediction_type
    if kind == "epsilon":
        return noise
    if kind == "v_prediction":
        return scheduler.get_velocity(clean, noise, timesteps)
    if kind == "sample":
        return clean
    raise ValueError(f"unknown prediction type {kind}")


def loss_weights(scheduler: Any, timesteps: "Tensor", gamma: float | None) -> "Tensor":
    """Weight of each squared error, float32 (b,): one, or min-SNR-gamma (Hang et al. 2023, arXiv:2303.09556)."""
    import torch

    if gamma is None:
        return torch.ones_like(timesteps, dtype=torch.float32)
    signal = scheduler.alphas_cumprod.to(timesteps.device)[timesteps].float()
    snr = signal / (1 - signal).clamp_min(1e-12)
    divisor = {"epsilon": snr, "v_prediction": snr + 1, "sample": torch.ones_like(snr)}
    return snr.clamp_max(gamma) / divisor[scheduler.config.prediction_type]


def denoising_loss(prediction: "Tensor", target: "Tensor", weights: "Tensor") -> "Tensor":
    """Weighted mean squared error, scalar."""
    errors = (prediction.float() - target.float()).pow(2).mean(dim=tuple(range(1, prediction.ndim)))
    return (errors * weights).mean()
