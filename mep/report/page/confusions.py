"""What images show against what their captions asked for, and how well that is judged, slide by slide."""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from mep.artifacts import Assignment
from mep.evaluation.adherence import FEWEST_OF_A_SLIDE
from mep.report.data.runs import Report
from mep.statistics.intervals import Proportion, clopper_pearson

N_SLIDES = 10
"""Slides that are shown, those with the lowest share."""
LARGEST_MATRIX = 40
"""Clusters of a confusion matrix that is drawn; of more only the shares are shown."""


@dataclass(frozen=True)
class Confusion:
    """What images show against what their captions asked for.

    rows            name of what was asked for, shares of what was found, number of images
    share           of samples that are found where they belong
    real_share      the same of real held-out images; None where there are none
    slides          the same of the real images of each slide or patient, the lowest first
    """

    arms: list[str]
    kind: str
    names: list[str]
    rows: list[tuple[str, list[float], int]]
    share: float
    real_share: float | None
    n: int
    slides: list[tuple[str, Proportion]] = field(default_factory=list)


def confusions(report: Report) -> list[Confusion]:
    """Cluster and label of the samples of every arm, asked for and found."""
    matrices = []
    for shared in report.shared(Assignment):
        assignment = shared.artifact
        if assignment.unseen:
            continue  # the row of the adherence says why
        clusters = [str(number) for number in range(assignment.n_clusters)]
        for kind, names, columns in (("cluster", clusters, [0, 1]), ("label", assignment.label_names, [2, 3])):
            pairs, real = (assignment.parts[part][:, columns] for part in ("samples", "heldout"))
            slides = np.array(assignment.slides)[real[:, 0] >= 0] if assignment.slides else np.zeros(0, dtype=str)
            pairs, real = pairs[pairs[:, 0] >= 0], real[real[:, 0] >= 0]
            if len(pairs):
                one = _confusion(shared.labels, kind, names, pairs, real)
                matrices.append(replace(one, slides=_by_slide(slides, real)))
    return matrices


def _by_slide(slides: NDArray[np.str_], real: NDArray[np.integer]) -> list[tuple[str, Proportion]]:
    """How often real images, (n, 2), show what they should, by the slide of each, (n,); the lowest share first."""
    names, counts = np.unique(slides, return_counts=True)
    right = {name: real[slides == name] for name in names[counts >= FEWEST_OF_A_SLIDE].tolist()}
    shares = {name: clopper_pearson(int((of[:, 0] == of[:, 1]).sum()), len(of)) for name, of in right.items()}
    return sorted(shares.items(), key=lambda one: one[1].value or 0.0)


def _confusion(
    arms: list[str], kind: str, names: list[str], pairs: NDArray[np.integer], real: NDArray[np.integer]
) -> Confusion:
    """Both arrays (n, 2): what was asked for, and what was found, -1 for nothing."""
    asked, shown = pairs.T
    counts = np.zeros((len(names), len(names) + 1))
    np.add.at(counts, (asked, np.where(shown < 0, len(names), shown)), 1)
    rows = [(names[n], (row / row.sum()).tolist(), int(row.sum())) for n, row in enumerate(counts) if row.sum()]
    return Confusion(
        arms=arms,
        kind=kind,
        names=[*names, *(["none"] if counts[:, -1].any() else [])],
        rows=rows if len(names) <= LARGEST_MATRIX else [],
        share=float((asked == shown).mean()),
        real_share=float((real[:, 0] == real[:, 1]).mean()) if len(real) else None,
        n=len(pairs),
    )
