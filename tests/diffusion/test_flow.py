"""Flow matching: the path, its direction, the times, and samplers that follow it back."""

import pytest
import torch

from mep.diffusion.flow import Flow, is_flow
from mep.errors import DataError
from mep.methods.samplers import Sampler
from mep.registry import members

CONFIG = {"prediction_type": "flow_prediction", "flow_shift": 1.0}
PUBLISHED = {"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 3.0}  # as Stable Diffusion 3 is saved
FLOWING = {"dpmsolver++", "euler", "unipc"}


def test_the_path_leads_from_latents_to_noise_in_the_direction_that_is_learned():
    flow, (clean, noise) = Flow(CONFIG), torch.randn(2, 3, 4, 8, 8)
    times = flow.times(torch.tensor([0.0, 0.25, 1.0]))
    assert times.tolist() == [0, 250, 1000]
    noisy = flow.add_noise(clean, noise, times)
    assert torch.equal(noisy[0], clean[0])
    assert torch.equal(noisy[2], noise[2])
    direction = flow.target(clean, noise, times)
    assert torch.allclose(noisy[1] - 0.25 * direction[1], clean[1], atol=1e-6)
    assert flow.weights(times).tolist() == [1, 1, 1]


def test_a_shift_moves_times_towards_noise_as_published():
    # Esser et al. 2024, equation 23: s' = 3 s / (1 + 2 s)
    assert Flow(PUBLISHED).times(torch.tensor([0.5])).tolist() == [750.0]
    assert is_flow(PUBLISHED)
    assert is_flow(CONFIG)
    assert not is_flow({"prediction_type": "epsilon", "_class_name": "DDPMScheduler"})


@pytest.mark.parametrize("kind", members(Sampler))
@pytest.mark.parametrize("config", [CONFIG, PUBLISHED], ids=["plain", "shifted"])
def test_a_sampler_recovers_the_image_from_a_perfect_direction_or_is_refused(kind, config):
    sampler = members(Sampler)[kind](kind=kind, steps=20)
    if kind not in FLOWING:
        with pytest.raises(DataError, match=f"{kind.replace('+', '.')} does not fit a model of flow matching"):
            sampler.fitted(config)
        return
    scheduler = sampler.fitted(config)
    scheduler.set_timesteps(20)
    clean, noise = torch.randn(2, 1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    latent = noise * scheduler.init_noise_sigma
    for timestep in scheduler.timesteps:
        at = scheduler.scale_model_input(latent, timestep)
        s = scheduler.sigmas[scheduler.step_index or 0]
        latent = scheduler.step((at - clean) / s, timestep, latent, return_dict=False)[0]
    assert torch.allclose(latent, clean, atol=0.02)
