"""A linear classifier on frozen features."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Literal

import numpy as np

from mep.methods.probes import Examples, Fitted, Probe
from mep.statistics.classification import auroc, delong_variance, influence

if TYPE_CHECKING:
    from mep.machine.work import Work

GRID = tuple(10.0**power for power in range(-2, 5))
"""Inverse strengths of regularisation that the validation images choose from."""


class Linear(Probe):
    """Logistic regression (L2, lbfgs, balanced class weights) on features of length one.

    Regularisation is the strongest whose AUROC on the validation images lies within a standard error of the best
    (Breiman et al. 1984, Classification and Regression Trees, 3.4.3): which is the best, their noise decides.
    """

    kind: Literal["linear"]

    def fit(self, train: Examples, validation: Examples, n_classes: int, *, seed: int, work: Work) -> Fitted:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression

        inputs, watched = train.directions(), validation.directions()
        models = [LogisticRegression(C=strength, class_weight="balanced", max_iter=1000) for strength in GRID]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # of the weakest regularisation, seldom the chosen
            judged = [model.fit(inputs, train.labels).predict_proba(watched) for model in models]
        ones = np.ones((1, len(validation)))
        areas = [float(auroc(probabilities, validation.labels, ones)[0]) for probabilities in judged]
        best = int(np.argmax(areas))
        error = float(np.sqrt(delong_variance(influence(judged[best], validation.labels), validation.labels)))
        chosen = next(place for place, area in enumerate(areas) if area >= areas[best] - error)

        def predict(examples: Examples) -> np.ndarray:
            return np.asarray(models[chosen].predict_proba(examples.directions()))

        return Fitted(predict, {"C": GRID[chosen], "validation_auroc": areas[chosen]})
