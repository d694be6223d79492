"""The assay: did the controls come out as they must? Only then the other arms are worth a look."""

from dataclasses import dataclass

from mep.evaluation.differences import FEWEST_SEEDS
from mep.recipe.controls import CONTROLS, RUN, Control, is_control
from mep.report.tables.comparison import Comparison, Delta, Metric
from mep.report.tables.overview import headline_of
from mep.report.tables.sheet import contrast_of
from mep.report.text import listed, plain, rounded

MUST: dict[Control, str] = {"negative": "no difference", "shuffled": "no difference", "positive": "better"}
"""What each control has to show against the baseline. The shuffled one does not decide whether the assay is valid."""
ABOUT: dict[Control, str] = {
    "negative": "the baseline again, from other seeds",
    "shuffled": "the same images, clusters in captions dealt out by lot",
    "positive": "the baseline with the truth in its captions",
}
"""What each control is."""
HEADINGS = ("control", "must show", "showed", "difference", "95 % interval", "p", "")


@dataclass(frozen=True)
class ControlRow:
    """One control in the headline metric.

    arm         label of its row in the comparison; empty where it has none
    must        what it has to show
    showed      what it showed, in two or three words
    difference, interval, p     to the baseline, as tables show them; empty where there are none
    passed      None where that cannot be told
    why         why it showed nothing, or nothing that counts
    """

    control: Control
    arm: str
    must: str
    showed: str
    difference: str = ""
    interval: str = ""
    p: str = ""
    passed: bool | None = None
    why: str = ""

    @property
    def told(self) -> str:
        """What it showed, and why no more."""
        return f"{self.showed}: {self.why}" if self.why else self.showed

    @property
    def cells(self) -> tuple[str, ...]:
        """Under `HEADINGS`."""
        outcome = {True: "passed", False: "failed", None: "open"}[self.passed]
        return self.control, self.must, self.told, self.difference, self.interval, self.p, outcome


@dataclass(frozen=True)
class Assay:
    """Whether this experiment finds what is there and nothing else; None where that cannot be told.

    sentence    the verdict in one sentence
    metric      what the controls were read from, empty where nothing was measured
    rows        one for each control that the recipe asks for
    """

    valid: bool | None
    sentence: str
    metric: str
    rows: list[ControlRow]


def assay_of(comparison: Comparison) -> Assay | None:
    """The controls of the baseline's run, read from the headline metric; None where the recipe asks for none.

    None as well where trainings are rows of their own: a control is judged over all of its trainings.
    """
    if not comparison.controls or comparison.trainings:
        return None
    measured = {metric.key: metric for metric in comparison.metrics if metric.arms}
    headline = headline_of(measured)
    metric = measured[headline] if headline else None
    rows = [_row(control, comparison, metric) for control in CONTROLS if control in comparison.controls]
    by_name = {row.control: row for row in rows}
    negative, positive = by_name.get("negative"), by_name.get("positive")
    wrong = [row for row in (negative, positive) if row and row.passed is False]
    valid = False if wrong else True if negative and positive and negative.passed and positive.passed else None
    if valid:
        sentence = _valid(rows)
    elif wrong:
        sentence = f"Assay not valid: {listed([_wrong(row) for row in wrong])}."
    else:
        sentence = f"Assay not judged: {_open(negative, positive)}."
    return Assay(valid, sentence, metric.name if metric else "", rows)


def _row(control: Control, comparison: Comparison, metric: Metric | None) -> ControlRow:
    fate, label = comparison.controls[control], _label(control, comparison)
    if fate != RUN:
        return ControlRow(control, label, MUST[control], "nothing" if label else "not run", why=fate)
    if metric is None or label not in metric.arms:
        return ControlRow(control, label, MUST[control], "no number yet")
    shown = contrast_of(metric, label)
    if shown.delta is None:
        why = shown.why or "it is not compared with the baseline"
        return ControlRow(control, label, MUST[control], "no interval", why=why)
    showed, passed, why = _outcome(control, shown.delta, metric)
    return ControlRow(control, label, MUST[control], showed, shown.difference, shown.interval, shown.p, passed, why)


def _label(control: Control, comparison: Comparison) -> str:
    """The row of a control in the run of the baseline."""
    run = comparison.members[comparison.baseline][0].rpartition("/")[0] if comparison.baseline else ""
    wanted = f"{run}/control-{control}"
    found = (label for label, members in comparison.members.items() if is_control(label) and members[0] == wanted)
    return next(found, "")


def _outcome(control: Control, delta: Delta, metric: Metric) -> tuple[str, bool | None, str]:
    showed = "no difference" if not delta.is_clear else "better" if metric.is_better(delta) else "worse"
    if not delta.speaks_of_methods:
        return f"{showed} so far", None, _too_few(delta)
    passed = showed == ("better" if control == "positive" else "no difference")
    smallest = rounded(delta.detectable * metric.scale, delta.detectable * metric.scale)
    return showed, passed, "" if passed or delta.is_clear else f"smallest that it could have seen is {smallest}"


def _too_few(delta: Delta) -> str:
    n = max(delta.n_pairs, 1)
    return f"{n} training{'s' * (n > 1)} an arm, at least {FEWEST_SEEDS} are needed"


def _valid(rows: list[ControlRow]) -> str:
    of = {row.control: row for row in rows}
    positive, negative = (f"{row.difference}, {row.interval}" for row in (of["positive"], of["negative"]))
    sentence = f"Assay valid: it finds the positive control ({positive}) and nothing in the negative one ({negative})"
    shuffled = of.get("shuffled")
    if shuffled is None or shuffled.passed is None:
        return f"{sentence}."
    if shuffled.passed:
        return f"{sentence}; longer captions alone change nothing."
    return f"{sentence}; longer captions alone are {shuffled.showed}, so compare with {plain(shuffled.arm)}."


def _wrong(row: ControlRow) -> str:
    if row.control == "negative":
        return f"it finds a difference where there is none ({row.difference}, the baseline from other seeds)"
    if row.showed == "worse":
        return f"captions with the truth are worse ({row.difference})"
    blind = "so it can tell no small difference from none"
    return f"it misses the positive control ({row.difference}, the {row.why}), {blind}"


def _open(negative: ControlRow | None, positive: ControlRow | None) -> str:
    """Why it cannot be told, in the order of what a reader can do about it."""
    for name, row in (("negative", negative), ("positive", positive)):
        if row is None:
            return f"the recipe has no {name} control"
        if row.passed is None:
            return f"{name} control {row.told}"
    raise AssertionError("both are judged")
