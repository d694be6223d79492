"""Arms together with what the store still holds of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from mep.artifacts import (
    Artifact,
    Assignment,
    BaseModel,
    Clusters,
    Images,
    Inliers,
    Model,
    Prompts,
    Samples,
    Scores,
    TrainingSet,
    Utility,
)
from mep.recipe.model import Experiment
from mep.report.data.arms import Arm
from mep.stages import maker_of
from mep.store import Store

ArtifactT = TypeVar("ArtifactT", bound=Artifact)

LOADED = (
    *(Images, Inliers, Clusters, TrainingSet, Prompts, BaseModel, Model),
    *(Samples, Assignment, Scores, Utility),
)
"""What a report reads at once. Embeddings and features are read when the maps are drawn."""

UNREADABLE = (OSError, KeyError, ValueError, TypeError)
"""What loading raises where files are gone or damaged, or written by another version of the stage."""


@dataclass(eq=False, kw_only=True)
class OpenArm(Arm):
    """An arm and its artifacts.

    readable    stage -> stage/fingerprint of every artifact whose files are there
    loaded      type -> artifact, of the types that are read at once
    read        loads an artifact of any type by its name
    """

    experiment: Experiment
    readable: dict[str, str]
    loaded: dict[type[Artifact], Artifact]
    read: Callable[[type[Artifact], str], Artifact]

    @property
    def artifact_ids(self) -> dict[str, str]:
        return self.readable

    def id_of(self, kind: type[Artifact]) -> str | None:
        """Name of the artifact; arms that share it have the same."""
        return self.readable.get(maker_of(kind).name)

    def get(self, kind: type[ArtifactT]) -> ArtifactT | None:
        """The artifact of a type that is read at once; None where it is missing."""
        artifact = self.loaded.get(kind)
        return artifact if isinstance(artifact, kind) else None

    def load(self, kind: type[ArtifactT]) -> ArtifactT | None:
        """An artifact too large to be read at once; None where it is missing or cannot be read."""
        artifact_id = self.id_of(kind)
        if artifact_id is None:
            return None
        try:
            artifact = self.read(kind, artifact_id)
        except UNREADABLE:
            return None
        return artifact if isinstance(artifact, kind) else None


class ArmOpener:
    """Opens arms; artifacts that several share are read once."""

    def __init__(self, store: Store):
        self.store = store
        self.loaded: dict[str, Artifact] = {}

    def __call__(self, arm: Arm, experiment: Experiment) -> OpenArm:
        def read(kind: type[Artifact], artifact_id: str) -> Artifact:
            stage = maker_of(kind)
            config = stage.view(getattr(experiment, stage.section))
            return self.store.load(kind, artifact_id, config)

        readable = {stage: name for stage, name in arm.used.items() if self.store.has(name)}
        artifacts: dict[type[Artifact], Artifact] = {}
        for kind in LOADED:
            stage = maker_of(kind).name
            artifact_id = readable.get(stage)
            if artifact_id is None:
                continue
            try:
                if artifact_id not in self.loaded:
                    self.loaded[artifact_id] = read(kind, artifact_id)
                artifacts[kind] = self.loaded[artifact_id]
            except UNREADABLE:
                del readable[stage]
        return OpenArm(**vars(arm), experiment=experiment, readable=readable, loaded=artifacts, read=read)
