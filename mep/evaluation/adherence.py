"""Rows of adherence: of the samples, part by part too, of real images at the model's resolution, slide by slide too,
and of these after the autoencoder."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mep.artifacts import Assignment
from mep.artifacts.score_row import Counts, Missing, Null, Reason, ScoreProtocol
from mep.evaluation.groups import GroupKeys
from mep.evaluation.measurement import Comparison, Measurement, Scored, measure
from mep.evaluation.space import n_groups
from mep.evaluation.uncertainty import EvaluationSettings, Groups
from mep.methods.scores.adherence import Adherence, chances

SUBJECTS = ("samples", "heldout", "floor")
FEWEST_OF_A_SLIDE = 10
"""Held-out images of a slide or patient below which nothing is told of it."""


@dataclass(frozen=True)
class AdherenceRows:
    """What all rows have in common; `protocol` says how the images were looked at."""

    score: Adherence
    assignment: Assignment
    settings: EvaluationSettings
    protocol: ScoreProtocol
    flags: tuple[str, ...]

    def rows(self, keys: Mapping[str, GroupKeys]) -> Iterator[Scored]:
        """Of all images of a subject, then of the samples of every label, cluster and prompt that `keys` tell."""
        parts = self.assignment.parts
        for subject in SUBJECTS:
            if subject in parts:
                yield from self._rows_of(subject, parts[subject].astype(np.float64), "all")
        samples = parts["samples"].astype(np.float64)
        for kind, groups in keys.items():
            for name in groups.asked:
                yield from self._rows_of(
                    "samples", samples[[name in of_one for of_one in groups.fake]], f"{kind}={name}"
                )
        yield from self._rows_of_slides(parts["heldout"].astype(np.float64))

    def _rows_of_slides(self, held_out: NDArray[np.float64]) -> Iterator[Scored]:
        """Of the real images of every slide or patient that has enough: how well it is judged what they show.

        Scores leave the house and names of patients do not: slides go by their number among the names.
        """
        slides = slides_of(self.assignment)
        if slides is None:
            return
        for number in np.flatnonzero(np.bincount(slides) >= FEWEST_OF_A_SLIDE).tolist():
            yield from self._rows_of("heldout", held_out[slides == number], f"slide={number}")

    def _rows_of(self, subject: str, shown: NDArray[np.float64], group: str) -> Iterator[Scored]:
        """Rows of some images of a subject, float64 (n, 4); by chance they show what all of the subject show."""
        real, whole = (self.assignment.parts[part].astype(np.float64) for part in ("heldout", subject))
        slides = slides_of(self.assignment) if subject != "samples" and group == "all" else None
        counts = Counts(len(real), len(shown), len(real), len(shown), n_groups(slides))
        protocol = replace(self.protocol, seed=self.settings.seed)
        comparison = Comparison(subject, counts, protocol, group=group, flags=self.flags)
        expected = {} if self.assignment.unseen else chances(shown, whole)
        measured = measure([self.score], real, shown, self.settings, slides, paired=slides is not None)[0]
        for metric, measurement in measured.items():
            measurement = self._explained(subject, metric, measurement)
            null = expected.get(metric, measurement.missing or Missing(Reason.NO_VALUE, "nothing was asked for"))
            yield comparison.scored(self.score, metric, measurement, Null.of(null))

    def _explained(self, subject: str, metric: str, measurement: Measurement) -> Measurement:
        """A measurement that says why there is none."""
        if self.assignment.unseen:
            missing = Missing(Reason.NO_VALUE, self.assignment.unseen)
            return Measurement.absent(missing, self.settings.n_halves)
        if measurement.missing:
            wanted = "cluster" if metric.startswith("cluster") else "label"
            whose = "captions of these samples name" if subject == "samples" else "real images have"
            return replace(measurement, missing=Missing(Reason.NO_VALUE, f"the {whose} no {wanted}"))
        return measurement


def slides_of(assignment: Assignment) -> Groups | None:
    """The number of the slide or patient of every held-out image; None where no column names any."""
    if not assignment.slides:
        return None
    return np.unique(assignment.slides, return_inverse=True)[1].astype(np.int64)
