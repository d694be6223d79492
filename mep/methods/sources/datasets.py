"""A dataset of the Hugging Face library of that name."""

from __future__ import annotations

import io
import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from mep.config import HashFile
from mep.errors import DataError
from mep.machine.hub import ModelReference
from mep.methods.sources import Record, Source

if TYPE_CHECKING:
    from datasets import Dataset
    from PIL.Image import Image


class Datasets(ModelReference, Source):
    """A dataset on the hub, by `id` and `revision`, or what `save_to_disk` wrote, by `path`.

    An image is named by split and row, as in train/000000042.
    """

    repo_type: ClassVar[str] = "dataset"
    opens_to_list: ClassVar[bool] = True

    kind: Literal["datasets"]
    config: str | None = None
    """Configuration of a hub dataset that has several."""
    image: str = "image"
    """Column that holds the images."""

    def records(self) -> list[Record]:
        records = []
        for split, data in self._splits().items():
            others = [name for name in data.column_names if name != self.image]
            columns = {name: _values(data, name) for name in others}
            records += [
                Record(f"{split}/{row:09d}", split, {name: values[row] for name, values in columns.items()})
                for row in range(len(data))
            ]
        return sorted(records, key=lambda record: record.id)

    def open(self, image_id: str) -> Image:
        from PIL import Image

        split, row = image_id.split("/")
        stored = self._splits()[split][int(row)][self.image]
        return Image.open(io.BytesIO(stored["bytes"]) if stored["bytes"] is not None else stored["path"])

    def classes(self, column: str) -> list[str]:
        from datasets import ClassLabel

        features = next(iter(self._splits().values())).features
        return list(features[column].names) if isinstance(features.get(column), ClassLabel) else []

    def externals(self, hash_file: HashFile) -> dict[str, str]:
        externals = ModelReference.externals(self, hash_file)
        return {"content": externals["model"]} | ({"config": self.config} if self.config else {})

    def _splits(self) -> dict[str, Dataset]:
        return _load(self.folder(["*"]), self.path is not None, self.config, self.image)


@cache
def _load(folder: Path, is_saved: bool, config: str | None, image: str) -> dict[str, Dataset]:
    """Every split of a dataset, its images undecoded; memory-mapped, and opened once in a process."""
    from datasets import DatasetDict, Image, disable_progress_bars, load_dataset, load_from_disk

    disable_progress_bars()
    try:
        data = load_from_disk(str(folder)) if is_saved else load_dataset(str(folder), config)
    except Exception as error:  # the library raises its own, pyarrow's and the system's errors
        raise DataError(
            f"{folder} does not load as a dataset: {error}",
            hint="path is a folder written by save_to_disk; for a folder of images use {kind: imagefolder}",
            field="dataset.source",
        ) from error
    splits = dict(data) if isinstance(data, DatasetDict) else {str(data.split or "train"): data}
    for name, part in splits.items():
        if not isinstance(part.features.get(image), Image):
            image_columns = [column for column, kind in part.features.items() if isinstance(kind, Image)]
            raise DataError(
                f"column '{image}' of {folder} holds no images",
                hint=f"columns with images: {', '.join(image_columns) or 'none'}",
                field="dataset.source.image",
            )
        splits[name] = part.cast_column(image, Image(decode=False))
    return splits


def _values(data: Dataset, column: str) -> list[object]:
    """The values of a column: names for class labels, text for what is neither a number nor text."""
    from datasets import ClassLabel

    values = data.with_format("arrow")[column].to_pylist()
    feature = data.features[column]
    if isinstance(feature, ClassLabel):
        return [None if value is None or value < 0 else feature.int2str(value) for value in values]
    plain = (str, int, float, bool, type(None))
    return [value if isinstance(value, plain) else json.dumps(value, default=str) for value in values]
