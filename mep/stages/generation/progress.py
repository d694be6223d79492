"""Which samples are drawn: a file and a line in the journal for each, written by the driver alone.

The file comes first, then its line with the digest. A kill at any instant may leave a file without a line, or a line
without its file (or with another digest): both are dropped, and such samples are drawn again.
"""

import errno
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Required, TypedDict

import numpy as np

from mep.errors import EnvironmentLacks
from mep.machine.files import link_or_copy, sha256_of, write_atomically, write_json
from mep.stages.generation.schedule import SamplePlan, folder_name
from mep.stages.generation.worker_job import DrawnSample

MISSING, DRAWN, REFUSED = 0, 1, 2


class Outcome(TypedDict, total=False):
    """What became of a sample: the digest of its file, or why it was refused."""

    sha256: str
    refused: str


class JournalRow(Outcome):
    """A line of the journal; the metadata of a finished dataset have these fields too."""

    prompt_id: Required[str]
    ordinal: Required[int]


@dataclass
class GenerationProgress:
    """State of every sample of a plan, in `out` and in a journal beside it.

    state       uint8 (n,)      MISSING, DRAWN or REFUSED
    digests     uint8 (n, 32)   sha256 of the files of drawn ones
    """

    plan: SamplePlan
    out: Path
    journal: Path

    def __post_init__(self) -> None:
        self.state = np.zeros(len(self.plan), np.uint8)
        self.digests = np.zeros((len(self.plan), 32), np.uint8)
        self.refusals: dict[int, str] = {}

    @property
    def n_done(self) -> int:
        """Samples that are drawn or refused."""
        return int((self.state != MISSING).sum())

    def recover(self, mapper: Callable[..., Iterator[tuple[JournalRow, bool]]] = map) -> None:
        """Take over what an earlier attempt left, as far as the files have the digests of their lines."""
        self._cut_torn_line()
        rows = (row for row in _lines(self.journal) if self._number(row) is not None)
        for row, is_intact in mapper(self._checked, rows):
            if is_intact:
                self._note(row)
        ids = {folder_name(prompt.id): prompt.id for prompt in self.plan.prompts}
        for path in (self.out / "images").rglob("*"):
            if path.is_file() and not self._is_drawn(path, ids):
                path.unlink()

    def adopt(self, folder: Path) -> None:
        """Take over the samples of a finished dataset that was drawn in the same way."""
        with self._writing() as journal:
            for row in _lines(folder / "metadata.jsonl"):
                number = self._number(row)
                if number is None or self.state[number] != MISSING:
                    continue
                name = self.plan.sample(number).file_name
                if (folder / name).is_file() and sha256_of(folder / name) == row["sha256"]:
                    link_or_copy(folder / name, self.out / name)
                    self._write(journal, number, {"sha256": row["sha256"]})

    def missing(self) -> Iterator[int]:
        """Numbers of samples that are neither drawn nor refused, in the order of drawing."""
        return (number for number in self.plan.drawing_order() if self.state[number] == MISSING)

    def commit(self, samples: Iterable[DrawnSample]) -> None:
        """Write images and their lines.

        EnvironmentLacks    the disk is full; what was written before stays
        """
        with self._writing() as journal:
            for sample in samples:
                if sample.refused:
                    self._write(journal, sample.number, {"refused": sample.refused})
                    continue
                path = self.out / self.plan.sample(sample.number).file_name
                path.parent.mkdir(parents=True, exist_ok=True)
                temporary = path.with_name(f".{path.name}.tmp")
                temporary.write_bytes(sample.content)
                temporary.replace(path)
                self._write(journal, sample.number, {"sha256": sample.sha256})

    def conclude(self, facts: dict[str, object]) -> None:
        """Write metadata.jsonl, refused.jsonl where there are any, and generation.json."""
        write_atomically(self.out / "metadata.jsonl", self._write_metadata)
        if self.refusals:
            rows = [self._record(number) | {"refused": self.refusals[number]} for number in sorted(self.refusals)]
            text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            write_atomically(self.out / "refused.jsonl", lambda file: file.write(text.encode()))
        counts = {"images": int((self.state == DRAWN).sum()), "prompts": sum(count > 0 for count in self.plan.counts)}
        refused = dict(sorted(Counter(self.refusals.values()).items()))
        write_json(self.out / "generation.json", counts | {"refused": refused} | facts)

    def _write_metadata(self, file: IO[bytes]) -> None:
        for number in np.flatnonzero(self.state == DRAWN):
            sample = self.plan.sample(int(number))
            row = {"file_name": sample.file_name} | self._record(int(number))
            row["sha256"] = self.digests[number].tobytes().hex()
            file.write(json.dumps(row, ensure_ascii=False).encode() + b"\n")

    def _record(self, number: int) -> dict[str, str | int | None]:
        sample = self.plan.sample(number)
        prompt = sample.prompt
        return {
            "text": prompt.text,
            "label": prompt.label,
            "cluster": prompt.cluster,
            "prompt_id": prompt.id,
            "ordinal": sample.ordinal,
            "seed": sample.seed,
        }

    def _number(self, row: JournalRow) -> int | None:
        return self.plan.find(row["prompt_id"], row["ordinal"])

    def _checked(self, row: JournalRow) -> tuple[JournalRow, bool]:
        """The row, and whether it can be believed: the file of a drawn sample has its digest."""
        if "refused" in row:
            return row, True
        path = self.out / self.plan.sample(self._number(row) or 0).file_name
        return row, path.is_file() and sha256_of(path) == row["sha256"]

    def _is_drawn(self, path: Path, ids: dict[str, str]) -> bool:
        """Whether a file is one of a drawn sample; half-written ones have a dot before their name."""
        prompt_id = ids.get(path.parent.parent.name)
        if prompt_id is None or not path.stem.isdigit():
            return False
        number = self.plan.find(prompt_id, int(path.stem))
        if number is None or self.state[number] != DRAWN:
            return False
        return path.name == Path(self.plan.sample(number).file_name).name

    def _write(self, journal: IO[bytes], number: int, outcome: Outcome) -> None:
        sample = self.plan.sample(number)
        row: JournalRow = {"prompt_id": sample.prompt.id, "ordinal": sample.ordinal, **outcome}
        journal.write(json.dumps(row).encode() + b"\n")
        self._note(row)

    def _note(self, row: JournalRow) -> None:
        number = self._number(row)
        assert number is not None
        if "refused" in row:
            self.state[number], self.refusals[number] = REFUSED, row["refused"]
        else:
            self.state[number] = DRAWN
            self.digests[number] = np.frombuffer(bytes.fromhex(row["sha256"]), np.uint8)

    @contextmanager
    def _writing(self) -> Iterator[IO[bytes]]:
        try:
            with self.journal.open("ab") as journal:
                yield journal
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise EnvironmentLacks(
                f"the disk is full: {self.out}",
                hint="free some space and go on with mep resume; what is drawn is kept",
            ) from error

    def _cut_torn_line(self) -> None:
        """A kill may have left half a line at the end of the journal."""
        if not self.journal.exists():
            return
        with self.journal.open("rb+") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - 65536))  # a line has at most a few hundred bytes
            tail = file.read()
            file.truncate(size - len(tail) + tail.rfind(b"\n") + 1)


def _lines(path: Path) -> Iterator[JournalRow]:
    """Rows of a JSONL file one by one; none where it does not exist."""
    if path.exists():
        with path.open("rb") as file:
            yield from map(json.loads, file)
