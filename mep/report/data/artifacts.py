"""Arms together with what the store still holds of them."""

from dataclasses import dataclass
from typing import TypeVar

from mep import artifacts
from mep.artifacts import Artifact
from mep.recipe.model import Experiment
from mep.report.data.arms import Arm
from mep.runner.plan import Plan
from mep.stages import maker_of
from mep.store import Store

ArtifactT = TypeVar("ArtifactT", bound=Artifact)

LOADED = (
    *(artifacts.Images, artifacts.Inliers, artifacts.Clusters, artifacts.TrainingSet, artifacts.Prompts),
    *(artifacts.BaseModel, artifacts.Model, artifacts.Samples, artifacts.Assignment, artifacts.Scores),
    *(artifacts.Utility, artifacts.Privacy, artifacts.Calibration),
)
"""What a report reads at once. Embeddings and features are read when the maps are drawn."""

UNREADABLE = (OSError, KeyError, ValueError, TypeError)
"""What loading raises where files are gone or damaged, or written by another version of the stage."""


@dataclass(eq=False, kw_only=True)
class OpenArm(Arm):
    """An arm and its artifacts.

    readable    stage -> stage/fingerprint of every artifact whose files are there
    loaded      type -> artifact, of the types that are read at once
    """

    store: Store
    experiment: Experiment
    readable: dict[str, str]
    loaded: dict[type[Artifact], Artifact]

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
        """Read an artifact; None where it is missing or cannot be read."""
        artifact_id, stage = self.id_of(kind), maker_of(kind)
        try:
            config = stage.view(self.experiment)
            return self.store.load(kind, artifact_id, config) if artifact_id else None
        except UNREADABLE:
            return None


def open_arm(store: Store, arm: Arm, experiment: Experiment, loaded: dict[str, Artifact | None]) -> OpenArm:
    """An arm with its artifacts; `loaded` keeps them by id, so that those that several arms share are read once."""
    readable = {stage: artifact_id for stage, artifact_id in arm.used.items() if store.has(artifact_id)}
    opened = OpenArm(**vars(arm), store=store, experiment=experiment, readable=readable, loaded={})
    for kind in LOADED:
        if (artifact_id := opened.id_of(kind)) is None:
            continue
        if artifact_id not in loaded:
            loaded[artifact_id] = opened.load(kind)
        artifact = loaded[artifact_id]
        if artifact is None:
            del readable[maker_of(kind).name]
        else:
            opened.loaded[kind] = artifact
    return opened


def planned_arms(plan: Plan, store: Store) -> list[OpenArm]:
    """The arms of a recipe that has not run, with what there is of them; the recipe's name stands for a run."""
    loaded: dict[str, Artifact | None] = {}
    opened = []
    for name, experiment in plan.recipe.arms.items():
        used = {stage: task.artifact_id for stage, task in plan.of_arm(name).items()}
        arm = Arm(label=name, run_id=plan.recipe.name, name=name, state="planned", used=used)
        opened.append(open_arm(store, arm, experiment, loaded))
    return opened
