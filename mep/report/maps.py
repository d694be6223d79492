"""The map: embeddings of real and synthetic images in two dimensions, with a thumbnail behind every point."""

import base64
import importlib.util
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mep.artifacts import Clusters, Embeddings, Images
from mep.report.data import ArmReport, Report, load
from mep.report.gallery import NO_LABEL, Drawn
from mep.report.pictures import spread

if TYPE_CHECKING:
    from numpy.typing import NDArray

N_REAL, N_MADE = 600, 300
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
    """A map for every distinct embedding."""
    seen: dict[str, list[str]] = {}
    for arm in report.arms:
        if artifact_id := arm.id_of(Embeddings):
            seen.setdefault(artifact_id, []).append(arm.name)
    by_name = {arm.name: arm for arm in report.arms}
    return [
        found for arms in seen.values() if (found := _map(report, by_name[arms[0]], arms, sets, thumbnails)) is not None
    ]


def _map(report: Report, arm: ArmReport, arms: list[str], sets: list[Drawn], thumbnails: bool) -> Map | None:
    embeddings, images = load(report, arm, Embeddings), arm.get(Images)
    if embeddings is None or images is None or len(embeddings.ids) < 3:
        return None
    shown = [_real(embeddings, images, arm.get(Clusters)), *_made(report, arms, sets)]
    shown = [one for one in shown if len(one.names)]
    vectors = np.concatenate([one.vectors for one in shown]).astype(np.float64)
    axes: dict[str, str] = {}
    places: dict[str, NDArray[np.float64]] = {}
    for name, (axis, found) in _projections(embeddings.vectors, vectors).items():
        axes[name], places[name] = axis, _in_unit_square(found)
    points: list[Point] = []
    reads: list[Any] = []
    for one in shown:
        for row, name in enumerate(one.names):
            at = {key: (float(xy[len(points)][0]), float(xy[len(points)][1])) for key, xy in places.items()}
            points.append(Point(at, one.own, name, one.labels[row], one.clusters[row]))
        reads += one.read
    n_made = {one.own: one.n_all for one in shown[1:]}
    return Map(arms, axes, points, _sprite(reads) if thumbnails else "", len(embeddings.ids), n_made)


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


def _made(report: Report, arms: list[str], sets: list[Drawn]) -> Iterator[_Set]:
    """Samples whose embedding was stored."""
    yield from ()


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

    from mep.pixels import square

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
