"""Which samples are drawn: a file, then a line with its digest in the journal; either without the other is dropped."""

import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Required, TypedDict

import numpy as np

from mep.machine.files import link_or_copy, noticing_full_disk, sha256_of, write_atomically, write_json
from mep.stages.generation.schedule import SamplePlan, file_name, folder_name
from mep.stages.generation.worker_job import DrawnSample

MISSING, DRAWN, REFUSED = 0, 1, 2


class JournalRow(TypedDict, total=False):
    """A line of the journal or of the metadata: the digest of the sample's file, or why it was refused."""

    prompt_id: Required[str]
    ordinal: Required[int]
    sha256: str
    refused: str


Record = dict[str, str | int | None]
"""A line of the metadata."""


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

    def recover(self, mapper: Callable[..., Iterator[tuple[JournalRow, bool]]] = map) -> None:
        """Take over what an earlier attempt left, as far as the files have the digests of their lines."""
        self._cut_torn_line()
        rows = (row for row in _lines(self.journal) if self.plan.find(row["prompt_id"], row["ordinal"]) is not None)
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
                number = self.plan.find(row["prompt_id"], row["ordinal"])
                if number is None or self.state[number] != MISSING:
                    continue
                name = self.plan.sample(number).file_name
                if (folder / name).is_file() and sha256_of(folder / name) == row["sha256"]:
                    link_or_copy(folder / name, self.out / name)
                    prompt_id, ordinal, sha256 = row["prompt_id"], row["ordinal"], row["sha256"]
                    self._write(journal, {"prompt_id": prompt_id, "ordinal": ordinal, "sha256": sha256})

    def missing(self) -> Iterator[int]:
        """Numbers of samples that are neither drawn nor refused, in the order of drawing."""
        return (number for number in self.plan.drawing_order() if self.state[number] == MISSING)

    def commit(self, samples: Iterable[DrawnSample]) -> None:
        """Write images and their lines; where the disk is full, what was written before stays."""
        with self._writing() as journal:
            for drawn in samples:
                sample = self.plan.sample(drawn.number)
                row: JournalRow = {"prompt_id": sample.prompt.id, "ordinal": sample.ordinal}
                if drawn.refused:
                    self._write(journal, row | {"refused": drawn.refused})
                    continue
                path = self.out / sample.file_name
                path.parent.mkdir(parents=True, exist_ok=True)
                temporary = path.with_name(f".{path.name}.tmp")
                temporary.write_bytes(drawn.content)
                temporary.replace(path)
                self._write(journal, row | {"sha256": drawn.sha256})

    def conclude(self, facts: dict[str, object]) -> None:
        """Write metadata.jsonl, refused.jsonl where there are any, and generation.json."""
        self._write_rows("metadata.jsonl", (self._metadata(int(row)) for row in np.flatnonzero(self.state == DRAWN)))
        if self.refusals:
            refusals = sorted(self.refusals.items())
            self._write_rows("refused.jsonl", (self._record(row) | {"refused": reason} for row, reason in refusals))
        counts = {"images": int((self.state == DRAWN).sum()), "prompts": sum(count > 0 for count in self.plan.counts)}
        refused = dict(sorted(Counter(self.refusals.values()).items()))
        write_json(self.out / "generation.json", counts | {"refused": refused} | facts)

    def _write_rows(self, name: str, rows: Iterable[Record]) -> None:
        lines = (json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)
        write_atomically(self.out / name, lambda file: file.writelines(lines))

    def _metadata(self, number: int) -> Record:
        sha256 = self.digests[number].tobytes().hex()
        return {"file_name": self.plan.sample(number).file_name} | self._record(number) | {"sha256": sha256}

    def _record(self, number: int) -> Record:
        sample = self.plan.sample(number)
        prompt = sample.prompt
        caption: Record = {"text": prompt.text, "label": prompt.label, "cluster": prompt.cluster}
        return caption | {"prompt_id": prompt.id, "ordinal": sample.ordinal, "seed": sample.seed}

    def _checked(self, row: JournalRow) -> tuple[JournalRow, bool]:
        """The row, and whether it can be believed: the file of a drawn sample has its digest."""
        if "refused" in row:
            return row, True
        path = self.out / file_name(row["prompt_id"], row["ordinal"], self.plan.form)
        return row, path.is_file() and sha256_of(path) == row["sha256"]

    def _is_drawn(self, path: Path, ids: dict[str, str]) -> bool:
        """Whether a file is one of a drawn sample; half-written ones have a dot before their name."""
        prompt_id = ids.get(path.parent.parent.name)
        if prompt_id is None or not path.stem.isdigit():
            return False
        number = self.plan.find(prompt_id, int(path.stem))
        if number is None or self.state[number] != DRAWN:
            return False
        return path == self.out / self.plan.sample(number).file_name

    def _write(self, journal: IO[bytes], row: JournalRow) -> None:
        journal.write(json.dumps(row).encode() + b"\n")
        self._note(row)

    def _note(self, row: JournalRow) -> None:
        number = self.plan.find(row["prompt_id"], row["ordinal"])
        assert number is not None
        if "refused" in row:
            self.state[number], self.refusals[number] = REFUSED, row["refused"]
        else:
            self.state[number] = DRAWN
            self.digests[number] = np.frombuffer(bytes.fromhex(row["sha256"]), np.uint8)

    @contextmanager
    def _writing(self) -> Iterator[IO[bytes]]:
        hint = "free some space and go on with mep resume; what is drawn is kept"
        with noticing_full_disk(f"the disk is full: {self.out}", hint), self.journal.open("ab") as journal:
            yield journal

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
    if path.exists():
        with path.open("rb") as file:
            yield from map(json.loads, file)
