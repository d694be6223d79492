"""Of which images it is asked whether the model was trained on them."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mep.artifacts import Assignment, Clusters, Images, TrainingSet
from mep.config import digest

HELD_OUT, MEMBER, UNSEEN = range(3)
"""Roles: not trained on; trained on; of the training side of the split, and not trained on either."""
FEWEST = 8
"""Images of a role without which nothing is measured."""
SMALLEST_PART = 0.5
"""Share of the images that has to be left where labels and clusters are matched; else labels alone, else nothing."""
Stratum: TypeAlias = tuple[str | None, int | None]
Told: TypeAlias = NDArray[np.float32] | Sequence[Stratum] | None
"""What a conditioned model is told of each image beside its caption: a vector, (n, d), or its label and cluster."""
ByStratum: TypeAlias = dict[Stratum, list[str]]
Triple: TypeAlias = tuple[str, str, str | None]
"""A held-out image, a training image, and an unseen one where there is any: all of the same stratum."""
MATCHES: tuple[tuple[str, ...], ...] = (("label", "cluster"), ("label",), ())


@dataclass(frozen=True, eq=False)
class Asked:
    """Training images and as many held-out ones, in the same mix; and unseen ones of the training side, in that mix.

    ids         n names
    roles       int64 (n,)
    groups      int64 (n,)  slide or patient; every image its own where no column names them
    as_one      n names of training images of the same stratum, itself where it is one
    trained     training image -> its stratum
    matched_by  what the mix is of: label and cluster, label, or nothing
    controls    bool (n,)   held-out images that stand against the unseen ones: as many, in their mix
    kinds       n labels and clusters, as each image has them itself
    """

    ids: list[str]
    roles: NDArray[np.int64]
    groups: NDArray[np.int64]
    as_one: list[str]
    trained: dict[str, Stratum]
    matched_by: tuple[str, ...]
    controls: NDArray[np.bool_]
    kinds: list[Stratum] = field(default_factory=list)

    @classmethod
    def draw(
        cls, images: Images, training_set: TrainingSet, clusters: Clusters, assignment: Assignment, most: int, seed: int
    ) -> Self:
        """At most so many training images, by lot; the same for the same training set, whatever the captions say."""
        held = dict(zip(assignment.ids["heldout"], assignment.parts["heldout"][:, 0].tolist(), strict=True))
        known = dict(zip(clusters.ids, clusters.labels.tolist(), strict=True)) | held
        label_of = {image_id: images.label_of(row) for row, image_id in enumerate(images.ids)}
        drawn = np.asarray(training_set.weights) > 0
        members = [image_id for image_id, used in zip(training_set.ids, drawn.tolist(), strict=True) if used]
        unseen = _unseen(images, training_set)
        rng = np.random.default_rng([seed, 29, len(images)])
        roles = [[ids[place] for place in rng.permutation(len(ids))] for ids in (list(held), members, unseen)]
        for by in MATCHES:

            def stratum(image_id: str, by: tuple[str, ...] = by) -> Stratum:
                return (
                    label_of[image_id] if "label" in by else None,
                    known.get(image_id) if "cluster" in by else None,
                )

            parts = [_by_stratum(ids, stratum) for ids in roles]
            triples = _triples(*parts)
            if len(triples) >= SMALLEST_PART * min(len(held), len(members)):
                break
        kept = [triples[place] for place in np.sort(rng.permutation(len(triples))[:most])]
        asked = cls._of(images, kept, {image_id: stratum(image_id) for image_id in members}, by)
        return replace(asked, kinds=[(label_of[image_id], known.get(image_id)) for image_id in asked.ids])

    @classmethod
    def _of(cls, images: Images, kept: Sequence[Triple], trained: dict[str, Stratum], by: tuple[str, ...]) -> Self:
        rows = [(held, HELD_OUT, member, unseen is not None) for held, member, unseen in kept]
        rows += [(member, MEMBER, member, False) for _, member, _ in kept]
        rows += [(unseen, UNSEEN, member, False) for _, member, unseen in kept if unseen is not None]
        ids, roles, as_one, controls = map(list, zip(*rows, strict=True)) if rows else ([], [], [], [])
        groups = images.groups[images.rows(ids)] if ids else np.zeros(0, dtype=np.int64)
        roles_of = np.array(roles, dtype=np.int64)
        return cls(ids, roles_of, groups, as_one, trained, by, np.array(controls, dtype=bool))

    def __len__(self) -> int:
        return len(self.ids)

    def count(self, role: int) -> int:
        return int((self.roles == role).sum())

    @cached_property
    def digest(self) -> str:
        """Of the names and roles: two arms are compared where theirs are alike."""
        return digest(sorted(zip(self.ids, self.roles.tolist(), strict=True)))

    def captions(self, caption_of: Mapping[str, str]) -> list[str]:
        """What every image is shown with: the caption of its stratum; nothing for all where a stratum has several.

        caption_of  training image -> its caption
        """
        of_stratum: dict[Stratum, set[str]] = defaultdict(set)
        for image_id, stratum in self.trained.items():
            of_stratum[stratum].add(caption_of[image_id])
        if any(len(captions) > 1 for captions in of_stratum.values()):
            return [""] * len(self)
        return [caption_of[image_id] for image_id in self.as_one]

    @property
    def independent(self) -> bool:
        return len(np.unique(self.groups)) == len(self.groups)


def _unseen(images: Images, training_set: TrainingSet) -> list[str]:
    """Images of the training side that are not trained on, of slides and patients that no image is trained on of."""
    trained = np.isin(images.groups, images.groups[images.rows(training_set.ids)])
    return [images.ids[row] for row in np.flatnonzero(~trained & ~images.heldout)]


def _by_stratum(ids: Sequence[str], stratum: Callable[[str], Stratum]) -> ByStratum:
    parts: ByStratum = defaultdict(list)
    for image_id in ids:
        parts[stratum(image_id)].append(image_id)
    return parts


def _triples(held: ByStratum, members: ByStratum, unseen: ByStratum) -> list[Triple]:
    triples: list[Triple] = []
    for key, ids in held.items():
        of_members, of_unseen = members.get(key, []), unseen.get(key, [])
        n = min(len(ids), len(of_members))
        triples += zip(ids[:n], of_members[:n], [*of_unseen[:n], *[None] * (n - len(of_unseen))][:n], strict=True)
    return triples
