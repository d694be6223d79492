"""The dose from which on a metric notices harm is the one at which an experiment would find it."""

import numpy as np
import pytest

from mep.artifacts.calibration import NOTICED, Effect
from mep.evaluation.calibration import (
    BY_LABEL,
    Meter,
    RealSets,
    effects_of,
    first_noticed,
    noise_of,
    repeated,
    swapped,
)
from mep.imaging.degradations import COPIES, KINDS, LABELS, VARIETY, Change
from mep.methods.scores.frechet import Frechet
from mep.methods.scores.kid import Kid

N, D = 50, 6
DOSES = (0.15, 0.3, 0.6, 1.2)
SHIFT = Change("shift", DOSES, "", "{}")
QUICK = (Kid(kind="kid"), Frechet(kind="frechet"))


def shifted(features, dose):
    """Every image moved along the first axis by so many of its standard deviations."""
    return features + dose * np.eye(D)[0]


def sets(seed, n=N, train=0, labelled=False):
    rng = np.random.default_rng(seed)
    labels = (lambda m: np.arange(m) % 2) if labelled else (lambda m: np.full(m, -1))
    features = [rng.normal(size=(m, D)) for m in (n, 2 * n, train)]
    if labelled:
        for rows in features:
            rows[:, 1] += 4 * labels(len(rows))
    return RealSets(*features, labels(n), labels(2 * n))


def calibrated(real, seed, **how):
    harmed = {("shift", dose): shifted(real.pool[: real.n], dose) for dose in DOSES}
    return list(effects_of("drawn", real, harmed, seed=seed, **how))


def effect(dose, size, noise=1.0, spread=1.0, better="lower"):
    return Effect("drawn", "kid", better, "shift", dose, size, noise, spread)


@pytest.mark.parametrize("metric", ["kid", "fd"])
def test_at_the_dose_that_is_reported_two_arms_are_told_apart_in_four_of_five_experiments(metric):
    found = []
    for seed in range(16):
        real = sets(seed)
        effects = [one for one in calibrated(real, seed, scores=QUICK) if (one.metric, one.harm) == (metric, "shift")]
        dose, meter, rng = first_noticed(effects, SHIFT), Meter(real, QUICK), np.random.default_rng([seed, 1])
        assert dose is not None
        for _ in range(30):
            harmed, untouched = shifted(rng.normal(size=(N, D)), dose), rng.normal(size=(N, D))
            difference = meter.values(harmed)[metric] - meter.values(untouched)[metric]
            found.append(abs(difference) > 1.96 * effects[0].noise)
    assert np.mean(found) == pytest.approx(0.8, abs=0.06)


def test_the_noise_is_the_spread_of_two_untouched_arms_on_one_reference():
    real = sets(0)
    meter, rng = Meter(real, QUICK), np.random.default_rng(1)
    noise = noise_of(meter, np.random.default_rng(0))
    arms = [meter.values(rng.normal(size=(N, D)))["fd"] for _ in range(400)]
    differences = np.subtract(arms[:200], arms[200:])
    assert noise["fd"] == pytest.approx(differences.std(), rel=0.3)  # 40 pairs, 200 pairs: 11 % and 5 % each


def test_power_is_that_of_a_two_sided_test():
    assert effect(1, 2.8016).power == pytest.approx(0.8, abs=1e-4)
    assert effect(1, 0).power < 0.03 < effect(1, 1.96).power == pytest.approx(0.5, abs=1e-4)
    assert effect(1, -4).power == effect(1, 4).power
    # where harmed sets vary twice as much, more has to be left beyond the border of the test
    assert effect(1, 1.96 + 2 * 0.8416, spread=2).power == pytest.approx(0.8, abs=1e-4)


def test_a_dose_between_two_steps_is_found_on_logarithmic_scales():
    # 0.7 at 1 and 11.2 at 4 make the signal the square of the dose over 1.4286: 2.8 at 2
    assert first_noticed([effect(1, 0.7), effect(4, 11.2)], SHIFT) == pytest.approx(2, rel=1e-3)
    assert first_noticed([effect(1, 0.7), effect(4, 2.5)], SHIFT) is None
    assert first_noticed([effect(1, 3), effect(4, 30)], SHIFT) == 1
    seen_and_lost = [effect(1, 5), effect(2, 0.7), effect(8, 11.2)]
    assert first_noticed(seen_and_lost, SHIFT) == pytest.approx(4, rel=1e-3)
    jpeg = [effect(90, 0.7), effect(60, 11.2)]  # strengths 10 and 40
    assert first_noticed(jpeg, KINDS["JPEG"]) == pytest.approx(80, rel=1e-3)


def test_a_metric_that_gets_better_with_harm_is_misled():
    assert effect(1, -5).misled
    assert not effect(1, 5).misled
    assert not effect(1, -1).misled
    assert effect(1, 5, better="higher").misled
    assert not effect(1, -5, better="higher").misled
    assert pytest.approx(1.95996 + 0.84162, abs=2e-3) == NOTICED


def test_copies_are_seen_by_their_rate_repeats_by_recall_and_labels_only_label_by_label():
    effects = calibrated(sets(3, n=120, train=120, labelled=True), 3)

    def dose(metric, kind):
        return first_noticed([one for one in effects if (one.metric, one.harm) == (metric, kind.name)], kind)

    assert dose("copy_rate", COPIES) <= 10
    assert dose("kid", COPIES) is None
    assert dose("recall", VARIETY) is not None
    assert dose(BY_LABEL, VARIETY) is None
    assert dose(BY_LABEL, LABELS) <= 30
    assert dose("kid", LABELS) is None
    assert all(one.effect == 0 for one in effects if one.harm == LABELS.name and one.metric != BY_LABEL)


def test_without_labels_or_training_images_those_rows_are_left_out():
    effects = calibrated(sets(0), 0)
    assert {one.harm for one in effects} == {"shift", VARIETY.name}
    assert "copy_rate" not in {one.metric for one in effects}


def test_a_share_of_labels_is_swapped_and_a_share_of_images_kept():
    labels, rng = np.array([0, 2, 5] * 100 + [-1] * 9), np.random.default_rng(0)
    changed = swapped(labels, [0, 2, 5], 0.2, rng)
    assert (changed != labels).sum() == 60
    assert set(changed[changed != labels]) <= {0, 2, 5}
    rows = repeated(np.arange(100)[:, None], 0.25, rng)
    assert len(rows) == 100
    assert len(np.unique(rows)) == 25
    assert np.bincount(rows.ravel()).max() == 4
    assert len(np.unique(repeated(np.arange(100)[:, None], 1.0, rng))) == 100
