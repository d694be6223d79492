"""What stages hand to each other: save, load, check. Parquet, npy, safetensors, PNG and JSON; never a pickle.

Shape letters: `n` images, `d` features, `k` clusters, `h w c` pixels.
"""

from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self, cast

import numpy as np
from numpy.typing import NDArray

from mep.config import Config
from mep.files import read_json, read_json_lines, write_json

if TYPE_CHECKING:
    from PIL.Image import Image

Table = dict[str, list[Any]]

SPLITS = ("train", "heldout", "validation")
"""Names of the splits by their number in `Images.splits`."""
TRAIN, HELDOUT, VALIDATION = range(3)


class Artifact:
    """Immutable output of a stage."""

    def save(self, folder: Path) -> None:
        """Write what the stage has not already written into the folder."""
        raise NotImplementedError

    @classmethod
    def load(cls, folder: Path, config: Config) -> Self:
        """Read it back; `config` is that of the stage that made it, as the present recipe has it."""
        raise NotImplementedError

    def facts(self) -> dict[str, Any]:
        """A few counts for the manifest and the progress line."""
        return {}


def save_table(path: Path, columns: Table) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table(columns), path)


def load_table(path: Path) -> Table:
    import pyarrow.parquet as pq

    return cast(Table, pq.read_table(path).to_pydict())


def _mapped(path: Path) -> NDArray[Any]:
    """An array that stays on disk and is read where it is touched."""
    return cast(NDArray[Any], np.load(path, mmap_mode="c", allow_pickle=False))


class Opener(Protocol):
    """What gives the pixels of an image; every dataset source does."""

    def open(self, image_id: str) -> "Image": ...

    def path_of(self, image_id: str) -> Path | None: ...


