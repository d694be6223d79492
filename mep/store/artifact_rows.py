"""The rows that an artifact gets in the database."""

import json

from mep.artifacts import Artifact, Scores
from mep.store import manifest
from mep.store.database import Entry
from mep.store.manifest import Manifest
from mep.store.row_types import ArtifactRow


def artifact_row(content: Manifest) -> ArtifactRow:
    return {
        "artifact_id": manifest.artifact_id(content),
        "n_files": len(content["files"]),
        "n_bytes": manifest.n_bytes(content),
        "ingredients": json.dumps(content["ingredients"], ensure_ascii=False),
        "facts": json.dumps(content["facts"], ensure_ascii=False),
        "stage": content["stage"],
        "fingerprint": content["fingerprint"],
        "version": content["version"],
        "made_by": content["made_by"],
        "made_at": content["made_at"],
    }


def rows_of(content: Manifest, artifact: Artifact | None = None) -> list[Entry]:
    """What the database holds on an artifact: all of it from the manifest, and scores from the artifact."""
    row = artifact_row(content)
    key = {"artifact_id": row["artifact_id"]}
    entries: list[Entry] = [("artifacts", row)]
    entries += [
        ("inputs", key | {"role": role, "input_id": source})
        for role, source in content["ingredients"]["inputs"].items()
    ]
    if isinstance(artifact, Scores):
        entries += [("scores", key | {"row": n} | score.to_sql()) for n, score in enumerate(artifact.rows)]
    return entries


def scores_kind(stage: str) -> type[Scores] | None:
    """The artifact type of a stage that writes scores; None for the others."""
    from mep.stages import stages

    output = stages()[stage].output if stage in stages() else None
    return output if output and issubclass(output, Scores) else None
