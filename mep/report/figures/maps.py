"""The map: embeddings of real and synthetic images in two dimensions, with a thumbnail behind every point."""

import base64
import importlib.util
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mep.artifacts import Clusters, Embeddings, Images, References, Scores
from mep.report.data.runs import ArmReport, Report, load
from mep.report.figures.gallery import NO_LABEL, Drawn
from mep.report.figures.pictures import spread

if TYPE_CHECKING:
    from numpy.typing import NDArray

N_REAL, N_MADE = 500, 250
"""Points of real images, and of every arm: a page with more is slow to draw."""
N_FITTED = 4000
"""Rows that the axes are fitted on."""
TILE_PX, TILES_ACROSS, QUALITY = 40, 32, 70
"""Thumbnails lie side by side in one picture."""


@dataclass(frozen=True)
class Point:
    """
    at      projection -> x, y in 0 to 1
    own     `real`, or the first arm of the set that it belongs to
    """

    at: dict[str, tuple[float, float]]
    own: str
    name: str
    label: str
    cluster: int


@dataclass(frozen=True)
class Map:
    """
    axes        projection -> what its axes are
    sprite      data URI of all thumbnails, in the order of the points; empty where no image can be read
    """

    title: str
    arms: list[str]
    axes: dict[str, str]
    points: list[Point]
    sprite: str
    n_real: int
    n_made: dict[str, int]


@dataclass(frozen=True, eq=False)
class _Set:
    """Embedded images of one origin, thinned to what the map shows."""

    own: str
    vectors: "NDArray[np.float32]"
    names: list[str]
    labels: list[str]
    clusters: list[int]
    read: list[Any]
    n_all: int


def embedding_maps(report: Report, sets: list[Drawn], *, thumbnails: bool = True) -> list[Map]:
    """Real against generated images in the space of every extractor, then the embedding that made the clusters."""
    by_name = {arm.name: arm for arm in report.arms}
    found: list[Map | None] = []
    for arms in _sharing(report, References):
        found += _measured(report, by_name[arms[0]], arms, sets, thumbnails)
    for arms in _sharing(report, Embeddings):
        found.append(_clustered(report, by_name[arms[0]], arms, thumbnails))
    return [one for one in found if one is not None]


def _sharing(report: Report, kind: type[Any]) -> list[list[str]]:
    """Arms by the artifact that they share, which is not loaded for it."""
    seen: dict[str, list[str]] = {}
    for arm in report.arms:
        if artifact_id := arm.id_of(kind):
            seen.setdefault(artifact_id, []).append(arm.name)
    return list(seen.values())


def _clustered(report: Report, arm: ArmReport, arms: list[str], thumbnails: bool) -> Map | None:
    embeddings, images = load(report, arm, Embeddings), arm.get(Images)
    if embeddings is None or images is None or len(embeddings.ids) < 3:
        return None
    shown = [_real(embeddings, images, arm.get(Clusters))]
    return _map("the embedding that made the clusters", arms, embeddings.vectors, shown, thumbnails)


def _measured(
    report: Report, arm: ArmReport, arms: list[str], sets: list[Drawn], thumbnails: bool
) -> Iterator[Map | None]:
    """A map for every extractor whose features of the samples were kept."""
    references, images = load(report, arm, References), arm.get(Images)
    if references is None or images is None:
        return
    row_of = {image_id: row for row, image_id in enumerate(images.ids)}
    for name, features in references.features.items():
        made = [one for own in sets if own.arms[0] in arms and (one := _of_samples(own, name)) is not None]
        if not made or "heldout" not in references.tables or len(features["heldout"]) < 3:
            continue
        ids = references.tables["heldout"]["id"]
        places = [place for place in spread(len(ids), N_REAL) if ids[place] in row_of]
        real = _Set(
            own="real",
            vectors=features["heldout"][places],
            names=[ids[place] for place in places],
            labels=[images.label_of(row_of[ids[place]]) or NO_LABEL for place in places],
            clusters=[-1] * len(places),
            read=[lambda row=row_of[ids[place]]: images.read(row) for place in places],
            n_all=len(ids),
        )
        title = f"{name}: held-out real and generated images"
        yield _map(title, arms, features["heldout"], [real, *made], thumbnails)


