"""Labels of the records: one an image, or several findings, of which any may be there or not."""

import itertools
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mep.artifacts.findings import Findings, joined
from mep.errors import DataError
from mep.machine.tables import text_of, value_text
from mep.methods.sources import Record
from mep.sections.dataset import LabelsConfig
from mep.stages.dataset.columns import require_column

if TYPE_CHECKING:
    from mep.sections.dataset import DatasetConfig

Shown: TypeAlias = tuple[str, ...]
"""The findings of an image."""
SAID = dict.fromkeys(("1", "1.0", "yes", "true"), "present") | dict.fromkeys(("0", "0.0", "no", "false"), "absent")
SAID |= dict.fromkeys(("-1", "-1.0"), "uncertain")
"""What a value of `columns` says of its finding."""
SEPARATORS = "|;,/+"


def label_texts(records: Sequence[Record], column: str) -> list[str | None]:
    """The label of every record, None where it has none; DataError where it has several."""
    values = [record.metadata.get(column) for record in records]
    if several := [value for value in values if isinstance(value, list | dict)]:
        raise DataError(
            f"a label is {str(several[0])[:60]}, not one name",
            hint=f"several labels an image are read by dataset.labels: {{column: {column}}}",
            field="dataset.label",
        )
    return [value_text(value) for value in values]


def read_labels(records: Sequence[Record], config: "DatasetConfig") -> tuple[NDArray[np.int64], list[str], Findings]:
    """int64 (n,) number of every record's label, -1 where the dataset has none; their names; the findings behind them.

    DataError   a column that is not there, an image without a label, a value or a finding that cannot be
    """
    if not config.is_labelled:
        return np.full(len(records), -1, dtype=np.int64), [], Findings()
    texts, findings = listed_labels(records, config)
    _refuse_missing(records, texts, config)
    distinct = {text for text in texts if text is not None}
    names = sorted(distinct, key=int) if all(name.isdecimal() for name in distinct) else sorted(distinct)
    numbers = {name: number for number, name in enumerate(names)}
    return np.array([numbers[str(text)] for text in texts], dtype=np.int64), names, findings


def listed_labels(records: Sequence[Record], config: "DatasetConfig") -> tuple[list[str | None], Findings]:
    """The label of every record, None where it has none, and the findings behind each label."""
    if config.labels is not None:
        return named_sets(shown_findings(records, config.labels), config.labels)
    if config.label is None:
        return [None] * len(records), Findings()
    require_column(records, config.label, "dataset.label", if_none="none; add a metadata.jsonl beside the images")
    return label_texts(records, config.label), Findings()


def _refuse_missing(records: Sequence[Record], texts: Sequence[str | None], config: "DatasetConfig") -> None:
    missing = [record for record, text in zip(records, texts, strict=True) if text is None]
    if missing:
        more = f" ({len(missing)} images)" if len(missing) > 1 else ""
        absent = "; where empty means no finding: dataset.labels.blank: absent" if config.labels else ""
        raise DataError(
            f"{missing[0].id} has no label in column '{empty_column(missing[0], config)}'{more}",
            hint=f"label it, or take it out: mep lint RECIPE --fix exclude.txt{absent}",
            field="dataset.labels" if config.labels else "dataset.label",
        )


def empty_column(record: Record, config: "DatasetConfig") -> str:
    """The column in which a record without a label has nothing."""
    columns = [config.label] if config.labels is None else [config.labels.column, *config.labels.columns]
    return str(next(name for name in columns if name and value_text(record.metadata.get(name)) is None))


def shown_findings(records: Sequence[Record], config: LabelsConfig) -> list[Shown | None]:
    """The findings of every record in the order in which labels name them; None where nothing is said."""
    if config.columns:
        return _of_columns(records, config)
    return _of_lists(records, config)


def named_sets(shown: Sequence[Shown | None], config: LabelsConfig) -> tuple[list[str | None], Findings]:
    """The label of every image, such as `effusion, mass and nodule`, and the findings behind each."""
    name_of = {each: joined(each) or config.none for each in sorted({each for each in shown if each is not None})}
    if alike := [name for name, n in Counter(name_of.values()).items() if n > 1]:
        sets = [str(list(each)) for each, name in name_of.items() if name == alike[0]]
        raise DataError(
            f"the findings {' and '.join(sets)} read alike: {alike[0]}",
            hint="call one of them otherwise",
            field="dataset.labels",
        )
    names = list(config.columns) or sorted({name for each in name_of for name in each})
    findings = Findings(names, {name: list(each) for each, name in name_of.items()})
    return [None if each is None else name_of[each] for each in shown], findings


