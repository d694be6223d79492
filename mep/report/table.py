"""The comparison: every metric of every arm, the difference to the baseline, and what the numbers rest on."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mep.artifacts import Scores
from mep.config import canonical_json
from mep.report.data import ArmReport, RunReport
from mep.report.text import listed, plain, rounded, rounded_error
from mep.uncertainty import Difference, difference

MEASURED = "samples"
REFERENCES = {"train": "real training images", "floor": "autoencoder floor"}
"""Subjects that are no arm's images -> what tables call them."""

NAMES = {
    "fd": "Fréchet distance",
    "kid": "kernel distance",
    "precision": "precision",
    "recall": "recall",
    "density": "density",
    "coverage": "coverage",
}
SCALES = {"kid": 1000}
"""Metric -> factor in tables."""

ARROWS = {"lower": "↓", "higher": "↑"}

PROTOCOL = {
    "digest": "the weights of the extractor",
    "eval_resolution": "the resolution",
    "n_real": "the number of real images",
    "n_fake": "the number of generated images",
    "settings": "the settings of the score",
}
"""What two numbers must share to be compared -> what to call it."""

EXTRACTORS = {
    "random_conv": "a network with seeded random weights, after Naeem et al. 2020 (arXiv:2002.09797). Its distances "
    "are not comparable with published FID values, which is why the metric is called fd and not fid",
    "handcrafted": "histograms of colour and texture. Its distances are not comparable with published FID values, "
    "which is why the metric is called fd and not fid",
}
"""Extractor -> what a reader of its numbers has to know."""

FLAGS = {
    "rank_deficient": "as many feature dimensions as images or more: the Fréchet distance then tells more about the "
    "number of images than about the images",
    "too_few_images": "too few images for this score, and an honest gap is better than a wrong number",
}


@dataclass(frozen=True)
class Number:
    """A score as it was stored, and as tables show it."""

    value: float | None
    se: float | None
    text: str
    se_text: str
    n_real: int
    n_fake: int
    flags: tuple[str, ...]


@dataclass(frozen=True)
class Row:
    """One metric in one feature space.

    arms            arm -> number; arms that have none are absent
    references      title of the reference -> number
    differences     arm -> arm minus baseline, in the metric's own unit
    refusals        arm -> why no difference is given
    best            arms with the best value, where the values may be compared
    """

    extractor: str
    metric: str
    group: str
    better: str
    scale: float
    arms: dict[str, Number]
    references: dict[str, Number]
    differences: dict[str, Difference]
    refusals: dict[str, str]
    best: frozenset[str]

    @property
    def name(self) -> str:
        """Long name: Fréchet distance."""
        return NAMES.get(self.metric, self.metric) + ("" if self.group == "all" else f" of {self.group}")

    @property
    def title(self) -> str:
        """Heading in a table: `kid ×10³ ↓`."""
        group = "" if self.group == "all" else f" ({self.group})"
        unit = " ×10³" if self.scale == 1000 else ""
        return f"{plain(self.metric)}{plain(group)}{unit} {ARROWS[self.better]}" + ("†" if self.flagged else "")

    @property
    def flagged(self) -> bool:
        """Whether some number of the row carries a flag that touches this metric."""
        return any(flag != "rank_deficient" or self.metric == "fd" for one in self.arms.values() for flag in one.flags)


@dataclass(frozen=True)
class Comparison:
    """The arms of a run side by side; the first is the baseline.

    fields      recipe field -> arm -> value, for fields that are not the same in all arms
    references  titles of the reference columns
    missing     arm -> stages that have no artifact; complete arms are absent
    notes       what the numbers rest on, a sentence or two each
    """

    run_id: str
    name: str
    state: str
    arms: list[str]
    fields: dict[str, dict[str, Any]]
    references: list[str]
    rows: list[Row]
    missing: dict[str, list[str]]
    notes: list[str]

    @property
    def baseline(self) -> str:
        return self.arms[0]

    @property
    def has_differences(self) -> bool:
        return any(row.differences for row in self.rows)

    @property
    def extractors(self) -> list[str]:
        return list(dict.fromkeys(row.extractor for row in self.rows))


@dataclass(frozen=True, eq=False)
class _Entry:
    """A row of `Scores`, the halves behind it, and the dataset that its real images came from."""

    row: dict[str, Any]
    halves: Any
    dataset: str


Key = tuple[str, str, str]
"""Extractor, metric, group."""


