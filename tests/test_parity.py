"""Beside the usual packages: the same numbers where they are right, and where they are not, by how much."""

import warnings

import numpy as np
import pytest
import torch
from golden_sets import golden

from mep.methods.scores.frechet import frechet_distance
from mep.methods.scores.kid import kernel_distance
from mep.methods.scores.kid_subsets import KidSubsets
from mep.methods.scores.prdc import prdc


def fidelity(module):
    return pytest.importorskip(f"torch_fidelity.{module}")


@pytest.mark.parametrize(("size", "seed"), [(1000, 2020), (200, 7)])
def test_kid_over_subsets_is_torch_fidelity_s(size, seed):
    peer = fidelity("metric_kid")
    real, fake = golden("F")
    theirs = peer.kid_features_to_metric(
        torch.from_numpy(fake),
        torch.from_numpy(real),
        kid_subsets=5,
        kid_subset_size=size,
        rng_seed=seed,
        verbose=False,
    )
    ours = KidSubsets(kind="kid_subsets", subsets=5, size=size, seed=seed).measure(real, fake)
    assert ours["kid_subsets"] == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-9)
    assert ours["kid_subsets_std"] == pytest.approx(theirs["kernel_inception_distance_std"], rel=1e-9)


@pytest.mark.parametrize("name", ["A", "B", "C"])
def test_precision_and_recall_are_torch_fidelity_s(name):
    peer = fidelity("metric_prc")
    real, fake = golden(name)
    theirs = peer.prc_features_to_metric(torch.from_numpy(fake), torch.from_numpy(real), verbose=False)
    ours = prdc(real, fake, k_pr=3)
    assert (ours["precision"], ours["recall"]) == pytest.approx((theirs["precision"], theirs["recall"]), rel=1e-6)


def test_far_from_the_origin_torch_fidelity_is_off_and_we_are_not():
    peer = fidelity("metric_prc")
    far = [(rows + 1000).astype(np.float32) for rows in golden("A")]
    theirs = peer.prc_features_to_metric(torch.from_numpy(far[1]), torch.from_numpy(far[0]), verbose=False)
    ours = prdc(*far, k_pr=3)
    assert (ours["precision"], ours["recall"]) == pytest.approx((0.94, 28 / 60))
    assert theirs["recall"] > 0.5  # distances of float32 at an offset of 1,000 lose their digits


def test_the_kernel_is_scikit_learn_s():
    from sklearn.metrics.pairwise import polynomial_kernel

    real, fake = golden("C")
    n, m = len(real), len(fake)
    within = [polynomial_kernel(rows, degree=3, gamma=1 / 16, coef0=1) for rows in (real, fake)]
    across = polynomial_kernel(real, fake, degree=3, gamma=1 / 16, coef0=1)
    sums = [table.sum() - np.trace(table) for table in within]
    expected = sums[0] / (n * (n - 1)) + sums[1] / (m * (m - 1)) - 2 * across.mean()
    assert kernel_distance(real, fake) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("name", ["A", "C", "F"])
def test_frechet_distance_is_clean_fid_s(name):
    # clean-fid calls scipy's sqrtm with an argument that scipy 1.18 no longer has
    peer = pytest.importorskip("cleanfid.fid")
    real, fake = golden(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        theirs = peer.frechet_distance(real.mean(0), np.cov(real.T), fake.mean(0), np.cov(fake.T))
    assert frechet_distance(real, fake) == pytest.approx(float(theirs), rel=1e-6)


def test_clean_fid_s_resize_is_anti_aliased_bicubic():
    from cleanfid.resize import build_resizer

    image = np.random.default_rng(0).integers(0, 255, (512, 400, 3), dtype=np.uint8)
    theirs = build_resizer("clean")(image)
    pixels = torch.from_numpy(image).permute(2, 0, 1)[None].float()
    ours = torch.nn.functional.interpolate(pixels, (299, 299), mode="bicubic", antialias=True, align_corners=False)
    assert np.abs(theirs.transpose(2, 0, 1) - ours[0].clamp(0, 255).numpy()).max() < 0.01
