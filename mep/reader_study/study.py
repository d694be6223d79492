"""Which images readers see, in which order, and the key that is kept apart."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from mep.artifacts import Artifact, Images, Samples
from mep.errors import UsageError
from mep.imaging.pixels import square
from mep.recipe import load_recipe
from mep.stages import maker_of
from mep.store import Store, now

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from mep.recipe import Recipe

ArtifactT = TypeVar("ArtifactT", bound=Artifact)

REAL, SYNTHETIC = "real", "synthetic"


@dataclass(frozen=True, eq=False)
class Item:
    """One image and where it came from.

    truth   real or synthetic
    arm     of a synthetic image, empty for a real one
    image   id in the dataset, or file name among the samples
    """

    truth: str
    arm: str
    image: str
    label: str | None
    pixels: NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Study:
    """Images of one size in random order; an item's number is its place, from 1."""

    run_id: str
    seed: int
    size_px: int
    items: list[Item]

    @property
    def id(self) -> str:
        """Ties answers to their key; made of the pixels alone, so that it gives nothing away."""
        found = hashlib.sha256()
        for item in self.items:
            found.update(item.pixels.tobytes())
        return found.hexdigest()[:10]

    def key(self) -> dict[str, Any]:
        """Everything that the page must not hold."""
        about = {"study": self.id, "run_id": self.run_id, "seed": self.seed, "size_px": self.size_px, "made_at": now()}
        items = [
            {"item": number, "truth": one.truth, "arm": one.arm, "image": one.image, "label": one.label}
            for number, one in enumerate(self.items, 1)
        ]
        return about | {"items": items}


@dataclass(frozen=True)
class _Candidate:
    truth: str
    arm: str
    image: str
    label: str | None
    row: int


def page_path(store: Store, run_id: str, study_id: str) -> Path:
    return store.run_folder(run_id) / "reader-study" / f"{study_id}.html"


def key_path(store: Store, run_id: str, study_id: str) -> Path:
    """Beside the pages' folder, not in it: that folder may be sent away as it is."""
    return store.run_folder(run_id) / "reader-keys" / f"{study_id}.json"


