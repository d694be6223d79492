"""Images that may be shown to readers, and which of them are: as many real ones as synthetic ones of every kind."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from mep.artifacts import Images
from mep.errors import UsageError

REAL, SYNTHETIC = "real", "synthetic"

Kind = tuple[str | None, str | None]
"""Label and type of an image."""


@dataclass(frozen=True)
class Candidate:
    """An image that may be shown.

    truth   real or synthetic
    arm     of a synthetic image, empty for a real one
    image   id in the dataset, or file name among the samples
    row     in the dataset, or among the samples
    type    what a second question should be answered with; None without one, or where the image has no type
    """

    truth: str
    arm: str
    image: str
    label: str | None
    row: int
    type: str | None = None


def real_candidates(images: Images, rng: np.random.Generator) -> list[Candidate]:
    """In random order, but one of every slide or patient before a second of any."""
    order = rng.permutation(len(images))
    n_seen: Counter[int] = Counter()
    turn = []
    for group in images.groups[order]:
        turn.append(n_seen[group])
        n_seen[group] += 1
    rows = order[np.argsort(turn, kind="stable")]
    return [Candidate(REAL, "", images.ids[row], images.label_of(row), int(row)) for row in rows]


def choose(
    real: list[Candidate], synthetic: dict[str, list[Candidate]], n_each: int, *, leave_out: bool
) -> list[Candidate]:
    """The first of every label and type, as many real as synthetic ones; without labels on either side of all.

    leave_out   whether kinds with too few images are left out: of many clusters some are rare
    """
    pools = [real, *synthetic.values()]
    labelled = all(image.label is not None for pool in pools for image in pool)

    def kind_of(image: Candidate) -> Kind:
        return image.label if labelled else None, image.type

    counts = [Counter(map(kind_of, pool)) for pool in pools]
    kinds = sorted(set.intersection(*map(set, counts)), key=str)
    while leave_out and kinds:
        scarce = min(kinds, key=lambda kind: min(counts[0][kind] / len(synthetic), *(of[kind] for of in counts[1:])))
        most = -(-n_each // len(kinds))
        if counts[0][scarce] >= most and all(of[scarce] >= -(-most // len(synthetic)) for of in counts[1:]):
            break
        kinds.remove(scarce)
    if not kinds:
        raise UsageError(
            f"no {'cluster' if leave_out else 'label'} has both real held-out and synthetic images enough",
            hint="ask for fewer: --images" if leave_out else "readers would tell by the label",
        )
    chosen = []
    for kind, n in zip(kinds, _shares(n_each, len(kinds)), strict=True):
        chosen += _first([image for image in real if kind_of(image) == kind], kind, n, "real held-out")
        for (arm, pool), n_of_arm in zip(synthetic.items(), _shares(n, len(synthetic)), strict=True):
            chosen += _first([image for image in pool if kind_of(image) == kind], kind, n_of_arm, f"synthetic ({arm})")
    return chosen


def _first(images: list[Candidate], of: Kind, n: int, kind: str) -> list[Candidate]:
    label, images = of[0], images[:n]
    if len(images) < n:
        labelled = f" labelled '{label}'" if label is not None else ""
        raise UsageError(
            f"{n} {kind} images{labelled} are needed, there are {len(images)}", hint="ask for fewer: --images"
        )
    return images


def _shares(n: int, parts: int) -> list[int]:
    """n in whole numbers, as even as can be."""
    return [n // parts + (place < n % parts) for place in range(parts)]
