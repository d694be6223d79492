"""Rows of pictures: real images, and samples of the arms."""

from collections.abc import Sequence
from dataclasses import dataclass

from mep.artifacts import Images, Samples
from mep.report.data.artifacts import OpenArm
from mep.report.data.runs import Report
from mep.report.figures.pictures import Picture, Pictures, spread
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

    def label_of(self, image_id: str) -> str:
        return self.images.label_of(self.row_of[image_id]) or NO_LABEL

    def picture(self, image_id: str, pictures: Pictures) -> Picture:
        row = self.row_of[image_id]
        alt = f"real image {clipped(plain(image_id))}, {clipped(plain(self.label_of(image_id)))}"
        return pictures.of(lambda: self.images.read(row), alt, int(self.images.sizes[row].min()))

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
        return pictures.of(lambda: self.samples.read(row), alt)


def sample_sets(report: Report) -> list[SampleSet]:
    """Every distinct set of samples, with its rows read once."""
    shared_sets = report.shared(Samples)
    return [SampleSet(shared.labels, shared.arms[0], shared.artifact, shared.artifact.rows) for shared in shared_sets]
