"""Which images are trained on, and their captions."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self, TypedDict

import numpy as np
from numpy.typing import NDArray

from mep.artifacts.base import (
    NAMES,
    Artifact,
    Table,
    load_codes,
    load_names,
    load_table,
    save_codes,
    save_table,
)
from mep.config import Config
from mep.machine.files import read_json, write_json


@dataclass(frozen=True, eq=False)
class Members:
    """Images and the record of each; label names are None where the dataset has none, seconds as in Clusters."""

    ids: list[str] = field(default_factory=list)
    labels: list[str | None] = field(default_factory=list)
    clusters: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    seconds: NDArray[np.int64] | None = None

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


CUT_TO = "every other one is cut to"
"""In the first text of a shortage, where one value of the first level starves the others."""


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
    codes       coarse and fine number of each cluster, as in Clusters
    seconds     int64 (n,)    the next probable cluster, as in Clusters
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
    codes: dict[int, tuple[int, int]] = field(default_factory=dict)
    seconds: NDArray[np.int64] | None = None

    def save(self, folder: Path) -> None:
        weights = {"weight": self.weights.tolist()}
        for name, images, more in (("training_set", self, weights), ("validation", self.validation, {})):
            columns: Table = {"id": images.ids, "label": images.labels, "cluster": images.clusters.tolist()}
            seconds = {} if images.seconds is None else {"second": images.seconds.tolist()}
            save_table(folder / f"{name}.parquet", columns | more | seconds)
        write_json(folder / "shortage.json", self.shortage)
        write_json(folder / "groups.json", self.groups)
        if self.cluster_names:
            write_json(folder / NAMES, self.cluster_names)
        save_codes(folder, self.codes)

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
            Members(watched["id"], watched["label"], np.array(watched["cluster"], dtype=np.int64), _seconds(watched)),
            groups,
            () if keeps_the_mix(groups) else getattr(config, "keys", ()),
            load_names(folder),
            load_codes(folder),
            _seconds(rows),
        )

    def facts(self) -> Mapping[str, object]:
        groups = set(zip(self.labels, self.clusters.tolist(), strict=True))
        facts: dict[str, object] = {"images": len(self.ids), "groups": len(groups)}
        if len(self.validation):
            facts["validation images"] = len(self.validation)
        if self.shortage and CUT_TO in self.shortage[0]:
            facts["warning"] = self.shortage[0]
        return facts


def _seconds(rows: Table) -> NDArray[np.int64] | None:
    return np.array(rows["second"], dtype=np.int64) if "second" in rows else None


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


class FoundName(TypedDict):
    """What a namer calls a cluster, and how sure it is.

    margin  how much nearer the name is to the images than the next term, a difference of mean cosines; negative where
            the nearest term names another cluster
    se      standard error of the margin over the images; None of a single one
    next    the nearest other term
    share   of the images that were looked at, those to which the name is the nearest term
    images  how many were looked at
    """

    cluster: int
    name: str
    margin: float
    se: float | None
    next: str
    share: float
    images: int


RENAMED = "captions of another cluster"
"""The fact that tells how many captions a permutation has changed."""


@dataclass(frozen=True, eq=False)
class Prompts(Artifact):
    """Every distinct prompt of the training set, and which one captions each image.

    of_image    image id -> index into prompts; training images, and those validation images whose record has a prompt
    unseen      prompts of the pairs of label and cluster that no training image shows, n_images 0
    n_renamed   training images whose caption names another cluster than their own; None where nothing was permuted
    found       names that a namer found for clusters
    """

    prompts: list[Prompt]
    of_image: dict[str, int]
    unseen: list[Prompt] = field(default_factory=list)
    n_renamed: int | None = None
    found: list[FoundName] = field(default_factory=list)

    @property
    def cluster_names(self) -> dict[int, str]:
        """Number -> what a namer calls a cluster."""
        return {one["cluster"]: one["name"] for one in self.found}

    def save(self, folder: Path) -> None:
        save_table(folder / "captions.parquet", {"id": list(self.of_image), "prompt": list(self.of_image.values())})
        for name, prompts in (("prompts", self.prompts), ("unseen", self.unseen)):
            write_json(folder / f"{name}.json", [vars(prompt) for prompt in prompts])
        if self.n_renamed is not None:
            write_json(folder / "permuted.json", {"n_renamed": self.n_renamed})
        if self.found:
            write_json(folder / "found_names.json", self.found)

    @classmethod
    def load(cls, folder: Path, config: Config) -> Self:
        rows = load_table(folder / "captions.parquet")
        prompts, unseen = (
            [Prompt(**row | {"variants": tuple(row["variants"])}) for row in read_json(folder / f"{name}.json")]
            for name in ("prompts", "unseen")
        )
        permuted, names = folder / "permuted.json", folder / "found_names.json"
        n_renamed = read_json(permuted)["n_renamed"] if permuted.exists() else None
        found = read_json(names) if names.exists() else []
        return cls(prompts, dict(zip(rows["id"], rows["prompt"], strict=True)), unseen, n_renamed, found)

    def facts(self) -> Mapping[str, object]:
        facts: dict[str, object] = {"prompts": len(self.prompts), "images": len(self.of_image)}
        if self.found:
            least = min(self.found, key=lambda one: one["margin"])
            facts |= {"names found": len(self.found), "least margin": round(least["margin"], 4), "of": least["name"]}
        return facts if self.n_renamed is None else facts | {RENAMED: self.n_renamed}
