"""The rows that an artifact gets in the database."""

import json

from mep.artifacts import Artifact, Scores
from mep.store import manifest
from mep.store.database import Entry
from mep.store.manifest import Manifest


def artifact_row(content: Manifest) -> dict[str, object]:
    copied = ("stage", "fingerprint", "version", "made_by", "made_at")
    return {
        "artifact_id": manifest.artifact_id(content),
        "n_files": len(content["files"]),
        "n_bytes": manifest.size_of(content),
        "ingredients": json.dumps(content["ingredients"], ensure_ascii=False),
        "facts": json.dumps(content["facts"], ensure_ascii=False),
    } | {name: value for name, value in content.items() if name in copied}


def rows_of(content: Manifest, artifact: Artifact | None = None) -> list[Entry]:
    """What the database holds on an artifact: all of it from the manifest, and scores from the artifact."""
    row = artifact_row(content)
    key = {"artifact_id": row["artifact_id"]}
    sources = content["ingredients"]["inputs"].items()
    scores = artifact.rows if isinstance(artifact, Scores) else []
    return [
        ("artifacts", row),
        *(("inputs", key | {"role": role, "input_id": source}) for role, source in sources),
        *(("scores", key | {"row": number} | score.to_sql()) for number, score in enumerate(scores)),
    ]


def kind_of(stage: str) -> type[Artifact]:
    """The type of a stage's artifacts; `Artifact` where this version of mep has no such stage."""
    from mep.stages import stages

    return stages()[stage].output if stage in stages() else Artifact