@dataclass(frozen=True, eq=False)
class Images(Artifact):
    """The dataset: one row an image, pixels read from the source when asked for.

    ids         n names, unique
    labels      int64 (n,)   index into label_names, -1 where the dataset has no labels
    splits      int8 (n,)    TRAIN, HELDOUT (only metrics may see it) or VALIDATION (assigned and watched, never fitted)
    sha256      n digests of the decoded pixels
    sizes       int64 (n, 2) width, height
    metadata    further columns of the source, n values each
    group       column of the metadata, a slide or a patient say, whose images are not independent; None: all are
    pixels      how they were read and what was found: window (black and white of grey with more than 8 bits, None
                where there is none), modes (Pillow mode -> images), near_duplicates (images that have one),
                straddling (near duplicates with one on the other side of given splits), excluded
    """

    ids: list[str]
    labels: NDArray[np.int64]
    label_names: list[str]
    splits: NDArray[np.int8]
    sha256: list[str]
    sizes: NDArray[np.int64]
    metadata: Table
    source: Opener
    group: str | None = None
    pixels: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def groups(self) -> NDArray[np.int64]:
        """int64 (n,) number of the slide or patient of every image; every image its own where no column names them."""
        if self.group is None:
            return np.arange(len(self.ids))
        return np.unique([str(value) for value in self.metadata[self.group]], return_inverse=True)[1].astype(np.int64)

    @property
    def heldout(self) -> NDArray[np.bool_]:
        """bool (n,), True for images that only metrics may see."""
        return self.splits == HELDOUT

    @property
    def train(self) -> "Images":
        """The images that everything is fitted on."""
        return self.take(np.flatnonzero(self.splits == TRAIN))

    @property
    def validation(self) -> "Images":
        """Images that are embedded, assigned and watched while training, but never fitted on; often none."""
        return self.take(np.flatnonzero(self.splits == VALIDATION))

    @property
    def held_out(self) -> "Images":
        return self.take(np.flatnonzero(self.heldout))

    @property
    def seen(self) -> "Images":
        """Training and validation images: all that stages before the metrics may look at."""
        return self.take(np.flatnonzero(~self.heldout))

    def take(self, rows: NDArray[np.int64]) -> "Images":
        return replace(
            self,
            ids=[self.ids[row] for row in rows],
            labels=self.labels[rows],
            splits=self.splits[rows],
            sha256=[self.sha256[row] for row in rows],
            sizes=self.sizes[rows],
            metadata={name: [values[row] for row in rows] for name, values in self.metadata.items()},
        )

    def select(self, ids: list[str]) -> "Images":
        """The rows with these ids, in their order."""
        return self.take(self.rows(ids))

    def rows(self, ids: list[str]) -> NDArray[np.int64]:
        """int64 (m,) rows of the images with these ids."""
        found: list[int] = []
        for row, image_id in enumerate(self.ids):  # most often they are asked for in this very order
            if len(found) < len(ids) and ids[len(found)] == image_id:
                found.append(row)
        if len(found) == len(ids):
            return np.array(found, dtype=np.int64)
        position = dict(zip(self.ids, range(len(self.ids)), strict=True))
        return np.fromiter(map(position.__getitem__, ids), dtype=np.int64, count=len(ids))

    @property
    def window(self) -> tuple[float, float] | None:
        """The values of deep grey that become black and white; None where no image has any."""
        low_and_high = self.pixels.get("window")
        return (low_and_high[0], low_and_high[1]) if low_and_high else None

    def label_of(self, row: int) -> str | None:
        return self.label_names[self.labels[row]] if self.labels[row] >= 0 else None

    def read(self, row: int) -> NDArray[np.uint8]:
        """RGB pixels (h, w, 3) of an image."""
        from mep.pixels import to_rgb

        return to_rgb(self.source.open(self.ids[row]), self.window)

    def read_square(self, row: int, size_px: int) -> NDArray[np.uint8]:
        """RGB pixels (size_px, size_px, 3): shorter side resized, then the centre cropped."""
        from mep.pixels import square

        return square(self.read(row), size_px)

    def save(self, folder: Path) -> None:
        save_table(
            folder / "images.parquet",
            {
                "id": self.ids,
                "label": self.labels.tolist(),
                "split": [SPLITS[split] for split in self.splits],
                "sha256": self.sha256,
                "width": self.sizes[:, 0].tolist(),
                "height": self.sizes[:, 1].tolist(),
            },
        )
        if self.metadata:
            save_table(folder / "metadata.parquet", self.metadata)
        write_json(folder / "labels.json", self.label_names)
        write_json(folder / "pixels.json", self.pixels)

    @classmethod
    def load(cls, folder: Path, config: Config) -> Self:
        rows = load_table(folder / "images.parquet")
        extra = folder / "metadata.parquet"
        return cls(
            ids=rows["id"],
            labels=np.array(rows["label"], dtype=np.int64),
            label_names=read_json(folder / "labels.json"),
            splits=np.array([SPLITS.index(split) for split in rows["split"]], dtype=np.int8),
            sha256=rows["sha256"],
            sizes=np.column_stack([rows["width"], rows["height"]]).astype(np.int64),
            metadata=load_table(extra) if extra.exists() else {},
            source=config.source,  # type: ignore[attr-defined]
            group=config.group,  # type: ignore[attr-defined]
            pixels=read_json(folder / "pixels.json"),
        )

    def facts(self) -> dict[str, Any]:
        counts = {name: int((self.splits == number).sum()) for number, name in enumerate(SPLITS)}
        shown = {"train": counts["train"], "validation": counts["validation"], "held out": counts["heldout"]}
        shown |= {"labels": len(self.label_names)}
        found = {"near duplicates": self.pixels.get("near_duplicates", 0)}
        found |= {"of them across given splits": self.pixels.get("straddling", 0)}
        found |= {"excluded": self.pixels.get("excluded", 0)}
        return {name: n for name, n in (shown | found).items() if n or name == "labels"}


