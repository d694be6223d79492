"""A score, as one typed row, from which scores.json, the table `scores` and CSV files get their columns."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import Enum
from functools import cache
from typing import Any, NamedTuple, Self, TypeAlias, get_args

JsonObject: TypeAlias = dict[str, Any]
IN_SQL = {"sql": True}
"""Metadata of a field that has a column of its own in the table `scores`; the others share the column `protocol`."""


class Reason(Enum):
    """Why there is no number; the value is the flag that the row carries."""

    TOO_FEW = "too_few_images"
    NO_VALUE = "no_value"
    NO_UTILITY = "no_utility"


@dataclass(frozen=True)
class Missing:
    """A reason, and the sentence that explains it."""

    reason: Reason
    text: str


class Column(NamedTuple):
    """A field of a part; `part` is the type of a part within it, None for a field with one value."""

    attribute: str
    name: str
    in_sql: bool
    part: "type[Part] | None"


@dataclass(frozen=True)
class Part:
    """A row of a score, or some of its columns. Parts lie flat and in order in the JSON."""

    @classmethod
    @cache
    def columns(cls) -> list[Column]:
        """The fields, looked up once: a report reads a hundred thousand rows."""
        columns = []
        for column in fields(cls):
            types = [choice for choice in get_args(column.type) or [column.type] if isinstance(choice, type)]
            part = next((choice for choice in types if issubclass(choice, Part)), None)
            name = column.metadata.get("column", column.name)
            columns.append(Column(column.name, name, "sql" in column.metadata, part))
        return columns

    @classmethod
    def from_json(cls, row: Mapping[str, object]) -> Self:
        """Read a row of scores.json. Columns that an older version did not write get their defaults."""
        given: JsonObject = {}
        for column in cls.columns():
            if column.part is None:
                if column.name in row:
                    given[column.attribute] = row[column.name]
            elif any(inner.name in row for inner in column.part.columns()):
                given[column.attribute] = column.part.from_json(row)
        return cls(**given)

    def to_json(self) -> JsonObject:
        """The columns as scores.json holds them, without those of absent parts."""
        row: JsonObject = {}
        for column in self.columns():
            value = getattr(self, column.attribute)
            if column.part is None:
                row[column.name] = value
            elif value is not None:
                row |= value.to_json()
        return row


@dataclass(frozen=True)
class Estimate(Part):
    """A number with its standard error, its 95 % interval and how these were found; None where there is none."""

    value: float | None = field(default=None, metadata=IN_SQL)
    se: float | None = field(default=None, metadata=IN_SQL)
    low: float | None = None
    high: float | None = None
    method: str | None = None


@dataclass(frozen=True)
class Null(Part):
    """What real images reach in the place of the generated ones (for adherence: chance), or why it is unknown."""

    value: float | None = field(default=None, metadata={"column": "null"})
    reason: str | None = field(default=None, metadata={"column": "null_reason"})

    @classmethod
    def of(cls, reached: float | Missing | None) -> Self:
        return cls(None, reached.text) if isinstance(reached, Missing) else cls(reached)


@dataclass(frozen=True)
class Counts(Part):
    """How many images were compared.

    n_real, n_fake          images compared, after both sets were brought to equal size by a seeded draw
    n_real_of, n_fake_of    images that there were
    n_groups                slides or patients behind the real ones; None where they are not known
    """

    n_real: int = field(default=0, metadata=IN_SQL)
    n_fake: int = field(default=0, metadata=IN_SQL)
    n_real_of: int | None = None
    n_fake_of: int | None = None
    n_groups: int | None = None


@dataclass(frozen=True)
class ScoreProtocol(Part):
    """How the number was made: feature space (extractor to dtype), score (settings, k, kernel), seed, generation."""

    extractor: str | None = field(default=None, metadata=IN_SQL)
    digest: str | None = None
    layer: str | None = None
    d: int | None = None
    preprocessing: str | None = None
    eval_resolution: int | None = None
    resize: str | None = None
    image_format: dict[str, str] | None = None
    dtype: str | None = None
    settings: JsonObject | None = None
    k: int | None = None
    kernel: str | None = None
    seed: int | None = None
    sampler: JsonObject | None = None
    guidance: float | None = None
    steps: int | None = None


@dataclass(frozen=True)
class Matching(Part):
    """How real images were drawn to the mix of the generated ones; only where the reference is `matched`.

    matched_by          label and cluster, one of them, or nothing where no such mix could be drawn
    matched_images      digest of the names of the real images
    total_variation     from the mix that was wanted to the one that was drawn, 0 to 1
    """

    matched_by: list[str] = field(default_factory=list)
    matched_images: str = ""
    total_variation: float = 0.0


@dataclass(frozen=True)
class ProbeProtocol(Part):
    """What the rows of the stage `utility` say beside the rest; `grouped_by` is None where images are independent."""

    grouped_by: str | None = None
    labels: list[str] = field(default_factory=list)
    validation_from: str = ""


@dataclass(frozen=True)
class ProbeTraining(Part):
    """The trainings of a probe that a number is the mean of, and what validation images chose for each."""

    n_train_real: int = 0
    trainings: int = 0
    chosen: list[JsonObject] = field(default_factory=list)


@dataclass(frozen=True)
class DifferenceTest(Part):
    """p of no difference; only of auroc_gap and auroc_gain."""

    p: float | None = None


@dataclass(frozen=True)
class NonInferiority(Part):
    """Whether synthetic images may replace real ones; only of auroc_gap."""

    margin: float = 0.0
    verdict: str = ""
    statement: str = ""


@dataclass(frozen=True)
class ScoreRow(Part):
    """One number of one subject under one protocol.

    subject     samples; train: real training images in their place; floor: reconstructions of held-out images; of
                adherence heldout; of utility matched: as many real images
    better      lower or higher
    reference   heldout (as they are), matched (held-out images in the mix of the generated set) or train
    group       all, label=..., cluster=..., prompt=..., or an aggregate over such groups: label:macro, label:weighted,
                label:worst; of utility the mixture of real and synthetic images
    reason      why there is no value, or what it leaves out
    matching    only of rows whose reference is matched
    probe, ...  only of utility
    """

    metric: str = field(metadata=IN_SQL)
    subject: str = field(metadata=IN_SQL)
    estimate: Estimate = Estimate()
    null: Null = Null()
    better: str | None = field(default=None, metadata=IN_SQL)
    reference: str = field(default="heldout", metadata=IN_SQL)
    group: str = "all"
    counts: Counts = Counts()
    protocol: ScoreProtocol = ScoreProtocol()
    version: str | None = None
    flags: list[str] = field(default_factory=list)
    reason: str | None = None
    matching: Matching | None = None
    probe: ProbeProtocol | None = None
    training: ProbeTraining | None = None
    test: DifferenceTest | None = None
    non_inferiority: NonInferiority | None = None

    def to_sql(self) -> JsonObject:
        """The columns of the table `scores` that speak of the score."""
        row = self.to_json()
        columns = {name: row.pop(name) for name in SQL_COLUMNS}
        return columns | {"protocol": json.dumps(row)}


COLUMNS = tuple(ScoreRow("", "").to_json())
"""The columns that every row has, in the order in which they are written."""

SQL_COLUMNS = tuple(
    inner.name
    for column in ScoreRow.columns()
    for inner in (column.part.columns() if column.part else [column])
    if inner.in_sql
)
"""Those of them that have a column of their own in the table `scores`."""
