"""Which images are trained on, and their captions."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self, TypedDict

import numpy as np
from numpy.typing import NDArray

from mep.artifacts.base import NAMES, Artifact, Table, load_names, load_table, save_table
from mep.config import Config
from mep.machine.files import read_json, write_json


@dataclass(frozen=True, eq=False)
class Members:
    """Images and the record of each; label names are None where the dataset has none."""

    ids: list[str] = field(default_factory=list)
    labels: list[str | None] = field(default_factory=list)
    clusters: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    def __len__(self) -> int:
        return len(self.ids)


class BalancedGroup(TypedDict):
    """A group of `balancing.by`: its images, how many of them are trained on, and their share of all draws."""

    group: str
    images: int
    picked: int
    share: float


def keeps_the_mix(groups: Sequence[BalancedGroup]) -> bool:
    """Whether every image that can be picked is drawn as often as any other."""
    total = sum(group["images"] for group in groups)
    return all(
        group["picked"] == group["images"] and math.isclose(group["share"], group["images"] / total) for group in groups
    )


@dataclass(frozen=True, eq=False)
class TrainingSet(Artifact):
    """The images that the model is trained on, picked by their record.

    labels      label name of each image, None where the dataset has none
    clusters    int64 (n,)    as the clusterer has them, whatever captions call them: real images are matched to them
    weights     float64 (n,)  how often an image is drawn, relative to the others; mean 1. In an epoch of n draws an
                image comes that often, rounded up or down by lot: with equal weights exactly once
    shortage    text per group that was left out or is smaller than the others
    validation  validation images of the groups that are trained on; the loss on them tells how training goes
    groups      every group that has images
    balanced_by     what the groups are of, label and cluster say; empty where every image is drawn equally often
    cluster_names   number -> what a given cluster is called; empty where the numbers say all
    """

    ids: list[str]
    labels: list[str | None]
    clusters: NDArray[np.int64]
    weights: NDArray[np.float64]
    shortage: list[str]
    validation: Members = Members()
    groups: list[BalancedGroup] = field(default_factory=list)
    balanced_by: tuple[str, ...] = ()
    cluster_names: dict[int, str] = field(default_factory=dict)

    def save(self, folder: Path) -> None:
        weights = {"weight": self.weights.tolist()}
        for name, images, more in (("training_set", self, weights), ("validation", self.validation, {})):
            columns: Table = {"id": images.ids, "label": images.labels, "cluster": images.clusters.tolist()}
            save_table(folder / f"{name}.parquet", columns | more)
        write_json(folder / "shortage.json", self.shortage)
        write_json(folder / "groups.json", self.groups)
        if self.cluster_names:
            write_json(folder / NAMES, self.cluster_names)

    @classmethod
    def load(cls, folder: Path, config: Config) -> Self:
        rows = load_table(folder / "training_set.parquet")
        watched = load_table(folder / "validation.parquet")
        groups: list[BalancedGroup] = read_json(folder / "groups.json")
        return cls(
            rows["id"],
            rows["label"],
            np.array(rows["cluster"], dtype=np.int64),
            np.array(rows["weight"], dtype=np.float64),
            read_json(folder / "shortage.json"),
            Members(watched["id"], watched["label"], np.array(watched["cluster"], dtype=np.int64)),
            groups,
            () if keeps_the_mix(groups) else getattr(config, "by", ()),
            load_names(folder),
        )

    def facts(self) -> Mapping[str, object]:
        groups = set(zip(self.labels, self.clusters.tolist(), strict=True))
        facts = {"images": len(self.ids), "groups": len(groups), "validation images": len(self.validation)}
        return {name: n for name, n in facts.items() if n or name != "validation images"}


@dataclass(frozen=True)
class Prompt:
    """A caption and the record that it was built from, with the parts that the template names, and its variants."""

    id: str
    text: str
    label: str | None
    cluster: int | None
    n_images: int
    columns: dict[str, str] = field(default_factory=dict)
    variants: tuple[str, ...] = ()


RENAMED = "captions of another cluster"
"""The fact that tells how many captions a permutation has changed."""


@dataclass(frozen=True, eq=False)
class Prompts(Artifact):
    """Every distinct prompt of the training set, and which one captions each image.

    of_image    image id -> index into prompts; training images, and those validation images whose record has a prompt
    unseen      prompts of the pairs of label and cluster that no training image shows, n_images 0
    n_renamed   training images whose caption names another cluster than their own; None where nothing was permuted
    """

    prompts: list[Prompt]
    of_image: dict[str, int]
    unseen: list[Prompt] = field(default_factory=list)
    n_renamed: int | None = None

    def save(self, folder: Path) -> None:
        save_table(folder / "captions.parquet", {"id": list(self.of_image), "prompt": list(self.of_image.values())})
        for name, prompts in (("prompts", self.prompts), ("unseen", self.unseen)):
            write_json(folder / f"{name}.json", [vars(prompt) for prompt in prompts])
        if self.n_renamed is not None:
            write_json(folder / "permuted.json", {"n_renamed": self.n_renamed})

    @classmethod
    def load(cls, folder: Path, config: Config) -> Self:
        rows = load_table(folder / "captions.parquet")
        prompts, unseen = (
            [Prompt(**row | {"variants": tuple(row["variants"])}) for row in read_json(folder / f"{name}.json")]
            for name in ("prompts", "unseen")
        )
        permuted = folder / "permuted.json"
        n_renamed = read_json(permuted)["n_renamed"] if permuted.exists() else None
        return cls(prompts, dict(zip(rows["id"], rows["prompt"], strict=True)), unseen, n_renamed)

    def facts(self) -> Mapping[str, object]:
        facts = {"prompts": len(self.prompts), "images": len(self.of_image)}
        return facts if self.n_renamed is None else facts | {RENAMED: self.n_renamed}
