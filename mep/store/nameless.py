"""What leaves with a run, without the names of real images and of their groups: such a name may be a patient's."""

import io
import json
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePosixPath

from mep.artifacts import Artifact, Prompts, Scores
from mep.artifacts.base import load_table
from mep.machine.files import read_json

CAPTIONS, CLOSEST = "captions.parquet", "closest.json"
IMAGE = "(an image)"
"""What a message calls a real image where it leaves."""
GROUP = "(a group)"
"""What it calls a slide or a patient."""
MISTAKABLE = re.compile(r"\d{1,5}|.{1,2}")
"""A name that could as well be a count or a word."""


def nameless_files(kind: type[Artifact], folder: Path) -> dict[str, bytes]:
    """Those files of an artifact that name real images, by their name: images of captions are numbered, and the
    training image that comes nearest to a sample is left out."""
    if issubclass(kind, Prompts):
        import pyarrow as pa
        import pyarrow.parquet as pq

        rows, written = load_table(folder / CAPTIONS), io.BytesIO()
        numbers = [f"{number:07}" for number in range(len(rows["id"]))]
        pq.write_table(pa.table(rows | {"id": numbers}), written)
        return {CAPTIONS: written.getvalue()}
    if issubclass(kind, Scores):
        closest = read_json(folder / CLOSEST)
        if any(closest.values()):
            pairs = {extractor: [row | {"train": ""} for row in rows] for extractor, rows in closest.items()}
            return {CLOSEST: json.dumps(pairs, indent=1, ensure_ascii=False).encode()}
    return {}


def without_names(image_ids: Iterable[str]) -> Callable[[str], str]:
    """Takes the given images out of a text: their ids, and the names of their files."""
    names = {name for image_id in image_ids for name in (image_id, PurePosixPath(image_id).name)}
    longest_first = sorted(names, key=lambda name: (-len(name), name))
    endings = {PurePosixPath(name.partition("#")[0]).suffix for name in names}

    def cleaned(text: str) -> str:
        lines = text.split("\n")
        for place, line in enumerate(lines):
            if any(ending in line for ending in endings):
                for name in longest_first:
                    if name in line:
                        line = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", IMAGE, line)
                lines[place] = line
        return "\n".join(lines)

    return cleaned


def without_groups(named: Mapping[str, Iterable[str]]) -> Callable[[str], str]:
    """Takes slides or patients out of a text.

    named       column of the dataset -> its values; what could be a count or a word goes where it follows its column
    """
    names = [(column, name) for column in named for name in sorted(named[column], key=lambda name: (-len(name), name))]

    def cleaned(text: str) -> str:
        for column, name in names:
            if name in text:
                before = rf"(?<=\b{re.escape(column)} )" if MISTAKABLE.fullmatch(name) else r"(?<!\w)"
                text = re.sub(rf"{before}{re.escape(name)}(?!\w)", GROUP, text)
        return text

    return cleaned
