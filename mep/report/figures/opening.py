"""The strip of the first screen: real images, their reconstructions and samples of every arm, column by column."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from mep.artifacts import HELDOUT, Images, References
from mep.recipe.controls import is_control
from mep.report.data.runs import Report
from mep.report.figures.pictures import Picture, Pictures, Shot, spread
from mep.report.figures.strips import NO_LABEL, RealImages, SampleSet
from mep.report.text import clipped, plain
from mep.store.database import Row

N_COLUMNS, OPENING_BUDGET, SHOWN_PX = 5, 1_200_000, 192


@dataclass(frozen=True)
class Opening:
    """
    columns     label of every column
    rows        what a row is, the labels of its arms (empty for real images), its pictures
    """

    columns: list[str]
    rows: list[tuple[str, list[str], list[Picture]]]


def opening(report: Report, sets: Sequence[SampleSet]) -> Opening | None:
    """Evenly spread held-out images and samples of the same labels, controls aside; None before there are samples."""
    images = report.arms[0].get(Images) if report.arms else None
    if images is None or not sets:
        return None
    pictures, real = Pictures(OPENING_BUDGET, kept=report.kept), RealImages(images)
    kept = _reconstructed(report)
    held_out = [images.ids[row] for row in np.flatnonzero(images.splits == HELDOUT)]
    chosen = _columns(list(kept) or held_out, real)
    labels = [real.label_of(image_id) for image_id in chosen]
    rows: list[tuple[str, list[str], list[Picture]]] = []
    if chosen:
        rows.append(("real, held out", [], [real.picture(image_id, pictures) for image_id in chosen]))
    if kept:
        rows.append(("the same after the autoencoder", [], [_read(kept[name], name, pictures) for name in chosen]))
    studied = [one for one in sets if not all(map(is_control, one.arms))]
    for samples in studied or sets:
        found = [_sample(samples.rows, label, labels[:place].count(label)) for place, label in enumerate(labels)]
        shown = [samples.picture(row, pictures) for row in found if row is not None]
        rows.append(("generated", samples.arms, shown))
    return Opening(labels, rows)


def _columns(ids: Sequence[str], real: RealImages) -> list[str]:
    """Ids of so many images as there are columns, labels in turn, evenly spread within each."""
    by_label: dict[str, list[str]] = {}
    for image_id in ids:
        by_label.setdefault(real.label_of(image_id), []).append(image_id)
    each = -(-N_COLUMNS // max(len(by_label), 1))
    picked = [[of[at] for at in spread(len(of), each)] for of in by_label.values()]
    return [image_id for turn in range(each) for of in picked for image_id in of[turn : turn + 1]][:N_COLUMNS]


def _sample(rows: Sequence[Row], label: str, turn: int) -> Row | None:
    """One of the samples of a label, evenly spread over its prompts: the same place in every arm."""
    alike = [row for row in rows if (row["label"] or NO_LABEL) == label] or list(rows)
    return alike[spread(len(alike), N_COLUMNS)[turn % min(len(alike), N_COLUMNS)]] if alike else None


def _reconstructed(report: Report) -> dict[str, str]:
    """Image id -> file of its reconstruction, where the stage kept some."""
    artifact_id = report.arms[0].id_of(References)
    folder = report.store.folder(artifact_id) / "reconstructions" if artifact_id else None
    if folder is None or not (folder / "ids.txt").exists():
        return {}
    names = (folder / "ids.txt").read_text(encoding="utf-8").splitlines()
    paths = [folder / f"{number:02d}.png" for number in range(len(names))]
    return {name: str(path) for name, path in zip(names, paths, strict=True) if path.exists()}


def _read(path: str, image_id: str, pictures: Pictures) -> Picture:
    def read() -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"))

    return pictures.of(Shot(read), f"real image {clipped(plain(image_id))} after the autoencoder")
