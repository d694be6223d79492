"""Rows of the stage `privacy`: every number of an attack with its interval and its whole protocol.

n_real counts held-out images, n_fake training images that they are told from.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from mep.artifacts.score_row import Counts, Estimate, Matching, Null, Reason, ScoreProtocol, ScoreRow
from mep.evaluation.measurement import few_groups
from mep.stages.privacy.asked import HELD_OUT, MEMBER, Asked
from mep.stages.privacy.attack import RATES, Finding

METRICS = {"loss": "membership_loss", "calibrated": "membership_calibrated", "nearest": "membership_nearest"}
"""Attack -> its metric: the area under its ROC curve."""
ENDS = ("", "_excess", *RATES)


@dataclass(eq=False)
class Rows:
    """Rows, made from one template, and for each the number on every resample."""

    template: ScoreRow
    n_resamples: int
    rows: list[ScoreRow] = field(default_factory=list)
    resampled: list[NDArray[np.float64]] = field(default_factory=list)

    def add(self, attack: str, protocol: ScoreProtocol, found: Mapping[str, Finding]) -> None:
        """What an attack found, and what it could not."""
        for end in ENDS:
            if end in found:
                finding = found[end]
                null = Null(finding.chance, None if finding.chance is not None else finding.why)
                flags = [] if finding.estimate.se is not None else ["no_spread"]
                self._add(f"{METRICS[attack]}{end}", protocol, finding.estimate, null, finding.resampled, *flags)
            elif end in RATES:
                n = self.template.counts.n_real
                why = f"of {n} held-out images {RATES[end]:.0%} is not one"
                self._refuse(f"{METRICS[attack]}{end}", protocol, why, Reason.TOO_FEW)

    def refuse(self, attack: str, protocol: ScoreProtocol, why: str, reason: Reason = Reason.NO_VALUE) -> None:
        """A row without a number, that says why an attack was not tried."""
        self._refuse(METRICS[attack], protocol, why, reason)

    def _refuse(self, metric: str, protocol: ScoreProtocol, why: str, reason: Reason) -> None:
        absent = np.full(self.n_resamples, np.nan)
        self._add(metric, protocol, Estimate(), Null(None, why), absent, reason.value, reason=why)

    def _add(
        self,
        metric: str,
        protocol: ScoreProtocol,
        estimate: Estimate,
        null: Null,
        resampled: NDArray[np.float64],
        *flags: str,
        reason: str | None = None,
    ) -> None:
        given = [*self.template.flags, *flags, *(["few_groups"] if few_groups(self.template.counts) else [])]
        row = replace(self.template, metric=metric, protocol=protocol, estimate=estimate, null=null, flags=given)
        self.rows.append(replace(row, reason=reason))
        self.resampled.append(resampled)

    def halves(self) -> NDArray[np.float64]:
        """float64 (rows, resamples)"""
        return np.stack(self.resampled) if self.rows else np.zeros((0, self.n_resamples))


def template_of(asked: Asked, n_held_out: int, n_trained: int, grouped: bool, version: str) -> ScoreRow:
    """A row with what all rows share."""
    n_groups = len(np.unique(asked.groups)) if grouped else None
    counts = Counts(asked.count(HELD_OUT), asked.count(MEMBER), n_held_out, n_trained, n_groups)
    matching = Matching(list(asked.matched_by), asked.digest, 0.0)
    return ScoreRow("", "samples", better="lower", reference="train", counts=counts, version=version, matching=matching)
