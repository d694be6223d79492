"""Whether arms differ in what the recipe varies and in nothing else: what each of them saw, and how often."""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from mep.artifacts import Prompts, Samples, TrainingSet
from mep.config import Config
from mep.recipe.model import repeat_of
from mep.report.data.arms import Arm, FieldValues, differing_fields
from mep.report.data.artifacts import UNREADABLE
from mep.report.text import listed, plain
from mep.store import Store

Shares = dict[str, float]
"""The name of a label or a cluster -> its share; empty where none is named."""

MOST_ARMS = 20
"""Arms whose artifacts are read; a comparison of more is about something else."""
ALIKE = 0.02
"""Total variation up to which two mixes count as one: two images in a hundred."""
LISTED = 6
"""Shares that are named; of more only how many there are, and the smallest and the largest."""


@dataclass(frozen=True)
class Check:
    """One thing that arms may differ in.

    values      label of the arm -> what it is there
    is_alike    whether all arms have the same
    is_varied   whether a field that sets it is not the same in all arms: the recipe asks for it
    detail      what a sentence says of the difference
    """

    what: str
    values: dict[str, str]
    is_alike: bool
    is_varied: bool
    detail: str = ""

    @property
    def is_stray(self) -> bool:
        """Whether arms differ in it though no arm asks for that."""
        return not self.is_alike and not self.is_varied


@dataclass(frozen=True)
class Controlled:
    """What arms differ in, and the answer in a sentence."""

    checks: list[Check]
    sentence: str

    @property
    def holds(self) -> bool:
        return not any(check.is_stray for check in self.checks)


@dataclass(frozen=True, eq=False)
class Exposure:
    """What an arm was shown, how often, and what it was asked to draw; 0 and empty where it is not known."""

    images: frozenset[str]
    labels: Shares
    clusters: Shares
    steps: int
    batch: int
    n_prompts: int
    made_labels: Shares
    made_clusters: Shares


def controlled(store: Store, arms: Sequence[Arm]) -> Controlled | None:
    """What differs between arms beside what the recipe varies; None where fewer than two have training images.

    Repeats of an arm are left out: they were shown what the first was.
    """
    first = [arm for arm in arms if repeat_of(arm.name)[1] == 1]
    if not 1 < len(first) <= MOST_ARMS:
        return None
    shown = {arm.label: exposure for arm in first if (exposure := exposure_of(store, arm)) is not None}
    labels = {arm.label for arm in first}
    fields = {
        field: {label: value for label, value in values.items() if label in labels}
        for field, values in differing_fields(store, arms).items()
    }
    said = verdict_on(shown, fields) if len(shown) > 1 else None
    if elsewhere := [plain(arm.label) for arm in first if arm.elsewhere]:
        was, it = ("were", "they") if len(elsewhere) > 1 else ("was", "it")
        unknown = f"{listed(elsewhere)} {was} made elsewhere: what images {it} saw, and how often, is not known here."
        return replace(said, sentence=f"{said.sentence} {unknown}") if said else Controlled([], unknown)
    return said


def verdict_on(shown: Mapping[str, Exposure], fields: FieldValues) -> Controlled:
    """The checks of arms that were shown this, where the recipe has these fields that are not the same in all arms."""

    def check(what: str, value: Callable[[Exposure], str], is_alike: bool, *set_by: str, detail: str = "") -> Check:
        values = {label: value(exposure) for label, exposure in shown.items()}
        is_varied = any(field.startswith(set_by) for field in fields)
        return Check(what, values, is_alike, is_varied, detail or listed(list(dict.fromkeys(values.values()))))

    def same(value: Callable[[Exposure], Hashable]) -> bool:
        return len({value(exposure) for exposure in shown.values()}) == 1

    def alike(mix: Callable[[Exposure], Shares]) -> bool:
        named = [shares for exposure in shown.values() if (shares := mix(exposure))]
        return all(_variation(named[0], shares) <= ALIKE for shares in named[1:])

    picked, steps = ("dataset.", "balancing.", "outliers."), ("training.steps", "training.global_batch_size")
    common = frozenset.intersection(*(exposure.images for exposure in shown.values()))
    numbers = listed([f"{len(exposure.images):,}" for exposure in shown.values()])
    checks = [
        check(
            "training images",
            lambda arm: f"{len(arm.images):,}",
            same(lambda arm: arm.images),
            *picked,
            detail=f"{numbers}, of which {len(common):,} in common",
        ),
        check("labels of the training images", lambda arm: _mix(arm.labels), alike(lambda arm: arm.labels), *picked),
        check(
            *("clusters of the training images", lambda arm: _mix(arm.clusters), alike(lambda arm: arm.clusters)),
            *(*picked, "clustering.", "embedding."),
        ),
        check("training steps", lambda arm: f"{arm.steps:,}", same(lambda arm: arm.steps), *steps),
        check("images per step", lambda arm: f"{arm.batch:,}", same(lambda arm: arm.batch), *steps),
        check("images seen per prompt", _per_prompt, same(_per_prompt), "prompts.", "controls.", *steps),
        check(
            *("labels of the generated images", lambda arm: _mix(arm.made_labels), alike(lambda arm: arm.made_labels)),
            *("generation.", "prompts."),
        ),
        check(
            "clusters that captions of generated images name",
            lambda arm: _mix(arm.made_clusters),
            alike(lambda arm: arm.made_clusters),
            *("generation.", "prompts.", "clustering.", "embedding."),
        ),
    ]
    return Controlled(checks, _sentence(checks, next(iter(shown.values())), len(shown)))


