"""What readers sent back."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mep.errors import DataError, UsageError
from mep.reader_study.study import REAL, SYNTHETIC

if TYPE_CHECKING:
    from pathlib import Path

COLUMNS = ("study", "reader", "item", "answer")
"""Columns that a file must have; others, such as position and seconds, may be missing."""


@dataclass(frozen=True)
class Answers:
    """One reader's answers to one study.

    given       item -> real or synthetic; items without an answer are absent
    seconds     item -> time it was looked at
    """

    study: str
    reader: str
    file: str
    given: dict[int, str]
    seconds: dict[int, float]


def read_answers(paths: Iterable[Path]) -> list[Answers]:
    """All answers, one reader a file; commas or semicolons, as a spreadsheet may have saved them again.

    DataError   a file that is no answer sheet, of several readers or studies, or with an answer that is neither;
                two files of one reader, files of several studies
    UsageError  a file that is not there
    """
    found = [_read(path) for path in paths]
    for number, one in enumerate(found):
        for other in found[:number]:
            if other.study != one.study:
                raise DataError(
                    f"{other.file} belongs to study {other.study}, {one.file} to {one.study}",
                    hint="score each study by itself",
                )
            if other.reader == one.reader:
                raise DataError(
                    f"{other.file} and {one.file} are both of reader '{one.reader}'",
                    hint="leave one out, or correct the name in the column reader",
                )
    return found


def _read(path: Path) -> Answers:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", hint="wanted: the CSV files of readers") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not a text file", hint="wanted: the CSV file that the page saved") from error
    first = text.split("\n", 1)[0]
    lines = csv.DictReader(io.StringIO(text), delimiter=";" if first.count(";") > first.count(",") else ",")
    missing = [name for name in COLUMNS if name not in (lines.fieldnames or ())]
    if missing:
        raise DataError(
            f"{path} has no column {' and no column '.join(missing)}", hint="wanted: the CSV file that the page saved"
        )
    given: dict[int, str] = {}
    seconds: dict[int, float] = {}
    names: set[tuple[str, str]] = set()
    seen: set[int] = set()
    for row in lines:
        where = f"{path}:{lines.line_num}"
        names.add((row["study"], row["reader"]))
        if not str(row["item"]).isdecimal() or int(row["item"]) in seen:
            raise DataError(f"{where}: item '{row['item']}' is no number, or comes a second time")
        item = int(row["item"])
        seen.add(item)
        answer = (row["answer"] or "").strip().lower()
        if answer not in (REAL, SYNTHETIC, ""):
            raise DataError(f"{where}: answer '{row['answer']}' is neither {REAL} nor {SYNTHETIC}")
        if answer:
            given[item] = answer
            seconds[item] = _number(row.get("seconds"))
    if len(names) != 1 or not given:
        what = "holds several readers or studies" if len(names) > 1 else "holds no answer"
        raise DataError(f"{path} {what}", hint="wanted: the CSV file that the page saved, one reader a file")
    study, reader = names.pop()
    return Answers(study, reader, str(path), given, seconds)


def _number(text: str | None) -> float:
    try:
        return float((text or "nan").replace(",", "."))
    except ValueError:
        return float("nan")
