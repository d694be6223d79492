"""A folder with what others take away: a model repository, a dataset repository, or both."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import mep
from mep.artifacts import BaseModel, Images, Model, TrainingSet
from mep.diffusion.token_names import TOKENS
from mep.errors import UsageError
from mep.machine.files import link_or_copy, noticing_full_disk, read_json, write_json, write_text
from mep.report.data.artifacts import OpenArm
from mep.sharing.condition import patients_of, write_condition
from mep.sharing.croissant import croissant
from mep.sharing.dataset_card import dataset_card
from mep.sharing.finished import Finished
from mep.sharing.model_card import model_card, needs_base
from mep.sharing.pictures import some_of
from mep.sharing.selection import CaptionRule, Selection, select
from mep.sharing.shards import features_of, write_shards

Kind: TypeAlias = Literal["model", "dataset"]
KINDS: tuple[Kind, ...] = ("model", "dataset")
ABOUT = "published.json"
"""What was published of what, beside the repositories: written last, so that a folder with it is whole."""


@dataclass(frozen=True)
class Wish:
    """What is to be published.

    kinds       model, dataset
    repository  `org/name` on the hub, of both; empty where nothing is pushed
    publisher   institution or person who answers for it; empty where none is named
    """

    kinds: tuple[Kind, ...] = KINDS
    repository: str = ""
    license_id: str = ""
    publisher: str = ""
    captions: CaptionRule = "common"
    with_near: bool = False

    @property
    def spdx(self) -> str:
        """Address of the licence; empty where none is named. Hubs write identifiers small, SPDX as it names them."""
        name = self.license_id.upper() if self.license_id[:2].lower() == "cc" else self.license_id
        name = {"mit": "MIT", "apache-2.0": "Apache-2.0"}.get(name.lower(), name)
        return f"https://spdx.org/licenses/{name}" if name else ""

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"kinds": list(self.kinds)}

    def place_of(self, kind: Kind, folder: Path) -> str:
        """What `from_pretrained` and `load_dataset` are given: the repository, else where a folder lies."""
        return self.repository or f"{folder.name}/{kind}"

    def beside(self, kind: Kind) -> str:
        """The repository of the other kind, which a card names; empty where it is not published."""
        return self.repository if kind in self.kinds else ""


def publish(shared: Finished, wish: Wish, folder: Path) -> dict[str, Any]:
    """Write the repositories below a folder, whole or not at all; what they hold.

    A folder that holds just this already stays as it is.

    UsageError      the folder holds something else, or the run has not what is wished for
    """
    about: dict[str, Any] = {
        "mep": mep.__version__,
        "run": shared.run.run_id,
        "arm": shared.arm.name,
        "wish": wish.as_json(),
    }
    if (folder / ABOUT).is_file():
        before: dict[str, Any] = read_json(folder / ABOUT)
        if {name: before.get(name) for name in about} == about:
            return before
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is there already, and holds something else", hint="name a new folder: --output DIR")
    if "model" in wish.kinds:
        require_model(shared)
    chosen = select(shared, wish.captions, with_near=wish.with_near)
    about |= {"images": len(chosen.rows), "left_out": chosen.near, "silent_captions": chosen.n_silent}
    about |= {"copies": chosen.told}
    with _whole(folder) as new:
        if "model" in wish.kinds:
            write_model(shared, chosen, wish, new / "model", wish.place_of("model", folder))
        if "dataset" in wish.kinds:
            write_dataset(shared, chosen, wish, new / "dataset", wish.place_of("dataset", folder))
        about["files"] = {
            path.relative_to(new).as_posix(): path.stat().st_size for path in sorted(new.rglob("*")) if path.is_file()
        }
        write_json(new / ABOUT, about)
    return about


def require_model(shared: Finished) -> None:
    """UsageError: the arm has no model that may leave, or none any more."""
    arm = shared.arm
    if why := why_model_stays(shared):
        raise UsageError(f"{why}: it is not published", hint="the images that were drawn here: --only dataset")
    if not has_model(arm):
        hint = f"make it again: mep resume {shared.run.run_id}"
        raise UsageError(f"arm {arm.name} has no model: it is damaged or was collected", hint=hint)


def why_model_stays(shared: Finished) -> str:
    """Why the model of an arm does not leave; empty where it may."""
    arm = shared.arm
    if not arm.elsewhere:
        return ""
    return f"the {'images' if arm.elsewhere == 'images' else 'model'} of arm {arm.name} came from elsewhere"


def has_model(arm: OpenArm) -> bool:
    """Whether an arm has trained a model that is still there."""
    model = arm.get(Model)
    return not arm.elsewhere and model is not None and arm.get(BaseModel) is not None and model.pipeline.is_dir()


@contextmanager
def _whole(folder: Path) -> Iterator[Path]:
    """A new folder that takes its name when it is done, and leaves nothing where it is not."""
    new = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(new, ignore_errors=True)  # of one that was killed
    new.mkdir(parents=True)
    full = noticing_full_disk(f"no space left to write {folder}", "free some, or name another place: --output DIR")
    try:
        with full:
            yield new
            os.rename(new, folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def write_model(shared: Finished, chosen: Selection, wish: Wish, folder: Path, place: str) -> None:
    """The pipeline at the top, where diffusers looks for it; LoRA weights alone where the hub has their base."""
    model, base = shared.arm.get(Model), shared.arm.get(BaseModel)
    assert model is not None
    assert base is not None
    places = {"lora": folder} | {part: folder / part for part in ("kohya", TOKENS)}
    places |= {} if needs_base(model, base) else {"pipeline": folder}
    for part, target in places.items():
        for path in sorted(path for path in (model.folder / part).rglob("*") if path.is_file()):
            _place(path, target / path.relative_to(model.folder / part))
    write_condition(model, patients_of(shared.arm.get(Images), shared.arm.get(TrainingSet)), folder)
    text = model_card(shared, chosen, place, wish.license_id.lower(), wish.beside("dataset"))
    _write_common(shared, chosen, text, folder)


def _place(path: Path, target: Path) -> None:
    """Weights are linked; small files, which somebody may edit, are copied: the store stays as it is."""
    if path.suffix == ".safetensors":
        link_or_copy(path, target)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)


def write_dataset(shared: Finished, chosen: Selection, wish: Wish, folder: Path, place: str) -> None:
    features = features_of(chosen)
    shards = write_shards(chosen, features, folder)
    text = dataset_card(shared, chosen, features, place, wish.license_id.lower(), wish.beside("model"))
    _write_common(shared, chosen, text, folder)
    write_json(folder / "croissant.json", croissant(_described(shared, chosen, wish), features, shards))


def _described(shared: Finished, chosen: Selection, wish: Wish) -> dict[str, Any]:
    """What Croissant says of the dataset as a whole."""
    url = f"https://huggingface.co/datasets/{wish.repository}" if wish.repository else ""
    about: dict[str, Any] = {
        "name": f"{shared.run.recipe.name}-{shared.arm.name}-synthetic",
        "description": f"{len(chosen.rows)} synthetic medical images, drawn by a diffusion model from captions.",
        "version": "1.0.0",
        "datePublished": str(shared.run.provenance["ended_at"])[:10],
        "keywords": ["synthetic", "medical images", "diffusion model"],
        "isLiveDataset": False,
        "citeAs": f"mep {mep.__version__}, run {shared.run.run_id}",
        "rai:dataCollection": "Drawn by a diffusion model that was trained on real medical images, which are not here.",
        "rai:personalSensitiveInformation": chosen.told,
        "rai:dataLimitations": "Labels are what captions asked for; nobody has seen them in the images.",
    }
    about |= {"license": wish.spdx or "not named"} | ({"url": url} if url else {})
    who = {"@type": "sc:Organization", "name": wish.publisher}
    return about | ({"creator": who, "publisher": who} if wish.publisher else {})


def _write_common(shared: Finished, chosen: Selection, card: str, folder: Path) -> None:
    write_text(folder / "README.md", card)
    write_text(folder / "recipe.lock.yaml", shared.lock)
    write_text(folder / "results.json", shared.results)
    some_of(chosen).save(folder / "samples.png")


def kinds_of(shared: Finished, only: str | None) -> tuple[Kind, ...]:
    """What is published of an arm, unless one of both is asked for: of a model that stays here only the images."""
    if only is not None:
        return tuple(kind for kind in KINDS if kind == only)
    return ("dataset",) if why_model_stays(shared) and shared.arm.elsewhere != "images" else KINDS