def _sentence(checks: Sequence[Check], first: Exposure, n_arms: int) -> str:
    stray = [f"{check.what} ({check.detail})" for check in checks if check.is_stray]
    if stray:
        return f"Not controlled: beside what the recipe varies, the arms differ in {listed(stray)}."
    who = "both arms" if n_arms == 2 else f"all {n_arms} arms"
    varied = {check.what for check in checks if not check.is_alike}
    if "training images" in varied or "training steps" in varied:
        told = [check.what for check in checks if check.what in varied]
        return (
            f"Controlled: the arms differ in {listed(told)}, as the recipe says, and in nothing else that was checked."
        )
    return f"Controlled: {who} saw the same {len(first.images):,} images for {first.steps:,} steps."


def exposure_of(store: Store, arm: Arm) -> Exposure | None:
    """What an arm was shown, from its artifacts; None where its training images cannot be read."""
    if arm.elsewhere:
        return None
    training_set = _load(store, arm, "balancing", TrainingSet)
    if training_set is None:
        return None
    prompts, samples = _load(store, arm, "prompts", Prompts), _load(store, arm, "generation", Samples)
    rows = [] if samples is None else _rows_of(samples)
    clusters = [str(cluster) for cluster in training_set.clusters.tolist()]
    weights = training_set.weights.tolist()
    fields = _numbers(store, arm)
    return Exposure(
        images=frozenset(training_set.ids),
        labels=_shares(training_set.labels, weights),
        clusters=_shares(clusters, weights),
        steps=fields.get("training.steps", 0),
        batch=fields.get("training.global_batch_size", 0),
        n_prompts=0 if prompts is None else len(prompts.prompts),
        made_labels=_shares([None if row.get("label") is None else str(row["label"]) for row in rows]),
        made_clusters=_shares([None if row.get("cluster") is None else str(row["cluster"]) for row in rows]),
    )


Kind = TypeVar("Kind", TrainingSet, Prompts, Samples)


def _load(store: Store, arm: Arm, stage: str, kind: type[Kind]) -> Kind | None:
    artifact_id = arm.used.get(stage)
    try:
        return kind.load(store.folder(artifact_id), Config()) if artifact_id else None
    except UNREADABLE:
        return None


def _rows_of(samples: Samples) -> list[dict[str, object]]:
    try:
        return samples.rows
    except UNREADABLE:
        return []


def _numbers(store: Store, arm: Arm) -> dict[str, int]:
    names = "training.steps", "training.global_batch_size"
    rows = store.db.query(
        "SELECT field, value FROM parameters WHERE run_id = ? AND arm = ? AND field IN (?, ?)",
        *(arm.run_id, arm.name, *names),
    )
    return {row["field"]: int(row["value"]) for row in rows}


def _shares(names: Sequence[str | None], weights: Iterable[float] | None = None) -> Shares:
    """Share of every name, the first in the alphabet first; empty where an image has none."""
    if None in names:
        return {}
    totals: dict[str, float] = {}
    for name, weight in zip(names, [1.0] * len(names) if weights is None else weights, strict=True):
        totals[str(name)] = totals.get(str(name), 0.0) + weight
    whole = sum(totals.values())
    return {name: totals[name] / whole for name in sorted(totals)}


def _variation(one: Shares, other: Shares) -> float:
    return sum(abs(one.get(name, 0) - other.get(name, 0)) for name in {*one, *other}) / 2


def _mix(shares: Shares) -> str:
    """stained 50 %, unstained 50 %; of many only their number and range."""
    if not shares:
        return "none named"
    if len(shares) <= LISTED:
        return ", ".join(f"{plain(name)} {100 * share:.0f} %" for name, share in shares.items())
    return f"{len(shares)} of them, {100 * min(shares.values()):.0f} to {100 * max(shares.values()):.0f} % each"


def _per_prompt(arm: Exposure) -> str:
    return f"{arm.steps * arm.batch / arm.n_prompts:,.0f}" if arm.n_prompts else "not known"
