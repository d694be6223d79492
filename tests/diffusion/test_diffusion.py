"""The objective equals a plain computation with diffusers' own schedulers."""

import pytest
import torch
from diffusers import DDPMScheduler
from diffusers.training_utils import compute_snr

from mep.diffusion.objective import denoising_errors, loss_weights, target_of

KINDS = ["epsilon", "v_prediction", "sample"]


def scheduler(kind):
    return DDPMScheduler(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, prediction_type=kind)


def batch(seed=0):
    generator = torch.Generator().manual_seed(seed)
    clean, noise, prediction = (torch.randn(5, 4, 8, 8, generator=generator) for _ in range(3))
    return clean, noise, prediction, torch.tensor([0, 100, 400, 800, 999])


@pytest.mark.parametrize("kind", KINDS)
def test_the_unweighted_loss_is_the_mean_squared_error_to_the_target(kind):
    clean, noise, prediction, timesteps = batch()
    one = scheduler(kind)
    alpha = one.alphas_cumprod[timesteps].view(-1, 1, 1, 1)
    plain = {"epsilon": noise, "v_prediction": alpha.sqrt() * noise - (1 - alpha).sqrt() * clean, "sample": clean}
    errors = denoising_errors(prediction, target_of(one, clean, noise, timesteps))
    assert torch.equal(loss_weights(one, timesteps, None), torch.ones(5))
    assert float(errors.mean()) == pytest.approx(float(torch.nn.functional.mse_loss(prediction, plain[kind])), rel=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_min_snr_weights_follow_the_paper(kind):
    _, _, _, timesteps = batch()
    one = scheduler(kind)
    snr = compute_snr(one, timesteps)
    capped = torch.minimum(snr, torch.full_like(snr, 5.0))
    expected = {"epsilon": capped / snr, "v_prediction": capped / (snr + 1), "sample": capped}[kind]
    assert torch.allclose(loss_weights(one, timesteps, 5.0), expected, rtol=1e-5)


def test_a_perfect_prediction_has_no_loss():
    clean, noise, _, timesteps = batch()
    one = scheduler("v_prediction")
    target = target_of(one, clean, noise, timesteps)
    assert denoising_errors(target, target).tolist() == [0.0] * 5
