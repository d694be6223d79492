"""Rows of pictures: real images, and the samples of arms."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from mep.artifacts import Images, Samples
from mep.recipe.model import repeat_of
from mep.report.data.artifacts import OpenArm
from mep.report.data.runs import Report
from mep.report.figures.pictures import Picture, Pictures, Shot, spread
from mep.report.text import clipped, plain
from mep.store.database import Row

NO_LABEL = "no label"


@dataclass(frozen=True)
class Strip:
    """Pictures in a row and what they are: samples of arms, or real images where `arms` is empty.

    arms    labels of the arms that share the samples
    n       images that there are, shown or not
    """

    arms: list[str]
    what: str
    n: int
    pictures: list[Picture]


class RealImages:
    """Pictures of the dataset by image id."""

    def __init__(self, images: Images):
        self.images = images
        self.row_of = {image_id: row for row, image_id in enumerate(images.ids)}
        self.read_by = repr((images.source.dump(), images.window, images.framing and images.framing.dump()))

    def label_of(self, image_id: str) -> str:
        return self.images.label_of(self.row_of[image_id]) or NO_LABEL

    def picture(self, image_id: str, pictures: Pictures) -> Picture:
        row = self.row_of[image_id]
        alt = f"real image {clipped(plain(image_id))}, {clipped(plain(self.label_of(image_id)))}"
        return pictures.of(self.shot(image_id), alt, int(self.images.take(np.array([row])).sides[0]))

    def shot(self, image_id: str) -> Shot:
        row = self.row_of[image_id]
        return Shot(partial(self.images.read, row), partial(self._state, row))

    def _state(self, row: int) -> str:
        """The file that an image is read from, with size and time of its last change, and how it is read."""
        image_id = self.images.ids[row]
        path = self.images.source.file_of(image_id)
        if path is None:
            return ""
        status = path.stat()
        file = str(path.absolute()), status.st_size, status.st_mtime_ns
        return repr((self.read_by, image_id, file, self.images.record(row)))

    def strip(self, what: str, image_ids: Sequence[str], n_shown: int, pictures: Pictures) -> Strip:
        """Evenly spread over the images."""
        shown = [self.picture(image_ids[number], pictures) for number in spread(len(image_ids), n_shown)]
        return Strip([], what, len(image_ids), shown)


@dataclass(frozen=True, eq=False)
class SampleSet:
    """The samples that some arms share, with what the first of them knows about them."""

    arms: list[str]
    arm: OpenArm
    samples: Samples
    rows: list[Row]

    def strip(self, rows: Sequence[Row], n_shown: int, pictures: Pictures, *, spread_out: bool) -> Strip:
        """Evenly spread over the rows, or the first of them."""
        numbers = spread(len(rows), n_shown) if spread_out else range(min(len(rows), n_shown))
        return Strip(self.arms, "generated", len(rows), [self.picture(rows[number], pictures) for number in numbers])

    def picture(self, row: Row, pictures: Pictures) -> Picture:
        alt = f"generated image {row['ordinal']} of {clipped(plain(row['text']))}"
        found = pictures.of(self.shot(row), alt)
        return replace(found, key=f"{plain(self.arms[0])}: {plain(row['file_name'])}")

    def shot(self, row: Row) -> Shot:
        return Shot(partial(self.samples.read, row), partial(in_artifact, self.samples.folder, row["file_name"]))


def sample_sets(report: Report) -> list[SampleSet]:
    """Every distinct set of samples, with its rows read once; of an arm with several trainings that of the first."""
    return [
        SampleSet(shared.labels, shared.arms[0], shared.artifact, shared.artifact.rows)
        for shared in report.shared(Samples)
        if has_first_training(shared.labels)
    ]


def in_artifact(folder: Path, name: str) -> str:
    """State of a file in an artifact, which never changes; FileNotFoundError where it is gone."""
    (folder / name).stat()
    return f"{folder.parent.name}/{folder.name}/{name}"


def has_first_training(labels: Sequence[str]) -> bool:
    """Whether some of these arms are not repeats; pictures of repeats would be more of the same."""
    return any(repeat_of(label)[1] == 1 for label in labels)
