"""The map: embeddings of real and synthetic images in two dimensions, with a thumbnail behind every point."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from mep.artifacts import Clusters, Embeddings, Images, References, Scores
from mep.imaging.pixels import square
from mep.machine.libraries import is_installed
from mep.report.data.artifacts import OpenArm
from mep.report.data.runs import Report
from mep.report.figures.pictures import NO_LABEL, UNREADABLE, Read, SampleSet, data_uri, spread

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
    """Images of one origin, `n_all` before thinning: name, label, cluster and reader of those on the map."""

    of: str
    vectors: Floats
    images: Sequence[tuple[str, str, int, Read]]
    n_all: int


def embedding_maps(report: Report, sets: Sequence[SampleSet], *, thumbnails: bool = True) -> list[Map]:
    """Real against generated images in the space of every extractor, then the embedding that made the clusters."""
    maps = []
    for arms in report.sharing(References):
        labels = [arm.label for arm in arms]
        made = [samples for samples in sets if samples.arms[0] in labels]
        for extractor, features, embedded in _scored(arms[0], made):
            title = f"{extractor}: held-out real and generated images"
            maps.append(_map(title, labels, features, embedded, thumbnails))
    for arms in report.sharing(Embeddings):
        embeddings, images = arms[0].load(Embeddings), arms[0].get(Images)
        if embeddings is not None and images is not None and len(embeddings.ids) >= 3:
            real = _real(images, embeddings.ids, embeddings.vectors, arms[0].get(Clusters))
            labels = [arm.label for arm in arms]
            maps.append(_map("the embedding that made the clusters", labels, embeddings.vectors, [real], thumbnails))
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
    row_of = {image_id: row for row, image_id in enumerate(images.ids)}
    cluster_of = dict(zip(clusters.ids, clusters.labels.tolist(), strict=True)) if clusters else {}
    numbers = [number for number in spread(len(ids), N_REAL) if ids[number] in row_of]
    shown = []
    for image_id in (ids[number] for number in numbers):
        row = row_of[image_id]
        label = images.label_of(row) or NO_LABEL
        shown.append((image_id, label, int(cluster_of.get(image_id, -1)), partial(images.read, row)))
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
        shown.append((row["text"], row["label"] or NO_LABEL, cluster, partial(samples.samples.read, row)))
    return _Embedded(samples.arms[0], np.asarray(features)[numbers], shown, len(samples.rows))


def _map(title: str, arms: list[str], fitted: Floats, sets: Sequence[_Embedded], thumbnails: bool) -> Map:
    projections = _projections(fitted, np.concatenate([embedded.vectors for embedded in sets]).astype(np.float64))
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
        sprite=_sprite([read for *_, read in shown]) if thumbnails else "",
        n_real=sets[0].n_all,
        n_made={embedded.of: embedded.n_all for embedded in sets[1:]},
    )


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


def _sprite(reads: Sequence[Read]) -> str:
    sheet = np.full((-(-len(reads) // TILES_ACROSS) * TILE_PX, TILES_ACROSS * TILE_PX, 3), 128, np.uint8)
    n_readable = 0
    for number, read in enumerate(reads):
        try:
            tile = square(read(), TILE_PX)
        except UNREADABLE:  # deleted or damaged since: its tile stays grey
            continue
        y, x = divmod(number, TILES_ACROSS)
        sheet[y * TILE_PX : (y + 1) * TILE_PX, x * TILE_PX : (x + 1) * TILE_PX] = tile
        n_readable += 1
    return data_uri(sheet, QUALITY) if n_readable else ""