def _of_columns(records: Sequence[Record], config: LabelsConfig) -> list[Shown | None]:
    for column in config.columns:
        require_column(records, column, "dataset.labels.columns")
    rows = [[_said(record, column, config) for column in config.columns] for record in records]
    _refuse_strange(records, rows, config)
    for column, said in zip(config.columns, zip(*rows, strict=True), strict=True):
        if "present" not in said:
            raise DataError(
                f"no image has the finding '{column}'",
                hint="take it out of dataset.labels.columns",
                field="dataset.labels.columns",
            )
    return [
        None if "blank" in row else tuple(itertools.compress(config.columns, [said == "present" for said in row]))
        for row in rows
    ]


def _said(record: Record, column: str, config: LabelsConfig) -> str:
    """present, absent, blank, uncertain where nobody says what that means, or a value that cannot be, in quotes."""
    text = text_of(record.metadata.get(column))
    said = "blank" if text is None else SAID.get(text.lower(), f"'{text}'")
    meaning = {"blank": config.blank, "uncertain": config.uncertain}.get(said, "refuse")
    return said if meaning == "refuse" else meaning


def _refuse_strange(records: Sequence[Record], rows: Sequence[Sequence[str]], config: LabelsConfig) -> None:
    """DataError: values that say neither that a finding is there nor that it is not."""
    strange = [
        (record.id, column, said)
        for record, row in zip(records, rows, strict=True)
        for column, said in zip(config.columns, row, strict=True)
        if said not in ("present", "absent", "blank")
    ]
    if not strange:
        return
    image, column, said = strange[0]
    is_open = {said for _, _, said in strange} == {"uncertain"}
    n_columns = len({column for _, column, _ in strange})
    more = f" ({len(strange)} values in {n_columns} column{'s' * (n_columns > 1)})" if len(strange) > 1 else ""
    value = "-1" if said == "uncertain" else said
    raise DataError(
        f"{image} has {value} in column '{column}', which is neither 1 nor 0, yes nor no{more}",
        hint="say what -1 means: dataset.labels.uncertain: absent, or present" if is_open else "correct the values",
        field="dataset.labels.columns",
    )


def _of_lists(records: Sequence[Record], config: LabelsConfig) -> list[Shown | None]:
    assert config.column is not None
    require_column(records, config.column, "dataset.labels.column")
    values = [record.metadata.get(config.column) for record in records]
    if config.separator is None:
        _refuse_text(values, config.column)
    elif not any(config.separator in value for value in values if isinstance(value, str)):
        _refuse_separator(values, config.separator)
    shown = [_listed(value, config) for value in values]
    if not any(shown):
        raise DataError(f"no image has a finding in column '{config.column}'", field="dataset.labels.column")
    return shown


def _listed(value: object, config: LabelsConfig) -> Shown | None:
    if isinstance(value, list):
        names = [text_of(name) for name in value]
    elif (text := text_of(value)) is None:
        return () if config.blank == "absent" else None
    else:
        names = [part.strip() for part in text.split(config.separator)]
    return tuple(sorted({name for name in names if name and name.lower() != config.none.lower()}))


def _refuse_text(values: Sequence[object], column: str) -> None:
    texts = [text for value in values if not isinstance(value, list) and (text := text_of(value)) is not None]
    if texts:
        between = next((f'"{mark}"' for mark in SEPARATORS if any(mark in text for text in texts)), '"|"')
        raise DataError(
            f"column '{column}' holds text such as '{texts[0][:60]}' and not a list of findings",
            hint=f"say what stands between findings: dataset.labels.separator: {between}",
            field="dataset.labels.separator",
        )


def _refuse_separator(values: Sequence[object], separator: str) -> None:
    """DataError: nothing in the column has the separator; if these are no lists."""
    texts = [text for value in values if not isinstance(value, list) and (text := text_of(value)) is not None]
    if not texts:
        return
    mark, example = next(((mark, text) for mark in SEPARATORS for text in texts if mark in text), ("", texts[0]))
    raise DataError(
        f"no value has the separator '{separator}' between two findings; one is '{example[:60]}'",
        hint=f'try separator: "{mark}"'
        if mark
        else "where every image has one label, name the column in dataset.label",
        field="dataset.labels.separator",
    )
