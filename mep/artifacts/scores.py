"""What generated images are compared with, and the numbers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mep.artifacts.base import Artifact, Table, load_arrays, load_table, save_arrays, save_table
from mep.artifacts.findings import Findings, load_findings, save_findings
from mep.artifacts.score_row import JsonObject, ScoreRow
from mep.config import Config
from mep.machine.files import read_json, write_json
from mep.statistics.influence import Influence

INFLUENCES = "influences"
ASSIGNED = "wanted_cluster", "found_cluster", "wanted_label", "found_label"
SLIDE, FINDING = "slide", "finding "
"""Columns of an assignment."""


@dataclass(frozen=True, eq=False)
class References(Artifact):
    """Features of the real images in every extractor, shared by all arms.

    features    extractor name -> {"heldout", "train", "floor"} -> float32 (n, d)
                floor: the held-out images after a pass through the base's autoencoder
    protocol    extractor name -> digest, layer, d, preprocessing, eval_resolution, resize and the like
    tables      "heldout", "train" -> id, label (None without labels), group (None where no column names any)
    findings    what is behind each label, where an image may show several findings
    """

    features: dict[str, dict[str, NDArray[np.float32]]]
    protocol: dict[str, JsonObject]
    tables: dict[str, Table] = field(default_factory=dict)
    findings: Findings = field(default_factory=Findings)

    def save(self, folder: Path) -> None:
        for name, sets in self.features.items():
            save_arrays(folder / name, sets)
        for part, table in self.tables.items():
            save_table(folder / f"{part}.parquet", table)
        write_json(folder / "protocol.json", self.protocol)
        save_findings(folder, self.findings)

    @classmethod
    def load(cls, folder: Path, config: Config) -> Self:
        protocol = read_json(folder / "protocol.json")
        features = {name: load_arrays(folder / name) for name in protocol}
        tables = {path.stem: load_table(path) for path in sorted(folder.glob("*.parquet"))}
        return cls(features, protocol, tables, load_findings(folder))

    def facts(self) -> Mapping[str, object]:
        sets = next(iter(self.features.values()), {})
        return {"extractors": len(self.features)} | {part: len(array) for part, array in sets.items()}


@dataclass(frozen=True, eq=False)
class Assignment(Artifact):
    """The cluster and the label that held-out and generated images show, beside those that they should.

    ids         "heldout", "samples" -> names of the images; of samples, the file
    parts       "heldout" (at the model's resolution), "floor" (after its autoencoder), "samples" -> int64 (n, 4):
                wanted and found cluster, wanted and found label; -1 for none. Wanted are, of samples, what the caption
                names, and of real images, the cluster of the image as it is and its label
    protocol    d, preprocessing, eval_resolution, resize, dtype, and the digest of the embedder's settings and of the
                fitted clusters: two arms of other clusters do not compare
    unseen      why nothing was found in any image; empty where something was looked for
    slides      slide or patient of every held-out image; empty where no column names any
    findings    finding -> part -> float64 (n,): how probable it is that each image shows the finding, judged for each
                alone; only findings that some training images show and others do not. Empty where images have one label
    """

    ids: dict[str, list[str]]
    parts: dict[str, NDArray[np.int64]]
    n_clusters: int
    label_names: list[str]
    protocol: JsonObject
    unseen: str = ""
    slides: list[str] = field(default_factory=list)
    findings: dict[str, dict[str, NDArray[np.float64]]] = field(default_factory=dict)

    def save(self, folder: Path) -> None:
        for part, array in self.parts.items():
            table: Table = {name: array[:, place].tolist() for place, name in enumerate(ASSIGNED)}
            table |= {f"{FINDING}{name}": of[part].tolist() for name, of in self.findings.items()}
            table |= {SLIDE: self.slides} if self.slides and part == "heldout" else {}
            save_table(folder / f"{part}.parquet", {"id": self.ids.get(part, self.ids["heldout"])} | table)
        kinds = {"clusters": self.n_clusters, "labels": self.label_names, "protocol": self.protocol}
        write_json(folder / "kinds.json", kinds | ({"unseen": self.unseen} if self.unseen else {}))

    @classmethod
    def load(cls, folder: Path, config: Config) -> Self:
        kinds = read_json(folder / "kinds.json")
        tables = {path.stem: load_table(path) for path in sorted(folder.glob("*.parquet"))}
        ids = {part: tables[part]["id"] for part in ("heldout", "samples")}
        parts = {part: np.array([table[name] for name in ASSIGNED], dtype=np.int64).T for part, table in tables.items()}
        names = [name for name in tables["samples"] if name.startswith(FINDING)]
        findings = {
            name.removeprefix(FINDING): {part: np.array(table[name]) for part, table in tables.items()}
            for name in names
        }
        # mep 0.2.0 kept no protocol
        protocol, unseen = kinds.get("protocol", {}), kinds.get("unseen", "")
        slides = tables["heldout"].get(SLIDE, [])
        return cls(ids, parts, kinds["clusters"], kinds["labels"], protocol, unseen, slides, findings)

    def facts(self) -> Mapping[str, object]:
        return {part: len(array) for part, array in self.parts.items() if part != "floor"}


def save_influences(folder: Path, influences: Mapping[int, Influence]) -> None:
    """For every row its images, their influence, and what the generated ones add."""
    arrays: dict[str, NDArray[np.generic]] = {}
    for number, influence in influences.items():
        arrays[f"{number}-keys"], arrays[f"{number}-real"] = influence.keys, influence.real
        arrays[f"{number}-rest"] = np.array([influence.fake, influence.pairs_real, influence.pairs_fake])
    save_arrays(folder / INFLUENCES, arrays)


def load_influences(folder: Path) -> dict[int, Influence]:
    """Number of a row -> its influence; nothing where an older version of mep kept none."""
    arrays = load_arrays(folder / INFLUENCES)
    numbers = [int(name.removesuffix("-real")) for name in arrays if name.endswith("-real")]
    return {
        number: Influence(arrays[f"{number}-real"], arrays[f"{number}-keys"], *map(float, arrays[f"{number}-rest"]))
        for number in numbers
    }


@dataclass(frozen=True, eq=False)
class Scores(Artifact):
    """Numbers with their protocol, one row a number, and what stands behind them.

    halves      float64 (len(rows), s, 2)       the statistic on s random halves and on what each leaves over; nan where
                                                a row has none
    features    extractor -> float32 (m, d)     of the samples in the order in which they are drawn: the first n_fake of
                                                them were scored against held-out images as they are
    matched     rows that the reference `matched` compares: heldout, int64 (n,) rows of the held-out images; samples,
                int64 (n,) rows of `features`
    closest     extractor -> the samples that come nearest to a training image: file_name, train (image id), distance,
                ratio to the second-nearest
    influences  number of a row -> what every image adds to it, where the error of a difference has a closed form
    """

    rows: list[ScoreRow]
    halves: NDArray[np.float64]
    features: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    closest: dict[str, list[JsonObject]] = field(default_factory=dict)
    matched: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    influences: dict[int, Influence] = field(default_factory=dict)

    def save(self, folder: Path) -> None:
        write_json(folder / "scores.json", [row.to_json() for row in self.rows])
        write_json(folder / "closest.json", self.closest)
        save_arrays(folder, {"halves": self.halves})
        save_arrays(folder / "features", self.features)
        save_arrays(folder / "matched", self.matched)
        save_influences(folder, self.influences)

    @classmethod
    def load(cls, folder: Path, config: Config) -> Self:
        rows = [ScoreRow.from_json(row) for row in read_json(folder / "scores.json")]
        halves, features = load_arrays(folder)["halves"], load_arrays(folder / "features", "r")
        closest = read_json(folder / "closest.json")
        return cls(rows, halves, features, closest, load_arrays(folder / "matched"), load_influences(folder))

    def facts(self) -> Mapping[str, object]:
        return {"numbers": len(self.rows)}


Part: TypeAlias = tuple[str, float]
"""A finding (empty where every image has one label), and a share of the training images."""


def part_name(part: Part) -> str:
    """The share, after the finding where there is one."""
    finding, share = part
    return f"{finding}: {share}" if finding else str(share)


@dataclass(frozen=True, eq=False)
class RealBaseline(Artifact):
    """Probes trained on real images: what those trained on synthetic ones are held against, shared by all arms.

    reason          why there is nothing, empty where there is
    features        float32 (n, d), a row for every image of the dataset; d is 0 where the probe sees pixels
    order           int64 (r, n_train)   training images, in random orders of which every beginning is a fair sample
    validation      int64 (n_validation,)   images that the probe's settings are chosen on
    probabilities   finding and share of the training images -> float64 (r, n_heldout, k)
    cuts            finding and share of the training images -> float64 (r, k)
    about           protocol of the features, what was chosen for each training, where validation images came from, and
                    for which findings there is nothing
    """

    reason: str
    features: NDArray[np.float32]
    order: NDArray[np.int64]
    validation: NDArray[np.int64]
    probabilities: dict[Part, NDArray[np.float64]]
    cuts: dict[Part, NDArray[np.float64]]
    about: JsonObject

    def save(self, folder: Path) -> None:
        save_arrays(folder, {name: getattr(self, name) for name in ("features", "order", "validation")})
        for name in ("probabilities", "cuts"):
            arrays = getattr(self, name).items()
            save_arrays(folder, {f"{name}-{_file(part, place)}": array for place, (part, array) in enumerate(arrays)})
        shares = [part if part[0] else part[1] for part in self.cuts]
        write_json(folder / "about.json", {"reason": self.reason, "shares": shares, "about": self.about})

    @classmethod
    def load(cls, folder: Path, config: Config) -> Self:
        content, arrays = read_json(folder / "about.json"), load_arrays(folder)
        parts: list[Part] = [(part[0], part[1]) if isinstance(part, list) else ("", part) for part in content["shares"]]
        probabilities, cuts = (
            {part: arrays[f"{name}-{_file(part, place)}"] for place, part in enumerate(parts)}
            for name in ("probabilities", "cuts")
        )
        features, order, validation = arrays["features"], arrays["order"], arrays["validation"]
        return cls(content["reason"], features, order, validation, probabilities, cuts, content["about"])

    def facts(self) -> Mapping[str, object]:
        if self.reason:
            return {"skipped": self.reason}
        return {"training images": self.order.shape[1], "validation images": len(self.validation)}


def _file(part: Part, place: int) -> str:
    """The end of a file's name: the share, or a number where there are findings, which may be called anything."""
    finding, share = part
    return f"finding{place}" if finding else str(share)


class Utility(Scores):
    """What probes trained on synthetic images know about real ones; `halves` are resamples of the held-out images."""


class Privacy(Scores):
    """How far attacks can tell training images from held-out ones; `halves` are resamples of both."""
