"""Extractors that need no download: the same numbers everywhere, and eyes for colour and texture."""

import os
import subprocess
import sys

import numpy as np
import pytest

from mep.errors import DataError
from mep.methods.extractors.handcrafted import Handcrafted
from mep.methods.extractors.random_conv import RandomConv, _weights
from mep.methods.scores.frechet import frechet_distance

EXTRACTORS = [RandomConv(kind="random_conv"), Handcrafted(kind="handcrafted")]
each = pytest.mark.parametrize("extractor", EXTRACTORS, ids=lambda extractor: extractor.kind)


def tissue(seed, n, *, period_px=8, colour=(180, 100, 150)):
    """Stripes in any direction on a colour that varies a little, with grain: uint8 (n, 32, 32, 3)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:32, :32]
    angle, phase = rng.uniform(0, np.pi, (n, 1, 1)), rng.uniform(0, 2 * np.pi, (n, 1, 1))
    stripes = np.sin(2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / period_px + phase)[..., None]
    base = np.array(colour) + rng.normal(0, 10, (n, 1, 1, 3))
    return np.clip(base + 30 * stripes + rng.normal(0, 10, (n, 32, 32, 3)), 0, 255).astype(np.uint8)


def distance(extractor, images_a, images_b):
    features = extractor.load("cpu")
    return frechet_distance(*(features(images).astype(np.float64) for images in (images_a, images_b)))


@each
def test_a_row_is_the_same_whatever_else_is_in_the_batch(extractor):
    images, features = tissue(0, 9), extractor.load("cpu")
    together = features(images)
    alone = np.concatenate([features(images[i : i + 1]) for i in range(9)])
    assert together.dtype == np.float32
    np.testing.assert_allclose(alone, together, rtol=1e-4, atol=1e-5)  # other kernels for another batch size
    np.testing.assert_allclose(features(images[::-1])[::-1], together, rtol=1e-4, atol=1e-5)


@each
def test_other_colours_and_other_textures_are_far_away(extractor):
    same = distance(extractor, tissue(0, 150), tissue(1, 150))
    assert distance(extractor, tissue(0, 150), tissue(1, 150, colour=(150, 120, 150))) > 3 * same
    assert distance(extractor, tissue(0, 150), tissue(1, 150, period_px=16)) > 3 * same


@each
def test_pixels_in_another_order_have_the_colours_and_not_the_texture(extractor):
    images = tissue(0, 150)
    rng = np.random.default_rng(0)
    shuffled = np.stack([rng.permutation(image.reshape(-1, 3)).reshape(image.shape) for image in images])
    assert distance(extractor, images, shuffled) > 3 * distance(extractor, images, tissue(1, 150))


@each
def test_name_and_digest_tell_extractors_apart(extractor):
    assert extractor.name == extractor.kind
    assert len(extractor.digest()) == 64
    assert extractor.digest() == type(extractor)(kind=extractor.kind).digest()
    assert len({other.digest() for other in EXTRACTORS}) == len(EXTRACTORS)


@pytest.mark.parametrize("width", [8, 64])
def test_random_features_are_as_many_as_asked_for_and_none_is_silent(width):
    features = RandomConv(kind="random_conv", width=width).load("cpu")(tissue(0, 150))
    assert features.shape == (150, width)
    # of one colour and one texture, and still every direction is alive: the covariance can be inverted
    assert np.linalg.matrix_rank(np.cov(features.astype(np.float64).T)) == width


def test_another_seed_or_width_is_another_network():
    networks = [RandomConv(kind="random_conv", **fields) for fields in ({}, {"seed": 1}, {"width": 32})]
    assert len({network.digest() for network in networks}) == 3
    first, second = (network.load("cpu")(tissue(0, 2)) for network in networks[:2])
    assert np.abs(first - second).mean() > 0.1


def test_weights_and_features_are_what_they_were_when_version_1_was_written():
    # A change here is a change of every published number: raise ARCHITECTURE with it
    levels = _weights(seed=0, width=16)
    assert levels[0][0].ravel()[:3] == pytest.approx([0.08804078, -0.8383833, -0.69897115], rel=1e-6)
    assert levels[3][0].ravel()[-3:] == pytest.approx([0.3048023, -0.15042345, 0.04767243], rel=1e-6)
    y, x = np.mgrid[:32, :32]
    image = np.stack([8 * x, 8 * y, 4 * (x + y)], axis=2).astype(np.uint8)[None]
    features = EXTRACTORS[0].load("cpu")(image)[0]
    assert features[[0, 17, 33, 63]] == pytest.approx([0.561249, -0.530241, -0.882970, 1.619469], abs=1e-4)


def test_colours_without_texture_reach_only_the_first_quarter():
    features = RandomConv(kind="random_conv").load("cpu")
    dark, bright = features(np.stack([np.full((32, 32, 3), grey, np.uint8) for grey in (20, 230)]))
    assert np.abs(dark - bright)[:16].max() > 0.5
    np.testing.assert_allclose(dark[16:], bright[16:], atol=1e-3)  # zero-sum filters, up to float32 sums


def test_features_do_not_depend_on_torch_s_generator_or_process():
    code = (
        "import torch, numpy as np; torch.manual_seed(4); torch.set_num_threads(1)\n"
        "from mep.methods.extractors.random_conv import RandomConv\n"
        "images = (np.arange(2 * 16 * 16 * 3) % 251).astype(np.uint8).reshape(2, 16, 16, 3)\n"
        "print(*RandomConv(kind='random_conv', width=8).load('cpu')(images).ravel())\n"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
    images = (np.arange(2 * 16 * 16 * 3) % 251).astype(np.uint8).reshape(2, 16, 16, 3)
    here = RandomConv(kind="random_conv", width=8).load("cpu")(images)
    np.testing.assert_allclose(np.array(printed.stdout.split(), float), here.ravel(), rtol=1e-4, atol=1e-5)


def test_images_of_any_shape_are_fine_down_to_eight_pixels():
    features = RandomConv(kind="random_conv").load("cpu")
    assert np.isfinite(features(tissue(0, 2)[:, :8, :19])).all()
    with pytest.raises(DataError, match="images of 32x7 pixels are too small, 8 are needed"):
        features(tissue(0, 2)[:, :7])


@each
def test_a_read_only_batch_is_left_as_it_is(extractor):
    images = tissue(0, 2)
    images.setflags(write=False)
    before = images.copy()
    extractor.load("cpu")(images)
    assert np.array_equal(images, before)