@dataclass(frozen=True, eq=False)
class Embeddings(Artifact):
    """One vector for every training and validation image.

    vectors     float32 (n, d)
    about       effective preprocessing (mean, std, size, interpolation, dtype, view), and what the self-test saw
    """

    ids: list[str]
    vectors: NDArray[np.float32]
    about: dict[str, Any] = field(default_factory=dict)

    def save(self, folder: Path) -> None:
        save_table(folder / "ids.parquet", {"id": self.ids})
        write_json(folder / "about.json", self.about)
        np.save(folder / "vectors.npy", self.vectors, allow_pickle=False)

    @classmethod
    def load(cls, folder: Path, config: Config) -> Self:
        return cls(
            load_table(folder / "ids.parquet")["id"], _mapped(folder / "vectors.npy"), read_json(folder / "about.json")
        )

    def facts(self) -> dict[str, Any]:
        return {"images": len(self.ids), "dimensions": self.vectors.shape[1]}


@dataclass(frozen=True, eq=False)
class Inliers(Artifact):
    """Which training and validation images stay.

    mask        bool (n,)    True stays
    reasons     n texts, empty for those that stay
    features    what the detector measured, n values each
    """

    ids: list[str]
    mask: NDArray[np.bool_]
    reasons: list[str]
    features: Table

    @property
    def rules(self) -> dict[str, int]:
        """How many images each rule removed, by the feature it looks at, most first; an image may break several."""
        broken = Counter(part.split(" ")[0] for text in self.reasons if text for part in text.split(", "))
        return dict(broken.most_common())

    def save(self, folder: Path) -> None:
        columns = {"id": self.ids, "keep": self.mask.tolist(), "reason": self.reasons}
        save_table(folder / "inliers.parquet", columns | {f"feature {key}": v for key, v in self.features.items()})

    @classmethod
    def load(cls, folder: Path, config: Config) -> Self:
        rows = load_table(folder / "inliers.parquet")
        features = {key.removeprefix("feature "): v for key, v in rows.items() if key.startswith("feature ")}
        return cls(rows["id"], np.array(rows["keep"], dtype=bool), rows["reason"], features)

    def facts(self) -> dict[str, Any]:
        found = {"kept": int(self.mask.sum()), "removed": int((~self.mask).sum())}
        rules = ", ".join(f"{name} {n}" for name, n in self.rules.items())
        return found | ({"by rule": rules} if rules else {})


class Assigner(Protocol):
    """What puts new vectors into the clusters of a fitted model; the config of the stage `clustering` does."""

    def assign(self, clusters: "Clusters", vectors: NDArray[np.float32]) -> NDArray[np.int64]: ...


