"""Scores of plain folders of images, without a recipe: one real, one or several synthetic.

Features are kept by content: sha256 of the files in order, of the extractor, and of how images reach it. A second look
at the same images computes none of them again.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mep.config import digest
from mep.errors import DataError
from mep.evaluation.evaluate import N_HALVES, Scored, Space, drawn, evaluate
from mep.evaluation.features import features_of, file_formats, protocol_of
from mep.evaluation.groups import evaluate_groups
from mep.evaluation.protocol import unlike
from mep.evaluation.uncertainty import difference, holm
from mep.imaging.pixels import square, to_rgb
from mep.machine.files import sha256_of, write_atomically
from mep.machine.settings import ONE_PROCESS
from mep.machine.work import NullProgress, Progress, Work
from mep.methods.extractors import Extractor
from mep.methods.scores import Score
from mep.methods.scores.kid import permutation_p
from mep.methods.sources.imagefolder import ImageFolder

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Folder:
    """The images of a folder.

    ids         names, sorted
    sha256      of every file
    sizes       int64 (n, 2) width, height
    modes       Pillow's names of the kinds of pixels, RGB, L and so on -> how many images
    columns     metadata by name, n values each; the folders that images lie in are `label`
    """

    path: Path
    ids: list[str]
    sha256: list[str]
    sizes: NDArray[np.int64]
    modes: Counter[str]
    columns: dict[str, list[Any]]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def format(self) -> str:
        """What the files are: `png RGB`."""
        return f"{file_formats(self.ids)} {'+'.join(sorted(self.modes))}"

    def read(self, row: int, size_px: int | None) -> NDArray[np.uint8]:
        from PIL import Image

        try:
            with Image.open(self.path / self.ids[row]) as image:
                pixels = to_rgb(image)
        except Exception as error:  # Pillow raises OSError, SyntaxError, ValueError and more on bad files
            raise DataError(f"{self.path / self.ids[row]} does not decode: {error}", hint="replace it") from error
        return pixels if size_px is None else square(pixels, size_px)


def open_folder(path: Path) -> Folder:
    """List a folder and read the headers of its images.

    DataError   no folder, no image in it, a single one, or a file that is no image
    """
    from PIL import Image

    records = ImageFolder(kind="imagefolder", path=path).records()
    if len(records) < 2:
        held = "no image" if not records else f"a single image, {records[0].id}"
        raise DataError(f"{path} holds {held}", hint="at least two are needed, and hundreds to say anything")
    sizes, modes = [], Counter[str]()
    for record in records:
        try:
            with Image.open(path / record.id) as image:
                sizes.append(image.size)
                modes[image.mode] += 1
        except OSError as error:
            raise DataError(f"{path / record.id} is no image: {error}", hint="replace it or take it out") from error
    names = dict.fromkeys(name for record in records for name in record.metadata)
    return Folder(
        path=path,
        ids=[record.id for record in records],
        sha256=[sha256_of(path / record.id) for record in records],
        sizes=np.array(sizes, dtype=np.int64),
        modes=modes,
        columns={name: [record.metadata.get(name) for record in records] for name in names},
    )


def common_resolution(folders: Sequence[Folder]) -> int | None:
    """Side in pixels to which all images are brought; None where all are of one size, and stay as they are.

    The least of the folders' median shorter sides: enlarging one set would compare sharp images with blurred ones.
    """
    sizes = np.unique(np.concatenate([folder.sizes for folder in folders]), axis=0)
    if len(sizes) == 1:
        return None
    return int(min(np.median(folder.sizes.min(axis=1)) for folder in folders))


@dataclass(frozen=True)
class Machine:
    """Where features are computed and kept."""

    cache: Path
    device: str = "cpu"
    batch_size: int = 64
    progress: Callable[[str], Progress] = lambda title: NullProgress()


def features(folder: Folder, extractor: Extractor, size_px: int | None, machine: Machine) -> NDArray[np.float32]:
    """float32 (n, d), from the cache where the same images went through the same extractor before."""
    known = {"images": folder.sha256, "extractor": extractor.digest(), "protocol": extractor.protocol()}
    key = digest(known | {"kind": extractor.name, "size_px": size_px})
    path = machine.cache / f"{key}.npy"
    if path.exists():
        return np.asarray(np.load(path, allow_pickle=False))
    batch_size = 1 if size_px is None and len(np.unique(folder.sizes, axis=0)) > 1 else machine.batch_size
    work = Work(
        folder=machine.cache / "work" / key,
        machine=ONE_PROCESS.model_copy(update={"device": machine.device, "batch_size": batch_size}),
        progress=machine.progress(f"{extractor.name}, {folder.path}"),
    )

    def read(rows: Sequence[int]) -> NDArray[np.uint8]:
        return np.stack([folder.read(row, size_px) for row in rows])

    found = features_of("shards", read, len(folder), extractor.load(machine.device), work)
    write_atomically(path, lambda file: np.save(file, found, allow_pickle=False))
    shutil.rmtree(work.folder)
    return found


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Rows of every synthetic folder, and how each compares with the first.

    rows            folder -> rows
    comparisons     metric, extractor, group, folder, baseline, difference, se, low, high, p (of 0 difference), p_holm
                    (among all but the first metric), p_permutation (of kid), or the reason why there is none
    """

    rows: dict[str, list[Scored]]
    comparisons: list[dict[str, Any]]


