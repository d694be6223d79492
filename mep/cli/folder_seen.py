"""A folder of images without a recipe: what a recipe would read of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mep.cli.console import show, show_rows

if TYPE_CHECKING:
    from mep.methods.sources import Record
    from mep.sections.dataset import DatasetConfig

LABEL = "label"
"""The column that is taken for the label; class folders are one."""
N_SHOWN = 4


def dataset_of(folder: Path) -> tuple[DatasetConfig, list[Record]]:
    """The section `dataset` of a recipe for the folder, and what that lists."""
    from mep.methods.sources.imagefolder import ImageFolder
    from mep.sections.dataset import DatasetConfig

    source = ImageFolder(kind="imagefolder", path=folder)
    records = source.records()
    labelled = any(LABEL in record.metadata for record in records)
    return DatasetConfig(source=source, label=LABEL if labelled else None), records


def show_folder(folder: Path, config: DatasetConfig, records: Sequence[Record]) -> None:
    """Columns and splits of the images, and the lines of a recipe that reads them."""
    from mep.machine.tables import value_text

    values: dict[str, Counter[str]] = {}
    for record in records:
        for name, value in record.metadata.items():
            if (text := value_text(value)) is not None:
                values.setdefault(name, Counter())[text] += 1
    if splits := Counter(record.split for record in records if record.split):
        values = {"(split)": splits} | values
    rows = [
        {
            "column": name,
            "images": counts.total(),
            "values": len(counts),
            "most": ", ".join(f"{text} {n}" for text, n in counts.most_common(N_SHOWN)),
        }
        for name, counts in values.items()
    ]
    if rows:
        show_rows(rows, ["column", "images", "values", "most"])
    label = f", {LABEL}: {config.label}" if config.label else ""
    show(f"dataset: {{source: {{kind: imagefolder, path: {folder}}}{label}}}")