@dataclass(frozen=True, eq=False)
class Clusters(Artifact):
    """The cluster of every training and validation image, and the fitted model as arrays.

    labels        int64 (n,)      0 is the largest cluster; -1 for outliers and noise
    distances     float32 (n,)    to the centre of the image's own cluster, for medoids; nan where label is -1 and for
                                  validation images
    state         arrays that `ClusteringConfig.assign` reads
    memberships   float32 (n, k)  how far an image belongs to each cluster, where the method says so
    cards         a row a cluster: cluster, size, share, labels, medoids, compactness, stability, nearest, distance, as
                  `mep.clusterers._cards.cards` documents
    curve         a row for each number of clusters that was tried: k, index, value, chosen
    assigner      the config that made it, which knows how to assign new vectors
    """

    ids: list[str]
    labels: NDArray[np.int64]
    distances: NDArray[np.float32]
    state: dict[str, NDArray[Any]]
    memberships: NDArray[np.float32] | None = None
    cards: list[dict[str, Any]] = field(default_factory=list)
    curve: list[dict[str, Any]] = field(default_factory=list)
    assigner: "Assigner | None" = None

    def assign(self, vectors: NDArray[np.float32]) -> NDArray[np.int64]:
        """int64 (m,) number of the cluster of new vectors from the same embedder; -1 for noise."""
        assert self.assigner is not None, "read the artifact from its folder first"
        return self.assigner.assign(self, vectors)

    @property
    def n_clusters(self) -> int:
        return int(self.labels.max(initial=-1)) + 1

    def save(self, folder: Path) -> None:
        columns = {"id": self.ids, "cluster": self.labels.tolist(), "distance": self.distances.tolist()}
        save_table(folder / "clusters.parquet", columns)
        (folder / "model").mkdir(exist_ok=True)
        for name, array in self.state.items():
            np.save(folder / "model" / f"{name}.npy", array, allow_pickle=False)
        if self.memberships is not None:
            np.save(folder / "memberships.npy", self.memberships, allow_pickle=False)
        write_json(folder / "cards.json", self.cards)
        write_json(folder / "curve.json", self.curve)

    @classmethod
    def load(cls, folder: Path, config: Config) -> Self:
        rows = load_table(folder / "clusters.parquet")
        soft = folder / "memberships.npy"
        return cls(
            ids=rows["id"],
            labels=np.array(rows["cluster"]),
            distances=np.array(rows["distance"], dtype=np.float32),
            state={path.stem: np.load(path, allow_pickle=False) for path in (folder / "model").glob("*.npy")},
            memberships=np.load(soft, allow_pickle=False) if soft.exists() else None,
            cards=read_json(folder / "cards.json"),
            curve=read_json(folder / "curve.json"),
            assigner=cast(Assigner, config),
        )

    def facts(self) -> dict[str, Any]:
        chosen = [row for row in self.curve if row["chosen"]]
        why = {f"chosen by {chosen[0]['index']}": chosen[0]["value"]} if chosen else {}
        found = {"clusters": len(set(self.labels[self.labels >= 0].tolist()))} | why
        return found | {"images without one": int((self.labels < 0).sum())}


@dataclass(frozen=True, eq=False)
class Members:
    """Images and the record of each.

    labels      label name of each image, None where the dataset has none
    clusters    int64 (n,)
    """

    ids: list[str]
    labels: list[str | None]
    clusters: NDArray[np.int64]

    @classmethod
    def none(cls) -> Self:
        return cls([], [], np.zeros(0, dtype=np.int64))

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, eq=False)
class TrainingSet(Artifact):
    """The images that the model is trained on, picked by their record.

    labels      label name of each image, None where the dataset has none
    clusters    int64 (n,)
    weights     float64 (n,)  how often an image is drawn, relative to the others; mean 1. In an epoch of n draws an
                image comes that often, rounded up or down by lot: with equal weights exactly once
    shortage    text per group that was left out or is smaller than the others
    validation  validation images of the groups that are trained on; the loss on them tells how training goes
    groups      a row a group: group, images (that there are), picked (that are trained on), share (of all draws)
    """

    ids: list[str]
    labels: list[str | None]
    clusters: NDArray[np.int64]
    weights: NDArray[np.float64]
    shortage: list[str]
    validation: Members = field(default_factory=Members.none)
    groups: list[dict[str, Any]] = field(default_factory=list)

    def save(self, folder: Path) -> None:
        columns = {"id": self.ids, "label": self.labels, "cluster": self.clusters.tolist()}
        save_table(folder / "training_set.parquet", columns | {"weight": self.weights.tolist()})
        watched = self.validation
        columns = {"id": watched.ids, "label": watched.labels, "cluster": watched.clusters.tolist()}
        save_table(folder / "validation.parquet", columns)
        write_json(folder / "shortage.json", self.shortage)
        write_json(folder / "groups.json", self.groups)

    @classmethod
    def load(cls, folder: Path, config: Config) -> Self:
        rows = load_table(folder / "training_set.parquet")
        watched = load_table(folder / "validation.parquet")
        return cls(
            rows["id"],
            rows["label"],
            np.array(rows["cluster"], dtype=np.int64),
            np.array(rows["weight"], dtype=np.float64),
            read_json(folder / "shortage.json"),
            Members(watched["id"], watched["label"], np.array(watched["cluster"], dtype=np.int64)),
            read_json(folder / "groups.json"),
        )

    def facts(self) -> dict[str, Any]:
        groups = set(zip(self.labels, self.clusters.tolist(), strict=True))
        found = {"images": len(self.ids), "groups": len(groups)}
        return found | ({"validation images": len(self.validation)} if len(self.validation) else {})


