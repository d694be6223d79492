"""Probes on features: what they are trained on need not be lit like what they are tested on."""

import math

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from mep.machine.work import Work
from mep.methods.probes import Examples
from mep.methods.probes.knn import NearestNeighbours
from mep.methods.probes.linear import GRID, Linear
from mep.statistics.classification import auroc


def examples(rng, n, *, shown, spread, shift):
    """Features of n images of two classes: one direction tells them apart, the others are noise around a mean."""
    labels = np.arange(n) % 2
    features = 5 + spread * rng.normal(size=(n, 64)) + shift
    features[:, 0] += shown * (2 * labels - 1)
    return Examples(lambda rows: features[rows].astype(np.float32), np.arange(n), labels)


@pytest.mark.parametrize("probe", [Linear(kind="linear"), NearestNeighbours(kind="knn", k=20)])
def test_generated_images_that_vary_less_and_lie_elsewhere_still_teach_the_classes(probe, tmp_path):
    rng = np.random.default_rng(0)
    away = np.where(np.arange(64) < 32, 2.0, 0.0)  # as far from real images as the classes are from each other
    generated = examples(rng, 200, shown=2.0, spread=0.1, shift=away)
    validation, heldout = (examples(rng, 400, shown=2.0, spread=1.0, shift=0.0) for _ in range(2))
    fitted = probe.fit(generated, validation, 2, seed=0, work=Work(folder=tmp_path, seed=0))
    area = auroc(fitted.predict(heldout), heldout.labels, np.ones((1, 400)))[0]
    assert area > 0.9


def test_regularisation_is_the_strongest_that_validation_cannot_tell_from_the_best(tmp_path):
    rng = np.random.default_rng(3)
    train, validation = (examples(rng, n, shown=0.5, spread=1.0, shift=0.0) for n in (300, 60))
    chosen = Linear(kind="linear").fit(train, validation, 2, seed=0, work=Work(folder=tmp_path, seed=0)).chosen
    areas = {}
    for strength in GRID:
        model = LogisticRegression(C=strength, class_weight="balanced", max_iter=1000)
        judged = model.fit(train.directions(), train.labels).predict_proba(validation.directions())[:, 1]
        areas[strength] = roc_auc_score(validation.labels, judged)
    best = max(areas, key=areas.get)
    assert chosen["C"] < best  # so that the rule decides
    assert chosen["validation_auroc"] == pytest.approx(areas[chosen["C"]])
    error = math.sqrt(areas[best] * (1 - areas[best]) / 30)  # above DeLong's with 30 images of each class
    assert areas[best] - error <= areas[chosen["C"]] < areas[best]
