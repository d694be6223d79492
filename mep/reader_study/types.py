"""What readers may say that an image shows: labels, or clusters by example."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mep.artifacts import Assignment, Clusters, Images
from mep.errors import UsageError
from mep.imaging.pixels import square

MOST_TYPES = 9
"""Types that a reader can tell apart and answer with one key; of more clusters, those with the most held-out images."""
N_EXAMPLES = 4
"""Real training images of each cluster, the nearest to its centre."""


@dataclass(frozen=True, eq=False)
class Types:
    """
    names       cluster -> what it is called on the page
    of_image    held-out image -> its cluster, -1 for none
    examples    name -> real training images that show it, uint8 (h, w, 3) each
    """

    names: dict[int, str]
    of_image: dict[str, int]
    examples: dict[str, list[NDArray[np.uint8]]] = field(default_factory=dict)

    def of_real(self, image_id: str) -> str | None:
        return self.names.get(self.of_image.get(image_id, -1))

    def of_sample(self, row: Mapping[str, object]) -> str | None:
        """What its caption asked for."""
        cluster = row.get("cluster")
        return self.names.get(cluster) if isinstance(cluster, int) else None


def clusters_by_example(
    images: Images, clusters: Clusters, assignment: Assignment, given_names: Mapping[int, str], size_px: int
) -> Types:
    """The clusters that have held-out images, the most frequent first, each with training images that show it.

    images      all of the dataset
    given_names number -> what a cluster is called; others are called by their number

    UsageError  there are no two clusters with held-out images
    """
    found = dict(zip(assignment.ids["heldout"], assignment.parts["heldout"][:, 0].tolist(), strict=True))
    frequent = [cluster for cluster, _ in Counter(found.values()).most_common() if cluster >= 0][:MOST_TYPES]
    if len(frequent) < 2:
        raise UsageError("there are no two clusters that readers could name", hint="leave out --name clusters")
    names = {cluster: given_names.get(cluster, f"cluster {cluster}") for cluster in sorted(frequent)}
    row_of = {image_id: row for row, image_id in enumerate(images.ids)}
    examples = {
        name: [square(images.read(row_of[image_id]), size_px) for image_id in _nearest(clusters, cluster)]
        for cluster, name in names.items()
    }
    return Types(names, found, examples)


def _nearest(clusters: Clusters, cluster: int) -> Sequence[str]:
    rows = np.flatnonzero((clusters.labels == cluster) & np.isfinite(clusters.distances))
    return [clusters.ids[row] for row in rows[np.argsort(clusters.distances[rows], kind="stable")][:N_EXAMPLES]]