def draw(
    store: Store,
    run_id: str,
    *,
    arms: tuple[str, ...] = (),
    n_images: int = 100,
    size_px: int | None = None,
    seed: int | None = None,
) -> Study:
    """Half real held-out images, half synthetic ones, the same labels among both; the arms share their half evenly.

    arms        default: all of the run, of repeated ones the first
    size_px     side of every image; default: that of the synthetic ones
    seed        default: drawn by the system, so that nobody can work out the order from the recipe

    UsageError  no such arm, an arm without images, arms that differ in the real images or the size, too few images
    """
    recipe = load_recipe(store.run_folder(run_id) / "recipe.lock.yaml", paths_must_exist=False)
    named = _arms(recipe, arms)
    images = _real_images(store, run_id, recipe, named)
    samples = {arm: _load(store, run_id, recipe, arm, Samples) for arm in named}
    seed = secrets.randbits(63) if seed is None else seed
    rng = np.random.default_rng([seed, n_images])
    real = _real_candidates(images, rng)
    made = {arm: _synthetic_candidates(arm, one, rng) for arm, one in samples.items()}
    chosen = _choose(real, made, n_images // 2)
    listed = {arm: one.rows for arm, one in samples.items()}

    def pixels(one: _Candidate) -> NDArray[np.uint8]:
        return images.read(one.row) if one.truth == REAL else samples[one.arm].read(listed[one.arm][one.row])

    size = size_px or _common_size([pixels(one) for one in chosen if one.truth == SYNTHETIC])
    order = rng.permutation(len(chosen))
    items = [
        Item(one.truth, one.arm, one.image, one.label, square(pixels(one), size))
        for one in (chosen[place] for place in order)
    ]
    return Study(run_id, seed, size, items)


def _arms(recipe: Recipe, wanted: tuple[str, ...]) -> list[str]:
    known = list(recipe.arms)
    for arm in wanted:
        if arm not in known:
            raise UsageError(f"the run has no arm '{arm}'", hint=f"arms: {', '.join(known)}")
    return list(dict.fromkeys(wanted)) or [arm for arm in known if "#" not in arm]


def _load(store: Store, run_id: str, recipe: Recipe, arm: str, kind: type[ArtifactT]) -> ArtifactT:
    stage, experiment = maker_of(kind), recipe.arms[arm]
    rows = store.db.query(
        "SELECT artifact_id FROM uses WHERE run_id = ? AND arm = ? AND stage = ?", run_id, arm, stage.name
    )
    if not rows or not store.has(rows[0]["artifact_id"]):
        raise UsageError(f"arm {arm} of {run_id} has no result of {stage.name}", hint=f"make it: mep resume {run_id}")
    return store.load(kind, rows[0]["artifact_id"], stage.view(getattr(experiment, stage.section)))


def _real_images(store: Store, run_id: str, recipe: Recipe, arms: list[str]) -> Images:
    found = [_load(store, run_id, recipe, arm, Images).held_out for arm in arms]
    if any(one.sha256 != found[0].sha256 for one in found):
        raise UsageError("the arms have different held-out images", hint=f"take one: --arm {arms[0]}")
    return found[0]


def _real_candidates(images: Images, rng: np.random.Generator) -> list[_Candidate]:
    """In random order, but one of every slide or patient before a second of any."""
    order = rng.permutation(len(images))
    seen: dict[int, int] = {}
    turn = []
    for row in order:
        group = int(images.groups[row])
        turn.append(seen.get(group, 0))
        seen[group] = turn[-1] + 1
    rows = order[np.argsort(turn, kind="stable")]
    return [_Candidate(REAL, "", images.ids[row], images.label_of(row), int(row)) for row in rows]


def _synthetic_candidates(arm: str, samples: Samples, rng: np.random.Generator) -> list[_Candidate]:
    listed = samples.rows
    return [
        _Candidate(SYNTHETIC, arm, listed[row]["file_name"], listed[row].get("label"), int(row))
        for row in rng.permutation(len(listed))
    ]


def _choose(real: list[_Candidate], made: dict[str, list[_Candidate]], n_each: int) -> list[_Candidate]:
    """The first of every label, as many real as synthetic ones; without labels on either side, the first of all."""
    pools = [real, *made.values()]
    labelled = all(one.label is not None for pool in pools for one in pool)
    labels: list[str | None] = [None]
    if labelled:
        known = sorted({str(one.label) for one in real})
        labels = [label for label in known if all(any(one.label == label for one in pool) for pool in pools)]
    if not labels:
        raise UsageError("no label has both real held-out and synthetic images", hint="readers would tell by the label")
    chosen = []
    for label, n in zip(labels, _shares(n_each, len(labels)), strict=True):
        chosen += _first(real, label, n, "real held-out")
        for (arm, pool), own in zip(made.items(), _shares(n, len(made)), strict=True):
            chosen += _first(pool, label, own, f"synthetic ({arm})")
    return chosen


def _first(pool: list[_Candidate], label: str | None, n: int, kind: str) -> list[_Candidate]:
    found = [one for one in pool if label is None or one.label == label][:n]
    if len(found) < n:
        named = f" labelled '{label}'" if label is not None else ""
        raise UsageError(f"{n} {kind} images{named} are needed, there are {len(found)}", hint="ask for fewer: --images")
    return found


def _shares(n: int, parts: int) -> list[int]:
    """n in whole numbers, as even as can be."""
    return [n // parts + (place < n % parts) for place in range(parts)]


def _common_size(made: list[NDArray[np.uint8]]) -> int:
    sizes = {min(pixels.shape[:2]) for pixels in made}
    if len(sizes) > 1:
        raise UsageError(
            f"synthetic images come in several sizes: {', '.join(map(str, sorted(sizes)))} px",
            hint=f"bring all to one: --size {min(sizes)}",
        )
    return sizes.pop()
