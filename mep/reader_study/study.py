"""Which images readers see, in which order, and the key that is kept apart."""

import hashlib
import secrets
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mep.artifacts import Images, Samples
from mep.errors import UsageError
from mep.imaging.pixels import square
from mep.recipe import Recipe, load_recipe
from mep.recipe.model import repeat_of
from mep.stages import maker_of
from mep.store import ArtifactT, Store, now

REAL, SYNTHETIC = "real", "synthetic"


Key = dict[str, Any]
"""Everything that the page must not hold: study, run_id, seed, size_px, made_at, and a row for each of its items."""


@dataclass(frozen=True)
class Candidate:
    """An image that may be shown.

    truth   real or synthetic
    arm     of a synthetic image, empty for a real one
    image   id in the dataset, or file name among the samples
    row     in the dataset, or among the samples
    """

    truth: str
    arm: str
    image: str
    label: str | None
    row: int


@dataclass(frozen=True, eq=False)
class Item(Candidate):
    """An image that is shown; `first` is the place of the same image where it is shown a second time."""

    pixels: NDArray[np.uint8]
    first: int | None = None


@dataclass(frozen=True, eq=False)
class Study:
    """Images of one size in random order; an item's number is its place, from 1.

    types   what readers may say that an image shows, in a second question; empty where there is none
    """

    run_id: str
    seed: int
    size_px: int
    items: list[Item]
    types: list[str] = field(default_factory=list)

    @property
    def id(self) -> str:
        """Ties answers to their key; made of the pixels alone, so that it gives nothing away."""
        return hashlib.sha256(b"".join(item.pixels.tobytes() for item in self.items)).hexdigest()[:10]

    def key(self) -> Key:
        origin = {"study": self.id, "run_id": self.run_id, "seed": self.seed, "size_px": self.size_px}
        items = [
            {"item": number, "truth": item.truth, "arm": item.arm, "image": item.image, "label": item.label}
            | {"repeats": None if item.first is None else item.first + 1}
            for number, item in enumerate(self.items, 1)
        ]
        return origin | {"made_at": now(), "types": self.types, "items": items}


def page_path(store: Store, run_id: str, study_id: str) -> Path:
    return store.run_folder(run_id) / "reader-study" / f"{study_id}.html"


def key_path(store: Store, run_id: str, study_id: str) -> Path:
    """Beside the pages' folder, not in it: that folder may be sent away as it is."""
    return store.run_folder(run_id) / "reader-keys" / f"{study_id}.json"


@dataclass(frozen=True)
class Design:
    """
    arms        default: all of the run, of repeated ones the first
    n_images    half of them real
    size_px     side of every image; default: that of the synthetic ones
    n_repeated  images that come a second time, to see whether readers agree with themselves
    name_labels whether readers also name the label that they see
    seed        default: drawn by the system, so that nobody can work out the order from the recipe
    """

    arms: tuple[str, ...] = ()
    n_images: int = 100
    size_px: int | None = None
    n_repeated: int = 0
    name_labels: bool = False
    seed: int | None = None


