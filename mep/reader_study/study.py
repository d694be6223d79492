"""Which images readers see, in which order, and the key that is kept apart."""

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mep.artifacts import Assignment, Clusters, Images, Prompts, Samples, TrainingSet
from mep.errors import UsageError
from mep.imaging.pixels import square
from mep.methods.namers import Namer
from mep.reader_study.candidates import REAL, SYNTHETIC, Candidate, choose, real_candidates
from mep.reader_study.types import Types, clusters_by_example
from mep.recipe import Recipe, load_recipe
from mep.recipe.model import repeat_of
from mep.stages import maker_of
from mep.store import ArtifactT, Store, now

TYPE_PX = 96
"""Side of the images that show a type."""

Key = dict[str, Any]
"""Everything that the page must not hold: study, run_id, seed, size_px, made_at, and a row for each of its items."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Item(Candidate):
    """An image that is shown; `first` is the place of the same image where it is shown a second time."""

    pixels: NDArray[np.uint8]
    first: int | None = None


@dataclass(frozen=True, eq=False)
class Study:
    """Images of one size in random order; an item's number is its place, from 1.

    types       what readers may say that an image shows, in a second question; empty where there is none
    examples    type -> real images that show it; empty for types that readers know by name
    """

    run_id: str
    seed: int
    size_px: int
    items: list[Item]
    types: list[str] = field(default_factory=list)
    examples: dict[str, list[NDArray[np.uint8]]] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """Ties answers to their key; made of the pixels alone, so that it gives nothing away."""
        return hashlib.sha256(b"".join(item.pixels.tobytes() for item in self.items)).hexdigest()[:10]

    def key(self) -> Key:
        origin = {"study": self.id, "run_id": self.run_id, "seed": self.seed, "size_px": self.size_px}
        items = [
            {"item": number, "truth": item.truth, "arm": item.arm, "image": item.image, "label": item.label}
            | {"type": item.type}
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
    name        labels or clusters: readers also name what they see; of clusters, arms whose captions name none
                are left out
    seed        default: drawn by the system, so that nobody can work out the order from the recipe
    """

    arms: tuple[str, ...] = ()
    n_images: int = 100
    size_px: int | None = None
    n_repeated: int = 0
    name: Literal["labels", "clusters"] | None = None
    seed: int | None = None


