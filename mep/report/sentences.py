"""What the numbers say, in a few plain sentences."""

from mep.report.table import REFERENCES, Comparison, Row
from mep.report.text import difference_text, interval_text, listed
from mep.uncertainty import Difference

HEADLINE = "fd"


def verdict(found: Comparison) -> list[str]:
    """Sentences on the headline: the first extractor's Fréchet distance, or the first metric where there is none."""
    rows = [row for row in found.rows if row.group == "all"]
    if not rows:
        return [f"Nothing can be compared yet: the run is {found.state}, and no arm has metrics."]
    row = next((row for row in rows if row.metric == HEADLINE), rows[0])
    sentences = _one(row) if len(row.arms) == 1 else _several(row, found)
    if lacking := [arm for arm in found.arms if arm not in row.arms]:
        sentences.append(f"{listed(lacking)} {'has' if len(lacking) == 1 else 'have'} no metrics yet.")
    if row.metric == HEADLINE and row.flagged:
        sentences.append("There are too few images for a distance in so many dimensions: take it for a first look.")
    return sentences


def _one(row: Row) -> list[str]:
    """A single arm has only real images and reconstructions to be held against."""
    arm, number = next(iter(row.arms.items()))
    return [f"{arm} has a {row.name} to held-out images of {number.text}{_unit(row)}.", *_beside(row)]


def _several(row: Row, found: Comparison) -> list[str]:
    if not row.best:
        listing = listed([f"{arm} {number.text}" for arm, number in row.arms.items()])
        why = next(iter(row.refusals.values()))
        return [f"The arms cannot be compared: {why}.", f"{_heading(row)}: {listing}."]
    if found.baseline not in row.arms:
        listing = listed([f"{arm} {number.text}" for arm, number in row.arms.items()])
        return [f"{_heading(row)}: {listing}.", *_beside(row)]
    measured = {arm: number.value for arm, number in row.arms.items() if number.value is not None}
    others = {arm: value for arm, value in measured.items() if arm != found.baseline}
    arm = (min if row.better == "lower" else max)(others, key=lambda name: others[name])
    sentences = [_pair(row, arm, found.baseline)]
    if len(others) > 1:
        sentences.append(
            f"{arm} is the best of {len(others)} arms beside the baseline, picked after they were measured; "
            "its interval does not allow for that."
        )
    return [*sentences, *_other_numbers(found, row, arm), *_beside(row), _seeds(found)]


def _pair(row: Row, arm: str, baseline: str) -> str:
    """An arm against the baseline: a clear difference, one that may be none, or one without an interval."""
    own, base = row.arms[arm].text, row.arms[baseline].text
    delta = row.differences.get(arm)
    if delta is None:
        return f"{_heading(row)}: {arm} {own}, {baseline} {base}; there is no interval, because {row.refusals[arm]}."
    if delta.value == 0 and delta.se == 0:
        return f"{arm} and {baseline} have the same {row.name} to held-out images, {own}{_unit(row)}."
    told = f"a difference of {difference_text(delta, row.scale)} (95 % interval {interval_text(delta, row.scale)})"
    if not is_clear(delta):
        return (
            f"{arm} and {baseline} cannot be told apart by the {row.name} to held-out images: {own} against "
            f"{base}{_unit(row)}, {told} that includes zero."
        )
    if is_better(delta, row):
        return f"{arm} has the {row.better} {row.name} to held-out images: {own} against {base}{_unit(row)}, {told}."
    return (
        f"{baseline} has the {row.better} {row.name} to held-out images: {base} against {own}{_unit(row)} of "
        f"{arm}, {told} of {arm} to {baseline}."
    )


def is_clear(delta: Difference) -> bool:
    """Whether the interval leaves zero out."""
    return not delta.low <= 0 <= delta.high


def is_better(delta: Difference, row: Row) -> bool:
    """Whether a difference to the baseline is for the better, clear or not."""
    return delta.value < 0 if row.better == "lower" else delta.value > 0


def _other_numbers(found: Comparison, headline: Row, arm: str) -> list[str]:
    """How the other numbers of the same pair fall, so that the headline does not stand for all of them."""
    rows = [row for row in found.rows if row is not headline and arm in row.differences]
    clear = [row for row in rows if is_clear(row.differences[arm])]
    better = sum(is_better(row.differences[arm], row) for row in clear)
    counts = {f"clearly for {arm}": better, f"clearly for {found.baseline}": len(clear) - better}
    told = [f"{count} {what}" for what, count in (counts | {"open": len(rows) - len(clear)}).items() if count]
    return [f"The {len(rows)} other number{'s' * (len(rows) > 1)}: {listed(told)}."] if rows else []


def _seeds(found: Comparison) -> str:
    """What training runs with one seed can and cannot show."""
    if "seed" in found.fields:
        return "Arms of other seeds are other training runs: their spread, not these intervals, speaks of the method."
    return "One training seed per arm: this compares two image sets, not yet two methods."


def _beside(row: Row) -> list[str]:
    """What real images and the autoencoder reach."""
    told = [
        f"{title} reach {number.text}" if title.startswith(REFERENCES["train"]) else f"the {title} is {number.text}"
        for title, number in row.references.items()
    ]
    return [f"For scale: {listed(told)}."] if told else []


def _heading(row: Row) -> str:
    return f"{row.name[0].upper()}{row.name[1:]} to held-out images{_unit(row)}"


def _unit(row: Row) -> str:
    return " (×10³)" if row.scale == 1000 else ""
