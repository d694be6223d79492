"""The vectors of images, and what they say: outliers and clusters."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, Self, TypedDict, cast

import numpy as np
from numpy.typing import NDArray

from mep.artifacts.base import (
    NAMES,
    Arrays,
    Artifact,
    Table,
    load_arrays,
    load_codes,
    load_names,
    load_table,
    save_arrays,
    save_codes,
    save_table,
)
from mep.config import Config
from mep.imaging.encoders import Preprocessing
from mep.machine.files import read_json, write_json


@dataclass(frozen=True, eq=False)
class Embeddings(Artifact):
    """One vector for every training and validation image."""

    ids: list[str]
    vectors: NDArray[np.float32]  # (n, d)
    about: Preprocessing = field(default_factory=Preprocessing)

    def save(self, folder: Path) -> None:
        save_table(folder / "ids.parquet", {"id": self.ids})
        write_json(folder / "about.json", self.about)
        save_arrays(folder, {"vectors": self.vectors})

    @classmethod
    def load(cls, folder: Path, config: Config) -> Self:
        ids, about = load_table(folder / "ids.parquet")["id"], read_json(folder / "about.json")
        return cls(ids, load_arrays(folder, "c")["vectors"], about)

    def facts(self) -> Mapping[str, object]:
        return {"images": len(self.ids), "dimensions": self.vectors.shape[1]}


@dataclass(frozen=True, eq=False)
class HeldOutEmbeddings(Artifact):
    """Vectors of the held-out images, shared by all arms of one embedder and one base.

    vectors     "original" (as they are), "heldout" (at the model's resolution), "floor" (after its autoencoder)
                -> float32 (n, d)
    """

    ids: list[str]
    vectors: dict[str, NDArray[np.float32]]

    def save(self, folder: Path) -> None:
        save_table(folder / "ids.parquet", {"id": self.ids})
        save_arrays(folder, self.vectors)

    @classmethod
    def load(cls, folder: Path, config: Config) -> Self:
        return cls(load_table(folder / "ids.parquet")["id"], load_arrays(folder, "c"))

    def facts(self) -> Mapping[str, object]:
        return {"held out": len(self.ids), "dimensions": self.vectors["original"].shape[1]}


@dataclass(frozen=True, eq=False)
class Inliers(Artifact):
    """Which training and validation images stay."""

    ids: list[str]
    mask: NDArray[np.bool_]  # (n,), True stays
    reasons: list[str]  # n texts, empty for those that stay
    features: Table  # what the detector measured, n values each

    @property
    def rules(self) -> dict[str, int]:
        """How many images each rule removed, by the feature it looks at, most first; an image may break several."""
        parts = (part for text in self.reasons if text for part in text.split(", "))
        return dict(Counter(part.split(" ")[0] for part in parts).most_common())

    def save(self, folder: Path) -> None:
        columns = {"id": self.ids, "keep": self.mask.tolist(), "reason": self.reasons}
        save_table(folder / "inliers.parquet", columns | {f"feature {key}": v for key, v in self.features.items()})

    @classmethod
    def load(cls, folder: Path, config: Config) -> Self:
        rows = load_table(folder / "inliers.parquet")
        features = {key.removeprefix("feature "): v for key, v in rows.items() if key.startswith("feature ")}
        return cls(rows["id"], np.array(rows["keep"], dtype=bool), rows["reason"], features)

    def facts(self) -> Mapping[str, object]:
        rules = ", ".join(f"{name} {n}" for name, n in self.rules.items())
        counts = {"kept": int(self.mask.sum()), "removed": int((~self.mask).sum())}
        return {**counts, "by rule": rules} if rules else counts


class Assigner(Protocol):
    """What puts new vectors into the clusters of a fitted model; the config of the stage `clustering` does."""

    def assign(self, clusters: "Clusters", vectors: NDArray[np.float32]) -> NDArray[np.int64]: ...


class ClusterSummary(TypedDict):
    """What a cluster is, as `cards.json` has it.

    labels        label -> images of the cluster that have it, the most frequent first
    medoids       ids of its most typical images, the nearest to its centre first
    compactness   mean squared distance to its centre over that of all images to theirs: 0 a point, 1 as wide as all
    stability     mean best Jaccard index with the clusters of bootstrap resamples; None where there are none
    nearest       the cluster whose centre is nearest, and the distance to it; None where there is no other
    """

    cluster: int
    size: int
    share: float
    labels: dict[str, int]
    medoids: list[str]
    compactness: float
    stability: float | None
    nearest: int | None
    distance: float | None


class TriedK(TypedDict):
    k: int
    index: str
    value: float
    chosen: bool


@dataclass(frozen=True, eq=False)
class Clusters(Artifact):
    """The cluster of every training and validation image, and the fitted model as arrays.

    labels        int64 (n,)      0 is the largest cluster; -1 for outliers and noise
    distances     float32 (n,)    to the centre of the image's own cluster, for medoids; nan where label is -1 and for
                                  validation images
    state         arrays that `ClusteringConfig.assign` reads
    memberships   float32 (n, k)  how far an image belongs to each cluster, where the method says so
    summaries     one for each cluster
    curve         the numbers of clusters that were tried, where k was chosen
    assigner      the config that made it, which knows how to assign new vectors
    names         number -> what a given cluster is called; empty where the numbers say all
    given         validation or held-out image -> the cluster that it was given, -1 for one that no training image has
    codes         number -> that of its coarse cluster, and its own within that one; empty where there are none
    second        int64 (n,)  the next probable cluster of each image, -1 where it has none; None where none was asked
    """

    ids: list[str]
    labels: NDArray[np.int64]
    distances: NDArray[np.float32]
    state: Arrays
    memberships: NDArray[np.float32] | None = None
    summaries: list[ClusterSummary] = field(default_factory=list)
    curve: list[TriedK] = field(default_factory=list)
    assigner: "Assigner | None" = None
    names: dict[int, str] = field(default_factory=dict)
    given: dict[str, int] = field(default_factory=dict)
    codes: dict[int, tuple[int, int]] = field(default_factory=dict)
    second: NDArray[np.int64] | None = None

    def assign(self, vectors: NDArray[np.float32], ids: Sequence[str] = ()) -> NDArray[np.int64]:
        """int64 (m,) number of the cluster of new vectors from the same embedder; -1 for noise.

        ids     of real images, which may have been given their cluster
        """
        assert self.assigner is not None, "read the artifact from its folder first"
        labels = self.assigner.assign(self, vectors)
        for place, image_id in enumerate(ids):
            labels[place] = self.given.get(image_id, labels[place])
        return labels

    @property
    def n_clusters(self) -> int:
        return int(self.labels.max(initial=-1)) + 1

    def save(self, folder: Path) -> None:
        columns = {"id": self.ids, "cluster": self.labels.tolist(), "distance": self.distances.tolist()}
        second = {} if self.second is None else {"second": self.second.tolist()}
        save_table(folder / "clusters.parquet", columns | second)
        save_arrays(folder / "model", self.state)
        if self.memberships is not None:
            save_arrays(folder, {"memberships": self.memberships})
        write_json(folder / "cards.json", self.summaries)
        write_json(folder / "curve.json", self.curve)
        if self.names:
            write_json(folder / NAMES, self.names)
        save_codes(folder, self.codes)
        if self.given:
            save_table(folder / "given.parquet", {"id": list(self.given), "cluster": list(self.given.values())})

    @classmethod
    def load(cls, folder: Path, config: Config) -> Self:
        rows = load_table(folder / "clusters.parquet")
        given = (
            load_table(folder / "given.parquet") if (folder / "given.parquet").exists() else {"id": [], "cluster": []}
        )
        return cls(
            ids=rows["id"],
            labels=np.array(rows["cluster"]),
            distances=np.array(rows["distance"], dtype=np.float32),
            state=load_arrays(folder / "model"),
            memberships=load_arrays(folder).get("memberships"),
            summaries=read_json(folder / "cards.json"),
            curve=read_json(folder / "curve.json"),
            names=load_names(folder),
            given=dict(zip(given["id"], given["cluster"], strict=True)),
            assigner=cast(Assigner, config),
            codes=load_codes(folder),
            second=np.array(rows["second"], dtype=np.int64) if "second" in rows else None,
        )

    def facts(self) -> Mapping[str, object]:
        why = {f"chosen by {row['index']}": row["value"] for row in self.curve if row["chosen"]}
        n_clusters = len(set(self.labels[self.labels >= 0].tolist()))
        return {"clusters": n_clusters, **why, "images without one": int((self.labels < 0).sum())}