def _of_samples(own: Drawn, extractor: str) -> _Set | None:
    """Samples that were scored, with the features that they were scored by."""
    from mep.evaluation.evaluate import drawn

    scores = own.arm.get(Scores)
    features = scores.features.get(extractor) if scores else None
    if features is None or not len(features):
        return None
    scored = drawn(len(own.rows), len(features), own.arm.experiment.metrics.seed, 1)
    places = spread(len(scored), N_MADE)
    rows = [own.rows[scored[place]] for place in places]
    return _Set(
        own=own.arms[0],
        vectors=np.asarray(features)[places],
        names=[row["text"] for row in rows],
        labels=[row["label"] or NO_LABEL for row in rows],
        clusters=[-1 if row.get("cluster") is None else int(row["cluster"]) for row in rows],
        read=[lambda row=row: own.samples.read(row) for row in rows],
        n_all=len(own.rows),
    )


def _map(title: str, arms: list[str], fitted: "NDArray[np.float32]", sets: list[_Set], thumbnails: bool) -> Map:
    """Projections are fitted on real images."""
    vectors = np.concatenate([one.vectors for one in sets]).astype(np.float64)
    axes: dict[str, str] = {}
    places: dict[str, NDArray[np.float64]] = {}
    for name, (axis, found) in _projections(fitted, vectors).items():
        axes[name], places[name] = axis, _in_unit_square(found)
    points: list[Point] = []
    reads: list[Any] = []
    for one in sets:
        for row, name in enumerate(one.names):
            at = {key: (float(xy[len(points)][0]), float(xy[len(points)][1])) for key, xy in places.items()}
            points.append(Point(at, one.own, name, one.labels[row], one.clusters[row]))
        reads += one.read
    n_made = {one.own: one.n_all for one in sets[1:]}
    return Map(title, arms, axes, points, _sprite(reads) if thumbnails else "", sets[0].n_all, n_made)


def _real(embeddings: Embeddings, images: Images, clusters: Clusters | None) -> _Set:
    row_of = {image_id: row for row, image_id in enumerate(images.ids)}
    cluster_of = dict(zip(clusters.ids, clusters.labels.tolist(), strict=True)) if clusters else {}
    places = spread(len(embeddings.ids), N_REAL)
    ids = [embeddings.ids[place] for place in places]
    return _Set(
        own="real",
        vectors=embeddings.vectors[places],
        names=ids,
        labels=[images.label_of(row_of[one]) or NO_LABEL for one in ids],
        clusters=[int(cluster_of.get(one, -1)) for one in ids],
        read=[lambda row=row_of[one]: images.read(row) for one in ids],
        n_all=len(embeddings.ids),
    )


def _projections(
    fitted: "NDArray[np.float32]", vectors: "NDArray[np.float64]"
) -> dict[str, tuple[str, "NDArray[np.float64]"]]:
    """Name -> what its axes are, float64 (n, 2). UMAP where it is installed."""
    rows = np.asarray(fitted[spread(len(fitted), N_FITTED)], dtype=np.float64)
    mean = rows.mean(0)
    _, sizes, directions = np.linalg.svd(rows - mean, full_matrices=False)
    share = sizes[:2] ** 2 / max(float((sizes**2).sum()), 1e-300)
    shares = ", ".join(f"{100 * one:.0f} %" for one in share)
    flat = np.zeros((len(vectors), 2))
    flat[:, : min(2, len(directions))] = (vectors - mean) @ directions[:2].T
    found = {"PCA": (f"first two principal components of the real images ({shares} of the variance)", flat)}
    if importlib.util.find_spec("umap") is not None:
        import umap

        fit = umap.UMAP(n_components=2, random_state=0).fit(rows)
        found["UMAP"] = ("UMAP fitted on the real images", np.asarray(fit.transform(vectors), dtype=np.float64))
    return found


def _in_unit_square(places: "NDArray[np.float64]") -> "NDArray[np.float64]":
    """Scaled to 0 to 1; the outermost hundredth is moved to the edge, so that one stray point does not shrink all."""
    low, high = np.percentile(places, [0.5, 99.5], axis=0)
    return np.clip((places - low) / np.where(high > low, high - low, 1), 0, 1)


def _sprite(reads: list[Any]) -> str:
    from PIL import Image

    from mep.imaging.pixels import square

    sheet = np.full((-(-len(reads) // TILES_ACROSS) * TILE_PX, TILES_ACROSS * TILE_PX, 3), 128, np.uint8)
    there = 0
    for place, read in enumerate(reads):
        try:
            tile = square(read(), TILE_PX)
        except (OSError, ValueError, SyntaxError):  # deleted or damaged since: its tile stays grey
            continue
        y, x = divmod(place, TILES_ACROSS)
        sheet[y * TILE_PX : (y + 1) * TILE_PX, x * TILE_PX : (x + 1) * TILE_PX] = tile
        there += 1
    if not there:
        return ""
    buffer = io.BytesIO()
    Image.fromarray(sheet).save(buffer, "webp", quality=QUALITY, method=2)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"
