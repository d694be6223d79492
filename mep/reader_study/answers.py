"""What readers sent back."""

import csv
import io
import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from mep.errors import DataError, UsageError
from mep.reader_study.candidates import REAL, SYNTHETIC

COLUMNS = ("study", "reader", "item", "answer")
"""Columns that a file must have; others, such as position and seconds, may be missing."""
WANTED = "wanted: the CSV file that the page saved"


@dataclass(frozen=True)
class Answers:
    """One reader's answers to one study.

    given       item -> real or synthetic; items without an answer are absent
    seconds     item -> time it was looked at
    confidence  item -> 1 (a guess) to 5 (certain); absent where the file has none
    types       item -> label that the reader named; absent where there was no such question
    """

    study: str
    reader: str
    file: str
    given: dict[int, str]
    seconds: dict[int, float]
    confidence: dict[int, int] = field(default_factory=dict)
    types: dict[int, str] = field(default_factory=dict)

    def rating(self, item: int) -> float:
        """-5, certainly real, to 5, certainly synthetic."""
        return float(self.confidence[item] if self.given[item] == SYNTHETIC else -self.confidence[item])


def read_answers(paths: Iterable[Path]) -> list[Answers]:
    """All answers, one reader a file; commas or semicolons, as a spreadsheet may have saved them again.

    DataError   a file that is no answer sheet, of several readers or studies, or with an answer that is neither;
                two files of one reader, files of several studies
    UsageError  a file that is not there
    """
    sheets = [_read(path) for path in paths]
    for sheet, later in itertools.combinations(sheets, 2):
        if sheet.study != later.study:
            raise DataError(
                f"{sheet.file} belongs to study {sheet.study}, {later.file} to {later.study}",
                hint="score each study by itself",
            )
        if sheet.reader == later.reader:
            raise DataError(
                f"{sheet.file} and {later.file} are both of reader '{sheet.reader}'",
                hint="leave one out, or correct the name in the column reader",
            )
    return sheets


def _read(path: Path) -> Answers:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", hint="wanted: the CSV files of readers") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not a text file", hint=WANTED) from error
    header = text.split("\n", 1)[0]
    lines = csv.DictReader(io.StringIO(text), delimiter=";" if header.count(";") > header.count(",") else ",")
    missing = [name for name in COLUMNS if name not in (lines.fieldnames or ())]
    if missing:
        raise DataError(f"{path} has no column {' and no column '.join(missing)}", hint=WANTED)
    answers: dict[int, str] = {}
    seconds: dict[int, float] = {}
    confidence: dict[int, int] = {}
    types: dict[int, str] = {}
    names: set[tuple[str, str]] = set()
    for row in lines:
        where = f"{path}:{lines.line_num}"
        names.add((row["study"], row["reader"]))
        if not str(row["item"]).isdecimal() or int(row["item"]) in answers:
            raise DataError(f"{where}: item '{row['item']}' is no number, or comes a second time")
        answer = (row["answer"] or "").strip().lower()
        if answer not in (REAL, SYNTHETIC, ""):
            raise DataError(f"{where}: answer '{row['answer']}' is neither {REAL} nor {SYNTHETIC}")
        answers[int(row["item"])] = answer
        seconds[int(row["item"])] = _number(row.get("seconds"))
        if answer and (row.get("confidence") or "").strip():
            confidence[int(row["item"])] = _confidence(row["confidence"], where)
        if answer and (row.get("type") or "").strip():
            types[int(row["item"])] = row["type"].strip()
    given = {item: answer for item, answer in answers.items() if answer}
    if len(names) != 1 or not given:
        problem = "holds several readers or studies" if len(names) > 1 else "holds no answer"
        raise DataError(f"{path} {problem}", hint=f"{WANTED}, one reader a file")
    seconds = {item: seconds[item] for item in given}
    return Answers(*names.pop(), str(path), given, seconds, confidence, types)


def _confidence(text: str, where: str) -> int:
    if text.strip() not in ("1", "2", "3", "4", "5"):
        raise DataError(f"{where}: confidence '{text}' is not 1, 2, 3, 4 or 5")
    return int(text)


def _number(text: str | None) -> float:
    try:
        return float((text or "nan").replace(",", "."))
    except ValueError:
        return float("nan")
