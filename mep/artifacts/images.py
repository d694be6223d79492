"""The dataset: a list of images, and the pixels of each."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self, TypedDict

import numpy as np
from numpy.typing import NDArray

from mep.artifacts.base import Artifact, Table, load_table, save_table
from mep.artifacts.findings import Findings, load_findings, save_findings
from mep.artifacts.reading import Framer, Opener, Reader
from mep.config import Config, digest
from mep.machine.files import read_json, write_json
from mep.statistics.stratification import rarest

SPLITS = ("train", "heldout", "validation")
"""Names of the splits by their number in `Images.splits`."""
TRAIN, HELDOUT, VALIDATION = range(3)
WORTH_TELLING = 0.1
"""Share of the pixels that is cropped away from which on the dataset says so."""


class PixelFacts(TypedDict, total=False):
    """How the pixels were read, and what they showed."""

    window: list[float] | None  # black and white of grey with more than 8 bits
    modes: dict[str, int]  # Pillow mode -> images
    near_duplicates: int  # images that have one
    straddling: int  # near duplicates with one on the other side of given splits
    excluded: int


@dataclass(frozen=True, eq=False)
class Images(Artifact):
    """The dataset: one row an image, pixels read from the source when asked for.

    ids         n names, unique
    labels      int64 (n,)   index into label_names, -1 where the dataset has no labels
    splits      int8 (n,)    TRAIN, HELDOUT (only metrics may see it) or VALIDATION (assigned and watched, never fitted)
    sha256      n digests of the decoded pixels
    sizes       int64 (n, 2) width, height
    metadata    further columns of the source, n values each
    group       column of the metadata, a slide or a patient say, whose images are not independent; None: all are
    truth       column of the metadata that is known to show in the images; None where no such is named
    findings    what is behind each label, where an image may show several findings
    framing     which part of an image is seen; None: all, and where a square is wanted its centre
    """

    ids: list[str]
    labels: NDArray[np.int64]
    label_names: list[str]
    splits: NDArray[np.int8]
    sha256: list[str]
    sizes: NDArray[np.int64]
    metadata: Table
    source: Opener
    group: str | None = None
    truth: str | None = None
    pixels: PixelFacts = field(default_factory=PixelFacts)
    findings: Findings = field(default_factory=Findings)
    framing: Framer | None = None

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def groups(self) -> NDArray[np.int64]:
        """int64 (n,) number of the slide or patient of every image; every image its own where no column names them."""
        if self.group is None:
            return np.arange(len(self))
        return np.unique([str(value) for value in self.metadata[self.group]], return_inverse=True)[1].astype(np.int64)

    @property
    def heldout(self) -> NDArray[np.bool_]:
        """bool (n,), True for images that only metrics may see."""
        return np.asarray(self.splits == HELDOUT)

    @property
    def train(self) -> "Images":
        """The images that everything is fitted on."""
        return self.take(np.flatnonzero(self.splits == TRAIN))

    @property
    def validation(self) -> "Images":
        """Images that are embedded, assigned and watched while training, but never fitted on; often none."""
        return self.take(np.flatnonzero(self.splits == VALIDATION))

    @property
    def held_out(self) -> "Images":
        return self.take(np.flatnonzero(self.heldout))

    @property
    def seen(self) -> "Images":
        """All that stages before the metrics may look at."""
        return self.take(np.flatnonzero(~self.heldout))

    def take(self, rows: NDArray[np.int64]) -> "Images":
        return replace(
            self,
            ids=[self.ids[row] for row in rows],
            labels=self.labels[rows],
            splits=self.splits[rows],
            sha256=[self.sha256[row] for row in rows],
            sizes=self.sizes[rows],
            metadata={name: [values[row] for row in rows] for name, values in self.metadata.items()},
        )

    def select(self, ids: list[str]) -> "Images":
        """The rows with these ids, in their order."""
        return self.take(self.rows(ids))

    def rows(self, ids: list[str]) -> NDArray[np.int64]:
        """int64 (m,) rows of the images with these ids."""
        row_of = {image_id: row for row, image_id in enumerate(self.ids)}
        return np.array([row_of[image_id] for image_id in ids], dtype=np.int64)

    @property
    def reader(self) -> Reader:
        if self.framing is None or not self.framing.columns_read:
            return Reader(self.source, self.window, self.framing)
        records = {image_id: self.record(row) for row, image_id in enumerate(self.ids)}
        return Reader(self.source, self.window, self.framing, records)

    def record(self, row: int) -> dict[str, object]:
        """What the framing asks for of an image."""
        names = self.framing.columns_read if self.framing else ()
        return {name: self.metadata[name][row] for name in names}

    @property
    def sides(self) -> NDArray[np.int64]:
        """int64 (n,) pixels of a side of the square that is seen of each image."""
        if self.framing is None:
            return np.asarray(self.sizes.min(axis=1))
        seen = [self.framing.side(int(w), int(h), self.record(row)) for row, (w, h) in enumerate(self.sizes)]
        return np.array(seen, dtype=np.int64)

    def _cropped_away(self) -> float:
        """Share of the pixels that nobody sees because images are not square; 0 where a region is asked for."""
        if not len(self) or (self.framing is not None and self.framing.columns_read):
            return 0.0
        seen = np.minimum(self.sizes, self.sides[:, None]) / self.sizes
        return 1 - float(seen.prod(axis=1).mean())

    @property
    def contents(self) -> list[str]:
        """Digests of what is seen of each image, but for how it is framed where that is the same for all."""
        if self.framing is None or not self.framing.columns_read:
            return self.sha256
        return [digest([sha256, self.record(row)]) for row, sha256 in enumerate(self.sha256)]

    @property
    def window(self) -> tuple[float, float] | None:
        """The values of deep grey that become black and white; None where no image has any."""
        window = self.pixels.get("window")
        return (window[0], window[1]) if window else None

    @property
    def shown(self) -> NDArray[np.bool_]:
        """bool (n, findings), True where an image shows a finding; of a dataset with findings."""
        return self.findings.shown(self.label_names)[self.labels]

    @property
    def strata(self) -> NDArray[np.int64]:
        """int64 (n,) what draws keep the shares of: the label; of images with several findings, the rarest of these."""
        return rarest(self.shown) if self.findings else self.labels

    def label_of(self, row: int) -> str | None:
        return self.label_names[self.labels[row]] if self.labels[row] >= 0 else None

    def read(self, row: int) -> NDArray[np.uint8]:
        image_id = self.ids[row]
        return Reader(self.source, self.window, self.framing, {image_id: self.record(row)})(image_id)

    def read_square(self, row: int, size_px: int) -> NDArray[np.uint8]:
        """RGB pixels (size_px, size_px, 3): shorter side resized, then the centre cropped."""
        from mep.imaging.pixels import square

        return square(self.read(row), size_px)

    def save(self, folder: Path) -> None:
        columns: Table = {"id": self.ids, "label": self.labels.tolist()}
        columns |= {"split": [SPLITS[split] for split in self.splits], "sha256": self.sha256}
        columns |= {"width": self.sizes[:, 0].tolist(), "height": self.sizes[:, 1].tolist()}
        save_table(folder / "images.parquet", columns)
        if self.metadata:
            save_table(folder / "metadata.parquet", self.metadata)
        write_json(folder / "labels.json", self.label_names)
        write_json(folder / "pixels.json", self.pixels)
        save_findings(folder, self.findings)

    @classmethod
    def load(cls, folder: Path, config: Config) -> Self:
        rows = load_table(folder / "images.parquet")
        extra = folder / "metadata.parquet"
        return cls(
            ids=rows["id"],
            labels=np.array(rows["label"], dtype=np.int64),
            label_names=read_json(folder / "labels.json"),
            splits=np.array([SPLITS.index(split) for split in rows["split"]], dtype=np.int8),
            sha256=rows["sha256"],
            sizes=np.column_stack([rows["width"], rows["height"]]).astype(np.int64),
            metadata=load_table(extra) if extra.exists() else {},
            source=config.source,  # type: ignore[attr-defined]
            group=config.group,  # type: ignore[attr-defined]
            truth=config.truth,  # type: ignore[attr-defined]
            pixels=read_json(folder / "pixels.json"),
            findings=load_findings(folder),
            framing=config.framing if config.framing.frames else None,  # type: ignore[attr-defined]
        )

    def facts(self) -> Mapping[str, object]:
        facts = {
            "train": int((self.splits == TRAIN).sum()),
            "validation": int((self.splits == VALIDATION).sum()),
            "held out": int(self.heldout.sum()),
            "labels": len(self.label_names),
            "findings": len(self.findings.names),
            "near duplicates": self.pixels.get("near_duplicates", 0),
            "of them across given splits": self.pixels.get("straddling", 0),
            "excluded": self.pixels.get("excluded", 0),
            "cropped away": f"{share:.0%}" if (share := self._cropped_away()) >= WORTH_TELLING else "",
        }
        return {name: n for name, n in facts.items() if n or name == "labels"}
