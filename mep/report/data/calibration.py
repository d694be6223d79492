"""What a calibration says, in sentences: from which dose on metrics notice harm, and to what they are blind."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mep.artifacts import Calibration
from mep.config import Config
from mep.evaluation.calibration import first_noticed
from mep.imaging.degradations import KINDS
from mep.report.data.artifacts import UNREADABLE
from mep.report.text import listed
from mep.store import Store

HEADLINE = "kid"
"""The metric that a sentence is about."""


@dataclass(frozen=True)
class Finding:
    """What one metric makes of one kind of harm.

    dose        from which on it is noticed; None where the strongest is not
    always      whether the weakest is noticed already
    misled      whether the harmed images are called better, at some dose that is noticed
    """

    extractor: str
    metric: str
    harm: str
    dose: float | None
    always: bool
    misled: bool

    @property
    def told(self) -> str:
        """In words: `blur from 0.62 px`."""
        change = KINDS[self.harm]
        assert self.dose is not None
        return f"{self.harm} at every dose tried" if self.always else change.told(self.dose)

    @property
    def cell(self) -> str:
        """In a table: the dose, with ≤ or ≥ where the weakest is noticed already; - where none is."""
        if self.dose is None:
            return "-"
        change = KINDS[self.harm]
        rises = change.strength(2.0) > change.strength(1.0)
        return f"{'' if not self.always else '≤' if rises else '≥'}{change.number(self.dose)}{'!' * self.misled}"


def findings(calibration: Calibration) -> list[Finding]:
    """By extractor, kind of harm and metric, in the order of the calibration."""
    grouped: dict[tuple[str, str, str], list[int]] = {}
    for place, effect in enumerate(calibration.effects):
        grouped.setdefault((effect.extractor, effect.metric, effect.harm), []).append(place)
    found = []
    for (extractor, metric, harm), places in grouped.items():
        effects = [calibration.effects[place] for place in places]
        always = all(effect.noticed for effect in effects)
        misled = any(effect.misled for effect in effects)
        found.append(Finding(extractor, metric, harm, first_noticed(effects, KINDS[harm]), always, misled))
    order = list(KINDS)
    return sorted(found, key=lambda one: order.index(one.harm))


def sentences(calibration: Calibration) -> list[str]:
    """What every extractor sees and does not see, a sentence or two each; else why nothing is known."""
    found = findings(calibration)
    if not found:
        return [f"Not calibrated: {reason}." for reason in calibration.left_out[:1]]
    lines = []
    for extractor in dict.fromkeys(effect.extractor for effect in calibration.effects):
        of_extractor = [one for one in found if one.extractor == extractor]
        lines.append(_sight(extractor, calibration.n, of_extractor))
        lines += _errors(extractor, of_extractor)
    return lines


def _sight(extractor: str, n: int, found: Sequence[Finding]) -> str:
    headline = [one for one in found if one.metric == HEADLINE]
    seen = [one.told for one in headline if one.dose is not None]
    unseen = [_unseen(one, found) for one in headline if one.dose is None]
    notices = f"{HEADLINE} notices {listed(seen)}" if seen else f"{HEADLINE} notices none of the harm that was tried"
    blind = f"; it is blind to {listed(unseen)}" if unseen and seen else ""
    return f"{extractor} at n = {n}: {notices}{blind}."


def _unseen(missed: Finding, found: Sequence[Finding]) -> str:
    """A kind of harm, and which other metrics notice it."""
    others = [one.metric for one in found if one.harm == missed.harm and one.dose is not None and not one.misled]
    return f"{missed.harm} ({listed(others)} {'are' if len(others) > 1 else 'is'} not)" if others else missed.harm


def _errors(extractor: str, found: Sequence[Finding]) -> Iterator[str]:
    """Metrics that call harmed images better."""
    misled: dict[str, list[str]] = {}
    for one in found:
        if one.misled:
            misled.setdefault(one.metric, []).append(one.harm)
    if misled:
        cases = "; ".join(f"{metric} gets better with {listed(harms)}" for metric, harms in misled.items())
        yield f"{extractor} is misled: {cases}."


def calibrations(store: Store, run_ids: Sequence[str]) -> list[Calibration]:
    """Those that the runs used and that are still there, each once."""
    marks = ", ".join("?" * len(run_ids))
    rows = store.db.query(
        f"SELECT DISTINCT artifact_id FROM uses WHERE stage = 'calibration' AND run_id IN ({marks})", *run_ids
    )
    found = []
    for row in rows:
        try:
            found.append(store.load(Calibration, row["artifact_id"], Config()))
        except UNREADABLE:
            continue
    return found


def blind_spots(store: Store, run_ids: Sequence[str]) -> list[str]:
    """What the instruments of some runs see and to what they are blind, each sentence once."""
    return list(dict.fromkeys(line for one in calibrations(store, run_ids) for line in sentences(one)))
