"""Models by hub id and revision, or from a local folder; never code, never a pickle."""

import re
from pathlib import Path

from pydantic import model_validator

from mep.config import Config, HashFile, LocalPath, folder_digest
from mep.errors import EnvironmentLacks

COMMIT = re.compile(r"[0-9a-f]{40}")


class ModelReference(Config):
    """Where a pretrained model lies: `id` (and `revision`) on the Hugging Face hub, or `path` on this machine."""

    id: str | None = None
    """Model id on the Hugging Face hub, such as facebook/dino-vitb8."""
    revision: str = "main"
    """Commit hash, tag or branch on the hub; a branch is resolved to its commit before anything runs."""
    path: LocalPath | None = None
    """Folder on this machine, relative to the recipe file."""

    @model_validator(mode="after")
    def _one_place(self) -> "ModelReference":
        if (self.id is None) == (self.path is None):
            raise ValueError("give either id (on the hub) or path (on this machine)")
        return self

    def externals(self, hash_file: HashFile) -> dict[str, str]:
        if self.path is not None:
            return {"model": folder_digest(self.path, hash_file)}
        return {"model": commit_of(str(self.id), self.revision)}

    def folder(self, patterns: list[str]) -> Path:
        """The model's files on this machine, fetched from the hub where they are missing.

        EnvironmentLacks    the hub cannot be reached, or has no such model
        """
        if self.path is not None:
            return self.path
        return fetch(str(self.id), self.revision, patterns)


def commit_of(model_id: str, revision: str) -> str:
    """The commit that a revision stands for: the hash itself, the cached reference, or the hub's answer."""
    if COMMIT.fullmatch(revision):
        return revision
    from huggingface_hub import HfApi, constants
    from huggingface_hub.file_download import repo_folder_name

    cache = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=model_id, repo_type="model")
    reference = cache / "refs" / revision
    if reference.is_file():
        return reference.read_text().strip()
    try:
        return str(HfApi().model_info(model_id, revision=revision).sha)
    except Exception as error:  # the hub client raises its own, the network library's and the system's errors
        raise _missing(model_id, revision, error) from error


def fetch(model_id: str, revision: str, patterns: list[str]) -> Path:
    """Snapshot folder of a hub model; only files that match the patterns."""
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(model_id, revision=revision, allow_patterns=patterns))
    except Exception as error:  # as above
        raise _missing(model_id, revision, error) from error


def _missing(model_id: str, revision: str, error: Exception) -> EnvironmentLacks:
    return EnvironmentLacks(
        f"model {model_id} (revision {revision}) is not on this machine and the hub does not give it: "
        f"{type(error).__name__}",
        hint=f"on a machine with network run: hf download {model_id} --revision {revision}",
    )