def draw(store: Store, run_id: str, design: Design) -> Study:
    """Half real held-out images, half synthetic ones, the same labels among both; the arms share their half evenly.

    UsageError  no such arm, an arm without images, arms that differ in the real images or the size, too few images,
                more repeats than images, labels or clusters to name where there are no two
    """
    recipe = load_recipe(store.run_folder(run_id) / "recipe.lock.yaml", paths_must_exist=False)
    names = _arms(recipe, design.arms)
    held_out = [_load(store, run_id, recipe, arm, Images).held_out for arm in names]
    if any(images.sha256 != held_out[0].sha256 for images in held_out):
        raise UsageError("the arms have different held-out images", hint=f"take one: --arm {names[0]}")
    images = held_out[0]
    samples = {arm: _load(store, run_id, recipe, arm, Samples) for arm in names}
    rows = {arm: drawn.rows for arm, drawn in samples.items()}
    types = None
    if design.name == "clusters":
        names = _naming_clusters(rows, design.arms)
        types = _clusters(store, run_id, recipe, names, design.size_px or TYPE_PX)
    seed = secrets.randbits(63) if design.seed is None else design.seed
    rng = np.random.default_rng([seed, design.n_images])
    real = [
        _typed(one, design.name, types.of_real(one.image) if types else None) for one in real_candidates(images, rng)
    ]
    synthetic = {
        arm: [
            _typed(
                _sample(arm, rows[arm][row], int(row)), design.name, types.of_sample(rows[arm][row]) if types else None
            )
            for row in rng.permutation(len(rows[arm]))
        ]
        for arm in names
    }

    def pixels(image: Candidate) -> NDArray[np.uint8]:
        return images.read(image.row) if image.truth == REAL else samples[image.arm].read(rows[image.arm][image.row])

    if types:
        real, synthetic = _with_type(real), {arm: _with_type(pool) for arm, pool in synthetic.items()}
    chosen = choose(real, synthetic, design.n_images // 2, leave_out=types is not None)
    size = design.size_px or _common_size([pixels(image) for image in chosen if image.truth == SYNTHETIC])
    shown = [chosen[place] for place in rng.permutation(len(chosen))]
    items = [Item(**vars(image), pixels=square(pixels(image), size)) for image in shown]
    asked = sorted({image.type for image in chosen if image.type is not None})
    if design.name and len(asked) < 2:
        raise UsageError(f"there are no two {design.name} that readers could name", hint="leave out --name")
    examples = {name: types.examples[name] for name in asked} if types else {}
    return Study(run_id, seed, size, _with_repeats(items, design.n_repeated, rng), asked, examples)


def _sample(arm: str, row: Mapping[str, Any], place: int) -> Candidate:
    return Candidate(SYNTHETIC, arm, row["file_name"], row.get("label"), place)


def _typed(image: Candidate, name: str | None, cluster: str | None) -> Candidate:
    return replace(image, type=image.label if name == "labels" else cluster)


def _with_type(pool: list[Candidate]) -> list[Candidate]:
    return [image for image in pool if image.type is not None]


def _naming_clusters(rows: Mapping[str, Sequence[Mapping[str, object]]], wanted: tuple[str, ...]) -> list[str]:
    """Arms whose captions name a cluster."""
    found = [arm for arm, of in rows.items() if any(row.get("cluster") is not None for row in of)]
    if lacking := [arm for arm in wanted if arm not in found]:
        raise UsageError(f"captions of {lacking[0]} name no cluster", hint="take another arm, or --name labels")
    if not found:
        raise UsageError("no arm has captions that name a cluster", hint="ask for labels: --name labels")
    return found


def _clusters(store: Store, run_id: str, recipe: Recipe, arms: list[str], size_px: int) -> Types:
    loaded = [_load(store, run_id, recipe, arm, Clusters) for arm in arms]
    if any(not np.array_equal(one.labels, loaded[0].labels) for one in loaded):
        raise UsageError("the arms have different clusters", hint=f"take one: --arm {arms[0]}")
    images = _load(store, run_id, recipe, arms[0], Images)
    assignment = _load(store, run_id, recipe, arms[0], Assignment)
    names = _load(store, run_id, recipe, arms[0], TrainingSet).cluster_names
    captions = recipe.arms[arms[0]].prompts
    if isinstance(captions.cluster_names, Namer):
        names = names | _load(store, run_id, recipe, arms[0], Prompts).cluster_names
    names = names | captions.names_by_hand
    return clusters_by_example(images, loaded[0], assignment, names, size_px)


def _with_repeats(items: list[Item], n: int, rng: np.random.Generator) -> list[Item]:
    """Some items a second time, the copies anywhere among the others; the page keeps the two apart."""
    if n > len(items):
        raise UsageError(f"{n} of {len(items)} images cannot be repeated", hint="repeat fewer: --repeats")
    places = rng.permutation(len(items))[:n].tolist()
    order = rng.permutation(len(items) + n).tolist()
    new_place = {old: new for new, old in enumerate(order)}
    extended = [*items, *(replace(items[place], first=new_place[place]) for place in places)]
    return [extended[old] for old in order]


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


def _common_size(images: list[NDArray[np.uint8]]) -> int:
    sizes = sorted({int(min(pixels.shape[:2])) for pixels in images})
    if len(sizes) > 1:
        raise UsageError(
            f"synthetic images come in several sizes: {', '.join(map(str, sizes))} px",
            hint=f"bring all to one: --size {sizes[0]}",
        )
    return sizes[0]