def comparison(report: RunReport) -> Comparison:
    """What the scores of all arms say beside each other."""
    entries = {arm.name: _entries(arm) for arm in report.arms}
    titles = _reference_titles(entries)
    keys = dict.fromkeys(key[1:] for arm in entries.values() for key in arm if key[0] == MEASURED)
    names = [arm.name for arm in report.arms]
    rows = [_row(key, names, entries, titles) for key in keys]
    return Comparison(
        run_id=report.run_id,
        name=report.name,
        state=report.state,
        arms=names,
        fields=_fields(report.arms),
        references=list(dict.fromkeys(titles.values())),
        rows=rows,
        missing={arm.name: arm.missing for arm in report.arms if arm.missing},
        notes=list(_notes(rows, names, entries)),
    )


Entries = dict[tuple[str, str, str, str], _Entry]
"""Subject, extractor, metric, group -> entry."""


def _entries(arm: ArmReport) -> Entries:
    scores, dataset = arm.get(Scores), arm.artifact_ids.get("dataset", "")
    if scores is None:
        return {}
    return {
        (row["subject"], row["extractor"], row["metric"], row["group"]): _Entry(row, halves, dataset)
        for row, halves in zip(scores.rows, scores.halves, strict=True)
        if row["reference"] == "heldout" and row["group"] == "all" and not row["metric"].endswith(("_null", "_gap"))
    }


def _reference_titles(entries: dict[str, Entries]) -> dict[tuple[str, str], str]:
    """(arm, subject) -> title of its column: one column for all arms in which the numbers are the same."""
    titles = {}
    for subject, title in REFERENCES.items():
        values: dict[str, list[str]] = {}
        for arm, found in entries.items():
            own = {canonical_json(key): entry.row["value"] for key, entry in found.items() if key[0] == subject}
            if own:
                values.setdefault(canonical_json(own), []).append(arm)
        for arms in values.values():
            for arm in arms:
                titles[arm, subject] = title if len(values) == 1 else f"{title} ({', '.join(arms)})"
    return titles


def _row(key: Key, names: list[str], entries: dict[str, Entries], titles: dict[tuple[str, str], str]) -> Row:
    found = {arm: entries[arm][MEASURED, *key] for arm in names if (MEASURED, *key) in entries[arm]}
    scale = SCALES.get(key[1], 1)
    differences: dict[str, Difference] = {}
    refusals: dict[str, str] = {}
    baseline = found.get(names[0])
    for arm in names[1:]:
        why = _refusal(found.get(arm), baseline)
        if why or arm not in found or baseline is None:
            refusals[arm] = why
        else:
            own = found[arm]
            differences[arm] = difference(own.halves, baseline.halves, own.row["value"], baseline.row["value"])
    first = next(iter(found.values()))
    return Row(
        extractor=key[0],
        metric=key[1],
        group=key[2],
        better=first.row["better"],
        scale=scale,
        arms={arm: _number(entry, scale) for arm, entry in found.items()},
        references={
            title: _number(entries[arm][subject, *key], scale)
            for (arm, subject), title in titles.items()
            if (subject, *key) in entries[arm]
        },
        differences=differences,
        refusals=refusals,
        best=_best(found),
    )


def _number(entry: _Entry, scale: float) -> Number:
    value, se = entry.row["value"], entry.row["se"]
    return Number(
        value=value,
        se=se,
        text="–" if value is None else rounded(value * scale, se * scale if se is not None else None),
        se_text="" if se is None else rounded_error(se * scale),
        n_real=entry.row["n_real"],
        n_fake=entry.row["n_fake"],
        flags=tuple(entry.row["flags"]),
    )


def _best(found: dict[str, _Entry]) -> frozenset[str]:
    """Arms with the best value; none where there is nothing to compare, or the numbers were not made alike."""
    first, *others = found.values()
    if not others or any(_unlike(entry, first) for entry in others):
        return frozenset()
    if any(entry.row["value"] is None for entry in found.values()):
        return frozenset()
    choose = min if first.row["better"] == "lower" else max
    best = choose(entry.row["value"] for entry in found.values())
    return frozenset(arm for arm, entry in found.items() if entry.row["value"] == best)


def _refusal(own: _Entry | None, baseline: _Entry | None) -> str:
    """Why two numbers have no difference with an interval; empty where they have one."""
    if own is None or baseline is None:
        return "one of them has no such number"
    if unlike := _unlike(own, baseline):
        return unlike
    if own.row["seed"] != baseline.row["seed"]:
        return "they differ in the seed, and so in the halves of the real images"
    if own.row["value"] is None or baseline.row["value"] is None:
        return "there are too few images"
    if own.row["se"] is None or baseline.row["se"] is None:
        return "there are too few images for halves"
    return ""


