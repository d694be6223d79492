"""Curves over the steps of a training, or over something else: for the page and for papers alike."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mep.artifacts import BaseModel, Model
from mep.report.data.artifacts import OpenArm
from mep.report.data.runs import Report
from mep.report.text import listed
from mep.store.database import Row


@dataclass(frozen=True)
class Curve:
    """A named series over steps; `colour` counts from 0."""

    name: str
    steps: NDArray[np.float64]
    values: NDArray[np.float64]
    colour: int


@dataclass(frozen=True)
class CurveSet:
    """Curves that belong into one chart.

    windows     steps that the running means of the curves cover; empty where the curves are as they were written
    """

    title: str
    label: str
    curves: list[Curve]
    windows: list[int]


def loss_curves(report: Report) -> list[CurveSet]:
    """Running means of the losses, of the autoencoder where a run trained it and of the denoiser of every arm."""
    kinds = {
        "Autoencoder": [(shared.arms, shared.artifact.losses) for shared in report.shared(BaseModel)],
        "UNet": [(shared.arms, shared.artifact.losses) for shared in report.shared(Model)],
    }
    sets = []
    for title, trainings in kinds.items():
        logs = [(arms, rows) for arms, rows in trainings if rows]
        curves = [smoothed(_name(arms, report), *_columns(rows), report.arms.index(arms[0])) for arms, rows in logs]
        if curves:
            sets.append(CurveSet(title, "loss", curves, sorted({window_for(len(rows)) for _, rows in logs})))
    return sets


def _name(arms: Sequence[OpenArm], report: Report) -> str:
    everyone = len(arms) == len(report.arms) > 1
    return "all arms" if everyone else listed([arm.label for arm in arms])


def validation_curves(report: Report) -> list[CurveSet]:
    """The denoising loss on validation images, which arms of the same base can be compared by."""
    curves = [
        Curve(listed(shared.labels), *_columns(rows), report.arms.index(shared.arms[0]))
        for shared in report.shared(Model)
        if len(rows := shared.artifact.validation) > 1
    ]
    return [CurveSet("UNet on validation images", "loss on validation images", curves, [])] if curves else []


def _columns(rows: Sequence[Row]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    steps, losses = np.array([(row["step"], row["loss"]) for row in rows], dtype=np.float64).T
    return steps, losses


def smoothed(name: str, steps: NDArray[np.float64], losses: NDArray[np.float64], colour: int) -> Curve:
    """A curve of running means, each at the last step that it covers."""
    window = window_for(len(losses))
    return Curve(name, steps[window - 1 :], running_mean(losses, window), colour)


def running_mean(values: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """float64 (n - window + 1,): means of `window` values in a row."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    return np.asarray((sums[window:] - sums[:-window]) / window, dtype=np.float64)


def window_for(n: int) -> int:
    """Steps that a running mean covers: a twenty-fifth of the training, at most 200."""
    return max(1, min(200, n // 25))