@dataclass(frozen=True)
class Prompt:
    """A caption and the record that it was built from; parts that the template does not name are None.

    columns     metadata columns that the template names, and their values
    variants    further captions of the same record, for training
    """

    id: str
    text: str
    label: str | None
    cluster: int | None
    n_images: int
    columns: dict[str, str] = field(default_factory=dict)
    variants: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Prompts(Artifact):
    """Every distinct prompt of the training set, and which one captions each image.

    of_image    image id -> index into prompts; training images, and those validation images whose record has a prompt
    unseen      prompts of the pairs of label and cluster that no training image shows, n_images 0
    """

    prompts: list[Prompt]
    of_image: dict[str, int]
    unseen: list[Prompt] = field(default_factory=list)

    def save(self, folder: Path) -> None:
        save_table(folder / "captions.parquet", {"id": list(self.of_image), "prompt": list(self.of_image.values())})
        for name, prompts in (("prompts", self.prompts), ("unseen", self.unseen)):
            write_json(folder / f"{name}.json", [vars(prompt) for prompt in prompts])

    @classmethod
    def load(cls, folder: Path, config: Config) -> Self:
        rows = load_table(folder / "captions.parquet")
        prompts, unseen = (
            [Prompt(**row | {"variants": tuple(row["variants"])}) for row in read_json(folder / f"{name}.json")]
            for name in ("prompts", "unseen")
        )
        return cls(prompts, dict(zip(rows["id"], rows["prompt"], strict=True)), unseen)

    def facts(self) -> dict[str, Any]:
        return {"prompts": len(self.prompts), "images": len(self.of_image)}


@dataclass(frozen=True, eq=False)
class InFolder(Artifact):
    """An artifact whose stage writes its files itself, straight into `work.out`."""

    folder: Path

    def save(self, folder: Path) -> None:
        """Everything is already there."""

    @classmethod
    def load(cls, folder: Path, config: Config) -> Self:
        return cls(folder)


@dataclass(frozen=True, eq=False)
class InPipeline(InFolder):
    """A StableDiffusionPipeline in `pipeline/`, and the losses of what was trained."""

    @property
    def pipeline(self) -> Path:
        return self.folder / "pipeline"

    @property
    def losses(self) -> list[dict[str, Any]]:
        return read_json_lines(self.folder / "losses.jsonl")


@dataclass(frozen=True, eq=False)
class BaseModel(InPipeline):
    """A StableDiffusionPipeline to start from, in `pipeline/`, and how its autoencoder was trained, if it was."""

    @property
    def resolution(self) -> int:
        return int(read_json(self.folder / "base.json")["resolution"])

    @property
    def origin(self) -> dict[str, Any]:
        """Where it comes from: kind, and of a pretrained one id, revision and license where they are known."""
        found = read_json(self.folder / "base.json")
        return {name: value for name, value in found.items() if name != "resolution"}

    def facts(self) -> dict[str, Any]:
        found = read_json(self.folder / "base.json")
        return {"kind": found["kind"], "side": f"{found['resolution']} px"}


