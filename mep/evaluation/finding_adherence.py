"""Rows of adherence finding by finding: is each of them shown where it was asked for, whatever else is?"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mep.artifacts import Assignment
from mep.artifacts.findings import Findings
from mep.artifacts.score_row import Counts, Missing, Null, Reason, ScoreProtocol
from mep.evaluation.adherence import SUBJECTS, slides_of
from mep.evaluation.measurement import Comparison, Measurement, Scored, measure
from mep.evaluation.space import n_groups
from mep.evaluation.uncertainty import EvaluationSettings
from mep.methods.scores.adherence import WANTED_LABEL, FindingAdherence


@dataclass(frozen=True)
class FindingRows:
    """What all rows have in common; nothing is told where images have one label."""

    assignment: Assignment
    findings: Findings
    settings: EvaluationSettings
    protocol: ScoreProtocol
    flags: tuple[str, ...]

    def rows(self, *, each: bool) -> Iterator[Scored]:
        """The mean over the findings that captions ask for, then each of these where that is wanted."""
        wanted = self._wanted("samples")
        asked = [name for name in self.assignment.findings if self._asked(wanted, [name]).any()]
        if not asked:
            return
        groups = {"all": asked} | ({f"label={name}": [name] for name in asked} if each else {})
        for group, names in groups.items():
            for subject in SUBJECTS:
                if subject in self.assignment.parts:
                    yield from self._rows_of(subject, names, group)

    def _wanted(self, subject: str) -> NDArray[np.int64]:
        """int64 (n,) number of the label that each image should show; -1 for one that nothing was asked of."""
        return self.assignment.parts[subject][:, WANTED_LABEL]

    def _asked(self, wanted: NDArray[np.int64], names: Sequence[str]) -> NDArray[np.float64]:
        """float64 (n, f), 1 where a label has a finding; without the images that nothing was asked of."""
        shown = self.findings.shown(self.assignment.label_names)
        columns = [self.findings.names.index(name) for name in names]
        return shown[wanted[wanted >= 0]][:, columns].astype(np.float64)

    def _rows_of(self, subject: str, names: Sequence[str], group: str) -> Iterator[Scored]:
        score, wanted = FindingAdherence(findings=tuple(names)), self._wanted(subject)
        asked = self._asked(wanted, names)
        probable = np.stack([self.assignment.findings[name][subject] for name in names], axis=1)
        pairs = np.concatenate([asked, probable[wanted >= 0]], axis=1)
        slides = None if subject == "samples" else slides_of(self.assignment)
        slides = None if slides is None else slides[wanted >= 0]
        protocol = replace(self.protocol, seed=self.settings.seed)
        chance = score.null(pairs, pairs, None, seed=self.settings.seed)
        measured = measure([score], pairs, pairs, self.settings, slides, paired=slides is not None)[0]
        for metric, measurement in measured.items():
            n = int(asked.any(axis=1).sum()) if metric == "finding_adherence" else len(asked)
            counts = Counts(len(self._wanted("heldout")), n, len(self._wanted("heldout")), n, n_groups(slides))
            comparison = Comparison(subject, counts, protocol, group=group, flags=self.flags)
            measurement = _explained(measurement, asked, names, subject)
            yield comparison.scored(score, metric, measurement, Null.of(measurement.missing or chance[metric]))


def _explained(measurement: Measurement, asked: NDArray[np.float64], names: Sequence[str], subject: str) -> Measurement:
    """A measurement that says why there is none."""
    if measurement.estimate.value is not None:
        return measurement
    never = [name for name, column in zip(names, asked.T, strict=True) if not column.any()]
    always = [name for name, column in zip(names, asked.T, strict=True) if column.all()]
    which = f"no image shows {never[0]}" if never else f"all images show {always[0]}"
    if subject == "samples":
        which = f"all captions ask for {always[0]}" if always else f"no caption asks for {never[0]}"
    return replace(measurement, missing=Missing(Reason.NO_VALUE, which))
