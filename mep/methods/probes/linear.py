"""A linear classifier on frozen features."""

import warnings
from typing import Literal

import numpy as np

from mep.machine.work import Work
from mep.methods.probes import Examples, Fitted, Probe
from mep.statistics.classification import auroc

GRID = tuple(10.0**power for power in range(-2, 5))
"""Inverse strengths of regularisation that the validation images choose from."""


class Linear(Probe):
    """Logistic regression (L2, lbfgs, balanced class weights) on features of length one.

    The strength of regularisation is the one with the highest AUROC on the validation images, the strongest where
    several share it.
    """

    kind: Literal["linear"]

    def fit(self, train: Examples, validation: Examples, n_classes: int, *, seed: int, work: Work) -> Fitted:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression

        inputs, watched, ones = train.directions(), validation.directions(), np.ones((1, len(validation)))
        best, best_area, best_strength = LogisticRegression(), -1.0, 0.0
        for strength in GRID:
            model = LogisticRegression(C=strength, class_weight="balanced", max_iter=1000)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)  # of the weakest regularisation, seldom the chosen
                model.fit(inputs, train.labels)
            area = float(auroc(model.predict_proba(watched), validation.labels, ones)[0])
            if area > best_area:
                best, best_area, best_strength = model, area, strength

        def predict(examples: Examples) -> np.ndarray:
            return np.asarray(best.predict_proba(examples.directions()))

        return Fitted(predict, {"C": best_strength, "validation_auroc": best_area})