def _unlike(own: _Entry, baseline: _Entry) -> str:
    """Why two numbers cannot be compared at all; empty where they can."""
    if own.dataset != baseline.dataset:
        return "they differ in the real images"
    unlike = [words for name, words in PROTOCOL.items() if own.row[name] != baseline.row[name]]
    return f"they differ in {listed(unlike)}" if unlike else ""


def _fields(arms: list[ArmReport]) -> dict[str, dict[str, Any]]:
    """Recipe fields that are not the same in all arms."""
    values = {arm.name: dict(leaves(arm.experiment.model_dump(mode="json"))) for arm in arms}
    fields = dict.fromkeys(field for own in values.values() for field in own)
    found = {field: {arm: own.get(field) for arm, own in values.items()} for field in fields}
    return {field: own for field, own in found.items() if len({canonical_json(value) for value in own.values()}) > 1}


def leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted field, value) of everything in nested sections."""
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from leaves(item, f"{name}.{key}" if name else str(key))
    else:
        yield name, value


def _notes(rows: list[Row], names: list[str], entries: dict[str, Entries]) -> Iterator[str]:
    if not rows:
        return
    yield from _protocol_notes(rows, entries)
    yield from _reference_notes(rows)
    errors = [number for row in rows for number in row.arms.values() if number.se is not None]
    if errors:
        n_halves = next(len(entry.halves) for arm in entries.values() for entry in arm.values())
        yield (
            f"± is one standard error and intervals are of 95 %, by a delete-half jackknife with {n_halves} halves. "
            "They say whether two sets of images differ; one training seed cannot support a claim about the method."
        )
    if any(row.best for row in rows):
        yield "Bold: the best arm. ↓ lower is better, ↑ higher is better."
    else:
        yield "↓ lower is better, ↑ higher is better."
    if any(row.scale == 1000 for row in rows):
        yield "kid is shown times 1000; it is unbiased, so that it may be negative."
    for flag in dict.fromkeys(flag for row in rows for number in row.arms.values() for flag in number.flags):
        if any(row.flagged and flag in number.flags for row in rows for number in row.arms.values()):
            yield f"† {plain(flag)}: {FLAGS.get(flag, 'flagged by the metric')}."
    yield from _refusal_notes(rows, names)


def _protocol_notes(rows: list[Row], entries: dict[str, Entries]) -> Iterator[str]:
    sizes: dict[tuple[int, int], list[str]] = {}
    for arm, number in ((arm, number) for row in rows for arm, number in row.arms.items()):
        arms = sizes.setdefault((number.n_real, number.n_fake), [])
        arms.extend([arm] if arm not in arms else [])
    if len(sizes) == 1:
        n_real, n_fake = next(iter(sizes))
        yield f"Every number compares {n_fake} generated images with {n_real} held-out real ones (n_fake and n_real)."
    else:
        listing = "; ".join(f"{listed(arms)} {n_fake} with {n_real}" for (n_real, n_fake), arms in sizes.items())
        yield f"Generated images compared with held-out real ones (n_fake and n_real): {listing}."
    seen = set()
    for own in entries.values():
        for row in (entry.row for entry in own.values()):
            if (known := (row["extractor"], row["digest"], row["eval_resolution"])) not in seen:
                seen.add(known)
                about = EXTRACTORS.get(row["extractor"], "its numbers compare only with those of the same weights")
                yield (
                    f"{plain(row['extractor'])} ({row['d']} dimensions, images at {row['eval_resolution']} px, digest "
                    f"{row['digest'][:8]}): {about}."
                )


def _reference_notes(rows: list[Row]) -> Iterator[str]:
    titles = {title for row in rows for title in row.references}
    if any(title.startswith(REFERENCES["train"]) for title in titles):
        yield (
            "Real training images: what real images reach against the held-out ones, at the same number of images. A "
            "perfect model would come out about there, and not at zero."
        )
    if any(title.startswith(REFERENCES["floor"]) for title in titles):
        yield (
            "Autoencoder floor: the held-out images after a pass through the autoencoder, about the best that a model "
            "on this autoencoder can draw."
        )


def _refusal_notes(rows: list[Row], names: list[str]) -> Iterator[str]:
    """Every reason once, with the metrics that it concerns."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        for arm, why in row.refusals.items():
            reasons.setdefault((arm, why), []).append(row.metric)
    for (arm, why), metrics in reasons.items():
        concerned = "" if len(metrics) == len(rows) else f" in {listed(list(dict.fromkeys(metrics)))}"
        yield f"No difference is given for {arm} and {names[0]}{concerned}: {why}."
