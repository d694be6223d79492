"""The map: embeddings of real and synthetic images in two dimensions, with a thumbnail behind every point."""

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from mep.artifacts import Clusters, Embeddings, Images, References, Scores
from mep.imaging.pixels import square
from mep.machine.libraries import is_installed
from mep.report.data.artifacts import OpenArm
from mep.report.data.kept import Kept
from mep.report.data.runs import Report
from mep.report.figures.pictures import UNREADABLE, Shot, data_uri, digest_of, spread
from mep.report.figures.strips import NO_LABEL, RealImages, SampleSet

Floats: TypeAlias = NDArray[np.floating]

N_REAL, N_MADE = 500, 250
"""Points of real images, and of every arm: a page with more is slow to draw."""
N_FITTED = 4000
"""Rows that the axes are fitted on."""
TILE_PX, TILES_ACROSS, QUALITY = 40, 32, 70
"""Thumbnails lie side by side in a single picture."""
REAL = "real"


@dataclass(frozen=True)
class Point:
    """An image on the map.

    at      projection -> x, y in 0 to 1
    of      `real`, or the first arm of the set that it belongs to
    """

    at: dict[str, tuple[float, float]]
    of: str
    name: str
    label: str
    cluster: int


@dataclass(frozen=True)
class Map:
    """Images of one feature space.

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
class _Embedded:
    """Images of one origin, `n_all` before thinning: name, label, cluster and shot of those on the map."""

    of: str
    vectors: Floats
    images: Sequence[tuple[str, str, int, Shot]]
    n_all: int


def embedding_maps(report: Report, sets: Sequence[SampleSet], *, thumbnails: bool = True) -> list[Map]:
    """Real against generated images in the space of every extractor, then the embedding that made the clusters."""
    maps = []
    for arms in report.sharing(References):
        labels = [arm.label for arm in arms]
        made = [samples for samples in sets if samples.arms[0] in labels]
        for extractor, features, embedded in _scored(arms[0], made):
            title = f"{extractor}: held-out real and generated images"
            maps.append(_map(title, labels, features, embedded, thumbnails, report.kept))
    for arms in report.sharing(Embeddings):
        embeddings, images = arms[0].load(Embeddings), arms[0].get(Images)
        if embeddings is not None and images is not None and len(embeddings.ids) >= 3:
            real = _real(images, embeddings.ids, embeddings.vectors, arms[0].get(Clusters))
            labels, title = [arm.label for arm in arms], "the embedding that made the clusters"
            maps.append(_map(title, labels, embeddings.vectors, [real], thumbnails, report.kept))
    return maps


def _scored(arm: OpenArm, sets: Sequence[SampleSet]) -> Iterator[tuple[str, Floats, list[_Embedded]]]:
    """Every extractor whose features of the samples were kept: its held-out features, real and generated images."""
    references, images = arm.load(References), arm.get(Images)
    if references is None or images is None or "heldout" not in references.tables:
        return
    ids = references.tables["heldout"]["id"]
    for extractor, features in references.features.items():
        made = [embedded for samples in sets if (embedded := _samples(samples, extractor)) is not None]
        if made and len(features["heldout"]) >= 3:
            yield extractor, features["heldout"], [_real(images, ids, features["heldout"]), *made]


def _real(images: Images, ids: list[str], vectors: Floats, clusters: Clusters | None = None) -> _Embedded:
    real = RealImages(images)
    cluster_of = dict(zip(clusters.ids, clusters.labels.tolist(), strict=True)) if clusters else {}
    numbers = [number for number in spread(len(ids), N_REAL) if ids[number] in real.row_of]
    shown = []
    for image_id in (ids[number] for number in numbers):
        shown.append((image_id, real.label_of(image_id), int(cluster_of.get(image_id, -1)), real.shot(image_id)))
    return _Embedded(REAL, vectors[numbers], shown, len(ids))


def _samples(samples: SampleSet, extractor: str) -> _Embedded | None:
    """Samples that were scored, with the features that they were scored by."""
    from mep.evaluation.space import drawn

    scores = samples.arm.get(Scores)
    features = scores.features.get(extractor) if scores else None
    if features is None or not len(features):
        return None
    scored = drawn(len(samples.rows), len(features), samples.arm.experiment.metrics.seed, 1)
    numbers = spread(len(scored), N_MADE)
    shown = []
    for row in (samples.rows[scored[number]] for number in numbers):
        cluster = -1 if row.get("cluster") is None else int(row["cluster"])
        shown.append((row["text"], row["label"] or NO_LABEL, cluster, samples.shot(row)))
    return _Embedded(samples.arms[0], np.asarray(features)[numbers], shown, len(samples.rows))


def _map(title: str, arms: list[str], fitted: Floats, sets: Sequence[_Embedded], thumbnails: bool, kept: Kept) -> Map:
    vectors = np.concatenate([embedded.vectors for embedded in sets]).astype(np.float64)
    projections = _projections_once(kept, fitted, vectors)
    positions = {name: _in_unit_square(projected).tolist() for name, (_, projected) in projections.items()}
    shown = [(embedded.of, *image) for embedded in sets for image in embedded.images]
    points = [
        Point({axes: (xy[row][0], xy[row][1]) for axes, xy in positions.items()}, of, name, label, cluster)
        for row, (of, name, label, cluster, _) in enumerate(shown)
    ]
    return Map(
        title=title,
        arms=arms,
        axes={name: description for name, (description, _) in projections.items()},
        points=points,
        sprite=_sprite([shot for *_, shot in shown], kept) if thumbnails else "",
        n_real=sets[0].n_all,
        n_made={embedded.of: embedded.n_all for embedded in sets[1:]},
    )


def _projections_once(kept: Kept, fitted: Floats, vectors: Floats) -> dict[str, tuple[str, Floats]]:
    """`_projections`, as a page has kept them; UMAP takes ten seconds."""
    versions = [version(package) for package in ("numpy", "umap-learn") if is_installed(package.removesuffix("-learn"))]
    key = f"projections {versions} {digest_of(fitted)} {digest_of(vectors)}"
    if (text := kept.find(key)) is None:
        found = _projections(fitted, vectors)
        kept.keep(key, json.dumps({name: (axes, places.tolist()) for name, (axes, places) in found.items()}))
        return found
    return {name: (axes, np.array(places)) for name, (axes, places) in json.loads(text).items()}


def _projections(fitted: Floats, vectors: Floats) -> dict[str, tuple[str, Floats]]:
    """Name -> what its axes are, float64 (n, 2). UMAP where it is installed."""
    rows = np.asarray(fitted[spread(len(fitted), N_FITTED)], dtype=np.float64)
    mean = rows.mean(0)
    _, sizes, directions = np.linalg.svd(rows - mean, full_matrices=False)
    variance = sizes[:2] ** 2 / max(float((sizes**2).sum()), 1e-300)
    shares = ", ".join(f"{100 * share:.0f} %" for share in variance)
    flat: Floats = np.zeros((len(vectors), 2))
    flat[:, : min(2, len(directions))] = (vectors - mean) @ directions[:2].T
    projections = {"PCA": (f"first two principal components of the real images ({shares} of the variance)", flat)}
    if is_installed("umap"):
        import umap

        fit = umap.UMAP(n_components=2, random_state=0).fit(rows)
        projections["UMAP"] = ("UMAP fitted on the real images", np.asarray(fit.transform(vectors), dtype=np.float64))
    return projections


def _in_unit_square(positions: Floats) -> Floats:
    """Scaled to 0 to 1; the outermost hundredth is moved to the edge, so that one stray point does not shrink all."""
    low, high = np.percentile(positions, [0.5, 99.5], axis=0)
    scaled: Floats = np.clip((positions - low) / np.where(high > low, high - low, 1), 0, 1)
    return scaled


def _sprite(shots: Sequence[Shot], kept: Kept) -> str:
    """The thumbnails of some images side by side; those deleted or damaged since stay grey."""
    tiles: dict[int, NDArray[np.uint8]] = {}
    try:
        key = " ".join(["sprite", *(shot.state() or digest_of(_tile(shot, tiles, n)) for n, shot in enumerate(shots))])
    except UNREADABLE:
        key = ""
    if key and (made := kept.find(key)) is not None:
        return made
    sheet = np.full((-(-len(shots) // TILES_ACROSS) * TILE_PX, TILES_ACROSS * TILE_PX, 3), 128, np.uint8)
    for number, shot in enumerate(shots):
        with suppress(*UNREADABLE):
            y, x = divmod(number, TILES_ACROSS)
            sheet[y * TILE_PX : (y + 1) * TILE_PX, x * TILE_PX : (x + 1) * TILE_PX] = _tile(shot, tiles, number)
    made = data_uri(sheet, QUALITY) if tiles else ""
    if key and len(tiles) == len(shots):
        kept.keep(key, made)
    return made


def _tile(shot: Shot, tiles: dict[int, NDArray[np.uint8]], number: int) -> NDArray[np.uint8]:
    """One thumbnail, read once."""
    if number not in tiles:
        tiles[number] = square(shot.read(), TILE_PX)
    return tiles[number]