@dataclass(frozen=True, eq=False)
class Latents(InFolder):
    """The autoencoder's posterior for every training and validation image under every symmetry, memory-mapped.

    `index.parquet` says in which shard and row an image lies; a shard is float32 (n, s, 2, c, h, w): mean and standard
    deviation, unscaled, under s symmetries, the first of which is the image as it is. Without shards the training
    encodes from pixels.
    """

    @property
    def cached(self) -> bool:
        return any((self.folder / "shards").glob("*.npy"))

    @property
    def index(self) -> Table:
        return load_table(self.folder / "index.parquet")

    @property
    def symmetries(self) -> int:
        return int(read_json(self.folder / "latents.json")["symmetries"])

    def shard(self, name: str) -> NDArray[np.float32]:
        path = self.folder / "shards" / f"{name}.npy"
        return cast(NDArray[np.float32], np.load(path, mmap_mode="r", allow_pickle=False))

    def facts(self) -> dict[str, Any]:
        found = read_json(self.folder / "latents.json")
        return {name: found[name] for name in ("images", "symmetries", "shape")}


@dataclass(frozen=True, eq=False)
class Model(InPipeline):
    """The fine-tuned pipeline in `pipeline/`, which StableDiffusionPipeline.from_pretrained loads, and its losses.

    With LoRA `pipeline/` is the base, and `lora/` holds what load_lora_weights reads; `mep.pipelines.load_pipeline`
    fuses the two. `raw/` holds the last weights where those of generation are their moving average.
    """

    @property
    def validation(self) -> list[dict[str, Any]]:
        """Denoising loss on validation images at each look: step, loss, n, and by label and cluster."""
        return read_json_lines(self.folder / "validation.jsonl")

    @property
    def resolution(self) -> int:
        return int(read_json(self.folder / "training.json")["resolution"])

    def facts(self) -> dict[str, Any]:
        found = read_json(self.folder / "training.json")
        return {name: found[name] for name in ("steps", "images", "parameters")}


@dataclass(frozen=True, eq=False)
class Guidance(Artifact):
    """How strongly generation follows the captions, and the curve that this was chosen from, if it was.

    curve       rows of guidance, by (kid or frechet), value (None where all images were refused), se, n_real, n_fake,
                refused
    """

    scale: float
    curve: list[dict[str, Any]]

    def save(self, folder: Path) -> None:
        write_json(folder / "guidance.json", {"scale": self.scale, "curve": self.curve})

    @classmethod
    def load(cls, folder: Path, config: Config) -> Self:
        return cls(**read_json(folder / "guidance.json"))

    def facts(self) -> dict[str, Any]:
        how = f", the best of {len(self.curve)} by {self.curve[0]['by']}" if self.curve else ""
        return {"scale": f"{self.scale:g}{how}"}


@dataclass(frozen=True, eq=False)
class Samples(InFolder):
    """The synthetic dataset: an imagefolder with metadata.jsonl, contact sheets in `__sheets__/`.

    Samples that were refused (black, constant, not finite) have no file; refused.jsonl names them.
    """

    @property
    def rows(self) -> list[dict[str, Any]]:
        return read_json_lines(self.folder / "metadata.jsonl")

    def __len__(self) -> int:
        return len(self.rows)

    def read(self, row: dict[str, Any]) -> NDArray[np.uint8]:
        """RGB pixels (h, w, 3) of a sample."""
        from PIL import Image

        with Image.open(self.folder / row["file_name"]) as image:
            return np.asarray(image.convert("RGB"))

    @property
    def refused(self) -> dict[str, int]:
        """Reason -> how many samples were refused for it."""
        path = self.folder / "generation.json"
        return dict(read_json(path)["refused"]) if path.exists() else {}

    def facts(self) -> dict[str, Any]:
        path = self.folder / "generation.json"
        if not path.exists():  # an imagefolder from elsewhere
            rows = self.rows
            return {"images": len(rows), "prompts": len({row["prompt_id"] for row in rows})}
        found = read_json(path)  # counting a million rows would take gigabytes
        refused = sum(found["refused"].values())
        return {"images": found["images"], "prompts": found["prompts"]} | ({"refused": refused} if refused else {})