def evaluate_folders(
    real: Folder,
    synthetic: Sequence[Folder],
    train: Folder | None,
    extractors: Sequence[Extractor],
    scores: Sequence[Score],
    machine: Machine,
    *,
    by: Sequence[str] = (),
    group: str | None = None,
    size_px: int | None = None,
    seed: int = 0,
    n_halves: int = N_HALVES,
) -> Evaluation:
    """Score every synthetic folder against the real one, all at equal numbers.

    by          metadata columns, `label` say, whose values are scored one by one as well
    group       metadata column of the real images, a slide or a patient, whose images are not independent
    size_px     side to which all images are brought; None: by `common_resolution`

    DataError   unlike folders, a column that is not there, features that are not finite
    """
    size = size_px or common_resolution([real, *synthetic, *([train] if train else [])])
    rows: dict[str, list[Scored]] = {str(folder.path): [] for folder in synthetic}
    ps: dict[tuple[str, str], float] = {}
    most = min(map(len, [real, *synthetic]))
    groups = None if group is None else np.unique(_column(real, group), return_inverse=True)[1]
    for extractor in extractors:
        of_real = features(real, extractor, size, machine)
        of_train = None if train is None else features(train, extractor, size, machine)
        made = {str(folder.path): features(folder, extractor, size, machine) for folder in synthetic}
        for folder in synthetic:
            about = protocol_of(extractor, of_real.shape[1], size)
            about["image_format"] = {"real": real.format, "fake": folder.format}
            about["flags"] = ["unlike_channels"] if set(real.modes) != set(folder.modes) else []
            fake = made[str(folder.path)]
            space = Space(about, of_real, {"samples": fake}, of_train, groups, metric_name=extractor.metric_name)
            options: dict[str, Any] = {"seed": seed, "n_halves": n_halves, "device": machine.device}
            own = evaluate(space, scores, most=most, **options)
            for column in by:
                own += evaluate_groups(space, scores, column, _column(real, column), _column(folder, column), **options)
            rows[str(folder.path)] += own
        for name, other in list(made.items())[1:]:
            sets = [one[drawn(len(one), most, seed, 1)] for one in (next(iter(made.values())), other)]
            ps[extractor.name, name] = permutation_p(of_real, *sets, seed=seed)
    return Evaluation(rows, _comparisons(rows, ps))


def _column(folder: Folder, name: str) -> list[str]:
    if name not in folder.columns:
        raise DataError(
            f"the images in {folder.path} have no column '{name}'",
            hint=f"columns: {', '.join(folder.columns) or 'none; add a metadata.jsonl, or a folder for each label'}",
        )
    return [str(value) for value in folder.columns[name]]


def _comparisons(rows: dict[str, list[Scored]], ps: dict[tuple[str, str], float]) -> list[dict[str, Any]]:
    (first, baseline), *others = rows.items()
    found = []
    for name, own in others:
        named = {_place(row): row for row in own}
        compared = [
            _compared(row, named[_place(row)]) | {"folder": name, "baseline": first}
            for row in baseline
            if _place(row) in named and row.row.subject == "samples" and not row.row.metric.endswith("_null")
        ]
        secondary = [one for one in compared[1:] if "p" in one]  # the first metric is the one that was named beforehand
        for one, p in zip(secondary, holm([one["p"] for one in secondary]), strict=True):
            one["p_holm"] = p
        for one in compared:
            if (one["metric"], one["group"], one["reference"]) == ("kid", "all", "heldout"):
                one["p_permutation"] = ps[one["extractor"], name]
        found += compared
    return found


def _place(row: Scored) -> tuple[str, ...]:
    fields = row.row.to_json()
    return tuple(str(fields[name]) for name in ("extractor", "metric", "subject", "reference", "group"))


def _compared(first: Scored, other: Scored) -> dict[str, Any]:
    """Other minus first, or why that is not given."""
    fields = first.row.to_json()
    known = {name: fields[name] for name in ("extractor", "metric", "reference", "group", "better")}
    reasons = unlike(fields, other.row.to_json())
    if reasons:
        return known | {"unlike": reasons, "reason": f"they differ in {', '.join(reasons)}"}
    values = first.row.estimate.value, other.row.estimate.value
    if values[0] is None or values[1] is None:
        return known | {"reason": first.row.reason or other.row.reason}
    if not (np.isfinite(first.halves).all() and np.isfinite(other.halves).all() and len(first.halves) > 1):
        return known | {"difference": values[1] - values[0], "reason": "there are no halves to tell how certain it is"}
    delta = difference(other.halves, first.halves, values[1], values[0])
    told = {"difference": delta.value, "se": delta.se, "low": delta.low, "high": delta.high, "p": delta.p}
    return known | told
