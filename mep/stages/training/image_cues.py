"""The cue of every image, and those of the prompts that a training shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mep.artifacts import Embeddings, Members, Prompt, Prompts
from mep.diffusion.cues import NONE, Cues, Vectors
from mep.sections.training import TrainingConfig

if TYPE_CHECKING:
    from mep.stages.training.batches import TrainingInputs


@dataclass(frozen=True, eq=False)
class ImageCues:
    """What the model is told of images beside their captions.

    of_image    image id -> its row among the cues
    """

    cues: Cues
    of_image: dict[str, int]

    @classmethod
    def of(cls, config: TrainingConfig, inputs: TrainingInputs) -> ImageCues | None:
        """As a recipe conditions; None where it does so on captions alone."""
        if config.conditioning.kind == "text":
            return None
        training_set = inputs.training_set
        members = [Members(training_set.ids, training_set.labels, training_set.clusters), training_set.validation]
        ids = [image_id for part in members for image_id in part.ids]
        groups = [group for part in members for group in _groups(part, inputs.prompts)]
        weights = np.concatenate([training_set.weights, np.zeros(len(training_set.validation))])
        clusters = np.array([cluster for _, cluster in groups], dtype=np.int64)
        known = np.arange(len(training_set.ids))
        vectors = None
        if config.conditioning.also_reads:
            assert inputs.embeddings is not None, "the runner loads what the config reads"
            vectors = _vectors(inputs.embeddings, ids, known)
        images = Cues([label for label, _ in groups], clusters, weights, vectors)
        cues = config.conditioning.cues(images)
        assert cues is not None, "only text has no cues"
        if cues is images:
            return cls(cues, dict(zip(ids, range(len(ids)), strict=True)))
        rows = {group: row for row, group in enumerate(zip(cues.labels, cues.clusters.tolist(), strict=True))}
        return cls(cues, {image_id: rows.get(group, NONE) for image_id, group in zip(ids, groups, strict=True)})

    def rows(self, ids: Sequence[str]) -> NDArray[np.int64]:
        """int64 (b,) rows of images; NONE for a validation image of a group that is not trained on."""
        return np.array([self.of_image[image_id] for image_id in ids], dtype=np.int64)

    def picked(self, prompts: Sequence[Prompt], seeds: Sequence[int]) -> NDArray[np.int64]:
        """int64 (b,) rows that images of prompts are drawn with."""
        pairs = zip(prompts, seeds, strict=True)
        return np.array([self.cues.pick(prompt.label, prompt.cluster, seed) for prompt, seed in pairs], dtype=np.int64)

    def inputs(self, rows: NDArray[np.int64]) -> Tensor:
        """`Cues.inputs` as a tensor."""
        return torch.from_numpy(self.cues.inputs(rows))


def _groups(members: Members, prompts: Prompts) -> list[tuple[str | None, int]]:
    """Label and cluster of each image: as its caption has them, which may name another cluster, else its own."""
    groups = []
    for image_id, label, cluster in zip(members.ids, members.labels, members.clusters.tolist(), strict=True):
        number = prompts.of_image.get(image_id)
        said = (None, None) if number is None else (prompts.prompts[number].label, prompts.prompts[number].cluster)
        groups.append((label if said[0] is None else said[0], cluster if said[1] is None else said[1]))
    return groups


def _vectors(embeddings: Embeddings, ids: Sequence[str], known: NDArray[np.int64]) -> Vectors:
    place_of = {image_id: place for place, image_id in enumerate(embeddings.ids)}
    places = np.array([place_of[image_id] for image_id in ids], dtype=np.int64)
    return Vectors.scaled_by(embeddings.vectors, places, known)