@dataclass(frozen=True, eq=False)
class References(Artifact):
    """Features of the real images in every extractor, shared by all arms.

    features    extractor name -> {"heldout", "train", "floor"} -> float32 (n, d)
                floor: the held-out images after a pass through the base's autoencoder
    protocol    extractor name -> digest, layer, d, preprocessing, eval_resolution, resize and the like
    tables      "heldout", "train" -> id, label (None without labels), group (None where no column names any)
    """

    features: dict[str, dict[str, NDArray[np.float32]]]
    protocol: dict[str, dict[str, Any]]
    tables: dict[str, Table] = field(default_factory=dict)

    def save(self, folder: Path) -> None:
        for name, sets in self.features.items():
            for part, array in sets.items():
                (folder / name).mkdir(exist_ok=True)
                np.save(folder / name / f"{part}.npy", array, allow_pickle=False)
        for part, table in self.tables.items():
            save_table(folder / f"{part}.parquet", table)
        write_json(folder / "protocol.json", self.protocol)

    @classmethod
    def load(cls, folder: Path, config: Config) -> Self:
        protocol = read_json(folder / "protocol.json")
        features = {
            name: {path.stem: np.load(path, allow_pickle=False) for path in sorted((folder / name).glob("*.npy"))}
            for name in protocol
        }
        return cls(features, protocol, {path.stem: load_table(path) for path in sorted(folder.glob("*.parquet"))})

    def facts(self) -> dict[str, Any]:
        sets = next(iter(self.features.values()), {})
        return {"extractors": len(self.features)} | {part: len(array) for part, array in sets.items()}


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
        for part, array in self.vectors.items():
            np.save(folder / f"{part}.npy", array, allow_pickle=False)

    @classmethod
    def load(cls, folder: Path, config: Config) -> Self:
        vectors = {path.stem: _mapped(path) for path in sorted(folder.glob("*.npy"))}
        return cls(load_table(folder / "ids.parquet")["id"], vectors)

    def facts(self) -> dict[str, Any]:
        return {"held out": len(self.ids), "dimensions": self.vectors["original"].shape[1]}


@dataclass(frozen=True, eq=False)
class Assignment(Artifact):
    """The cluster and the label that held-out and generated images show, beside those that they should.

    ids         "heldout", "samples" -> names of the images; of samples, the file
    parts       "heldout" (at the model's resolution), "floor" (after its autoencoder), "samples" -> int64 (n, 4):
                wanted and found cluster, wanted and found label; -1 for none. Wanted are, of samples, what the caption
                names, and of real images, the cluster of the image as it is and its label
    protocol    d, preprocessing, eval_resolution, resize, dtype, and the digest of the embedder's settings and of the
                fitted clusters: two arms of other clusters do not compare
    """

    ids: dict[str, list[str]]
    parts: dict[str, NDArray[np.int64]]
    n_clusters: int
    label_names: list[str]
    protocol: dict[str, Any]

    def save(self, folder: Path) -> None:
        for part, array in self.parts.items():
            columns = ("wanted_cluster", "found_cluster", "wanted_label", "found_label")
            table: Table = {name: array[:, place].tolist() for place, name in enumerate(columns)}
            save_table(folder / f"{part}.parquet", {"id": self.ids.get(part, self.ids["heldout"])} | table)
        kinds = {"clusters": self.n_clusters, "labels": self.label_names, "protocol": self.protocol}
        write_json(folder / "kinds.json", kinds)

    @classmethod
    def load(cls, folder: Path, config: Config) -> Self:
        kinds = read_json(folder / "kinds.json")
        tables = {path.stem: load_table(path) for path in sorted(folder.glob("*.parquet"))}
        return cls(
            ids={part: tables[part]["id"] for part in ("heldout", "samples")},
            parts={
                part: np.array([values for name, values in table.items() if name != "id"], dtype=np.int64).T
                for part, table in tables.items()
            },
            n_clusters=kinds["clusters"],
            label_names=kinds["labels"],
            protocol=kinds.get("protocol", {}),  # mep 0.2.0 kept less
        )

    def facts(self) -> dict[str, Any]:
        return {part: len(array) for part, array in self.parts.items() if part != "floor"}


