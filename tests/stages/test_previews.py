"""Previews follow their captions as strongly as guidance says."""

from types import SimpleNamespace

import pytest
import torch

from mep.stages.training.previews import GuidedUnet


class Echo(torch.nn.Module):
    """Predicts the mean of the hidden states everywhere, and counts the images that it is given."""

    dtype = torch.float32
    n_images = 0

    def forward(self, latents, timestep, states):
        self.n_images += len(latents)
        return SimpleNamespace(sample=states.mean((1, 2))[:, None, None, None].expand_as(latents))


@pytest.mark.parametrize(("scale", "expected", "n_images"), [(1, 3.0, 2), (2, 5.0, 4), (0, 1.0, 4)])
def test_guidance_goes_from_the_empty_caption_towards_the_given_one(scale, expected, n_images):
    # the empty caption predicts 1, the others 3: 1 + scale * (3 - 1); without guidance one pass is enough
    unet, captions, empty = Echo(), torch.full((2, 5, 4), 3.0), torch.full((1, 5, 4), 1.0)
    predicted = GuidedUnet(unet, captions, empty, scale)(torch.zeros(2, 3, 8, 8), torch.tensor(0))
    assert torch.equal(predicted, torch.full((2, 3, 8, 8), expected))
    assert unet.n_images == n_images
