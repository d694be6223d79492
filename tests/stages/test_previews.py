"""Previews follow their captions as strongly as guidance says."""

from types import SimpleNamespace

import pytest
import torch

from mep.stages.training.previews import Guided


class Echo:
    """Predicts the mean of the hidden states everywhere, and counts the images that it is given."""

    dtype = torch.float32
    n_images = 0

    def predict(self, core, latents, times, condition):
        self.n_images += len(latents)
        return condition["states"].mean((1, 2))[:, None, None, None].expand_as(latents)


@pytest.mark.parametrize(("scale", "expected", "n_images"), [(1, 3.0, 2), (2, 5.0, 4), (0, 1.0, 4)])
def test_guidance_goes_from_the_empty_caption_towards_the_given_one(scale, expected, n_images):
    # the empty caption predicts 1, the others 3: 1 + scale * (3 - 1); without guidance one pass is enough
    echo, captions, empty = Echo(), {"states": torch.full((2, 5, 4), 3.0)}, {"states": torch.full((1, 5, 4), 1.0)}
    denoiser = SimpleNamespace(family=echo, core=echo)
    predicted = Guided(denoiser, captions, empty, scale)(torch.zeros(2, 3, 8, 8), torch.tensor(0))
    assert torch.equal(predicted, torch.full((2, 3, 8, 8), expected))
    assert echo.n_images == n_images