@dataclass(frozen=True, eq=False)
class Scores(Artifact):
    """Numbers with their protocol, one row a number, and what stands behind them.

    rows        metric, subject, value, se, ... as `mep.evaluation` documents
    halves      float64 (len(rows), s)          the statistic on s random halves; nan where a row has none
    features    extractor -> float32 (m, d)     of the samples as they were scored, to compare arms by permutation
    closest     extractor -> the samples that come nearest to a training image: file_name, train (image id), distance,
                ratio to the second-nearest
    """

    rows: list[dict[str, Any]]
    halves: NDArray[np.float64]
    features: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    closest: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def save(self, folder: Path) -> None:
        write_json(folder / "scores.json", self.rows)
        write_json(folder / "closest.json", self.closest)
        np.save(folder / "halves.npy", self.halves, allow_pickle=False)
        (folder / "features").mkdir(exist_ok=True)
        for name, array in self.features.items():
            np.save(folder / "features" / f"{name}.npy", array, allow_pickle=False)

    @classmethod
    def load(cls, folder: Path, config: Config) -> Self:
        return cls(
            rows=read_json(folder / "scores.json"),
            halves=np.load(folder / "halves.npy", allow_pickle=False),
            features={
                path.stem: np.load(path, mmap_mode="r", allow_pickle=False)
                for path in sorted((folder / "features").glob("*.npy"))
            },
            closest=read_json(folder / "closest.json"),
        )

    def facts(self) -> dict[str, Any]:
        return {"numbers": len(self.rows)}


@dataclass(frozen=True, eq=False)
class Ceiling(Artifact):
    """Probes trained on real images: what those trained on synthetic ones are held against, shared by all arms.

    reason          why there is nothing, empty where there is
    features        float32 (n, d), a row for every image of the dataset; d is 0 where the probe sees pixels
    order           int64 (r, n_train)   training images, in random orders of which every beginning is a fair sample
    validation      int64 (n_validation,)   images that the probe's settings are chosen on
    probabilities   share of the training images -> float64 (r, n_heldout, k)
    cuts            share of the training images -> float64 (r, k)
    about           protocol of the features, what was chosen for each training, where validation images came from
    """

    reason: str
    features: NDArray[np.float32]
    order: NDArray[np.int64]
    validation: NDArray[np.int64]
    probabilities: dict[float, NDArray[np.float64]]
    cuts: dict[float, NDArray[np.float64]]
    about: dict[str, Any]

    def save(self, folder: Path) -> None:
        for name in ("features", "order", "validation"):
            np.save(folder / f"{name}.npy", getattr(self, name), allow_pickle=False)
        for share, probabilities in self.probabilities.items():
            np.save(folder / f"probabilities-{share}.npy", probabilities, allow_pickle=False)
            np.save(folder / f"cuts-{share}.npy", self.cuts[share], allow_pickle=False)
        write_json(folder / "about.json", {"reason": self.reason, "shares": list(self.cuts), "about": self.about})

    @classmethod
    def load(cls, folder: Path, config: Config) -> Self:
        found = read_json(folder / "about.json")

        def read(name: str) -> NDArray[Any]:
            return cast(NDArray[Any], np.load(folder / f"{name}.npy", allow_pickle=False))

        return cls(
            reason=found["reason"],
            features=read("features"),
            order=read("order"),
            validation=read("validation"),
            probabilities={share: read(f"probabilities-{share}") for share in found["shares"]},
            cuts={share: read(f"cuts-{share}") for share in found["shares"]},
            about=found["about"],
        )

    def facts(self) -> dict[str, Any]:
        if self.reason:
            return {"skipped": self.reason}
        return {"training images": self.order.shape[1], "validation images": len(self.validation)}


class Utility(Scores):
    """What probes trained on synthetic images know about real ones, as rows of scores.

    halves      the statistic on resamples of the held-out images, not on halves
    """