def draw(store: Store, run_id: str, design: Design) -> Study:
    """Half real held-out images, half synthetic ones, the same labels among both; the arms share their half evenly.

    UsageError  no such arm, an arm without images, arms that differ in the real images or the size, too few images,
                more repeats than images, labels to name where there are no two
    """
    recipe = load_recipe(store.run_folder(run_id) / "recipe.lock.yaml", paths_must_exist=False)
    names = _arms(recipe, design.arms)
    held_out = [_load(store, run_id, recipe, arm, Images).held_out for arm in names]
    if any(images.sha256 != held_out[0].sha256 for images in held_out):
        raise UsageError("the arms have different held-out images", hint=f"take one: --arm {names[0]}")
    images = held_out[0]
    samples = {arm: _load(store, run_id, recipe, arm, Samples) for arm in names}
    rows = {arm: drawn.rows for arm, drawn in samples.items()}
    seed = secrets.randbits(63) if design.seed is None else design.seed
    rng = np.random.default_rng([seed, design.n_images])
    real = _real_candidates(images, rng)
    synthetic = {
        arm: [
            Candidate(SYNTHETIC, arm, rows[arm][row]["file_name"], rows[arm][row].get("label"), int(row))
            for row in rng.permutation(len(rows[arm]))
        ]
        for arm in names
    }

    def pixels(image: Candidate) -> NDArray[np.uint8]:
        return images.read(image.row) if image.truth == REAL else samples[image.arm].read(rows[image.arm][image.row])

    chosen = _choose(real, synthetic, design.n_images // 2)
    size = design.size_px or _common_size([pixels(image) for image in chosen if image.truth == SYNTHETIC])
    shown = [chosen[place] for place in rng.permutation(len(chosen))]
    items = [Item(**vars(image), pixels=square(pixels(image), size)) for image in shown]
    types = _types(chosen) if design.name_labels else []
    return Study(run_id, seed, size, _with_repeats(items, design.n_repeated, rng), types)


def _with_repeats(items: list[Item], n: int, rng: np.random.Generator) -> list[Item]:
    """Some items a second time, the copies anywhere among the others; the page keeps the two apart."""
    if n > len(items):
        raise UsageError(f"{n} of {len(items)} images cannot be repeated", hint="repeat fewer: --repeats")
    places = rng.permutation(len(items))[:n].tolist()
    order = rng.permutation(len(items) + n).tolist()
    new_place = {old: new for new, old in enumerate(order)}
    extended = [*items, *(replace(items[place], first=new_place[place]) for place in places)]
    return [extended[old] for old in order]


def _types(chosen: list[Candidate]) -> list[str]:
    labels = sorted({image.label for image in chosen if image.label is not None})
    if len(labels) < 2:
        raise UsageError("there are no two labels that readers could name", hint="leave out --name-labels")
    return labels


def _arms(recipe: Recipe, wanted: tuple[str, ...]) -> list[str]:
    for arm in wanted:
        if arm not in recipe.arms:
            raise UsageError(f"the run has no arm '{arm}'", hint=f"arms: {', '.join(recipe.arms)}")
    return list(dict.fromkeys(wanted)) or [arm for arm in recipe.arms if repeat_of(arm)[1] == 1]


def _load(store: Store, run_id: str, recipe: Recipe, arm: str, kind: type[ArtifactT]) -> ArtifactT:
    stage, experiment = maker_of(kind), recipe.arms[arm]
    rows = store.db.query(
        "SELECT artifact_id FROM uses WHERE run_id = ? AND arm = ? AND stage = ?", run_id, arm, stage.name
    )
    if not rows or not store.has(rows[0]["artifact_id"]):
        raise UsageError(f"arm {arm} of {run_id} has no result of {stage.name}", hint=f"make it: mep resume {run_id}")
    return store.load(kind, rows[0]["artifact_id"], stage.view(experiment))


def _real_candidates(images: Images, rng: np.random.Generator) -> list[Candidate]:
    """In random order, but one of every slide or patient before a second of any."""
    order = rng.permutation(len(images))
    n_seen: Counter[int] = Counter()
    turn = []
    for group in images.groups[order]:
        turn.append(n_seen[group])
        n_seen[group] += 1
    rows = order[np.argsort(turn, kind="stable")]
    return [Candidate(REAL, "", images.ids[row], images.label_of(row), int(row)) for row in rows]


def _choose(real: list[Candidate], synthetic: dict[str, list[Candidate]], n_each: int) -> list[Candidate]:
    """The first of every label, as many real as synthetic ones; without labels on either side, the first of all."""
    pools = [real, *synthetic.values()]
    label_sets = [{image.label for image in pool} for pool in pools]
    labels: list[str | None] = [None]
    if None not in set.union(*label_sets):
        labels = sorted(set.intersection(*label_sets), key=str)
    if not labels:
        raise UsageError("no label has both real held-out and synthetic images", hint="readers would tell by the label")
    chosen = []
    for label, n in zip(labels, _shares(n_each, len(labels)), strict=True):
        chosen += _first(real, label, n, "real held-out")
        for (arm, pool), n_of_arm in zip(synthetic.items(), _shares(n, len(synthetic)), strict=True):
            chosen += _first(pool, label, n_of_arm, f"synthetic ({arm})")
    return chosen


def _first(pool: list[Candidate], label: str | None, n: int, kind: str) -> list[Candidate]:
    images = [image for image in pool if label in (None, image.label)][:n]
    if len(images) < n:
        labelled = f" labelled '{label}'" if label is not None else ""
        raise UsageError(
            f"{n} {kind} images{labelled} are needed, there are {len(images)}", hint="ask for fewer: --images"
        )
    return images


def _shares(n: int, parts: int) -> list[int]:
    """n in whole numbers, as even as can be."""
    return [n // parts + (place < n % parts) for place in range(parts)]


def _common_size(images: list[NDArray[np.uint8]]) -> int:
    sizes = sorted({int(min(pixels.shape[:2])) for pixels in images})
    if len(sizes) > 1:
        raise UsageError(
            f"synthetic images come in several sizes: {', '.join(map(str, sizes))} px",
            hint=f"bring all to one: --size {sizes[0]}",
        )
    return sizes[0]
