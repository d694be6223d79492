"""Models by hub id and revision, or from a local folder; never code, never a pickle."""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import ClassVar

from pydantic import SerializationInfo, field_serializer, model_validator

from mep.config import Config, Download, HashFile, LocalPath, folder_digest
from mep.errors import EnvironmentLacks

COMMIT = re.compile(r"[0-9a-f]{40}")


class ModelReference(Config):
    """Where a pretrained model lies: `id` (and `revision`) on the Hugging Face hub, or `path` on this machine."""

    repo_type: ClassVar[str] = "model"
    """What the hub calls it: model or dataset."""

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

    @field_serializer("revision")
    def _write_revision(self, revision: str, info: SerializationInfo) -> str:
        context = info.context or {}
        if context.get("purpose") == "fingerprint":
            return ""  # the commit enters through `externals`
        return self.commit if context.get("pin") and self.id is not None else revision

    def externals(self, hash_file: HashFile) -> dict[str, str]:
        if self.path is not None:
            return {"model": folder_digest(self.path, hash_file)}
        return {"model": self.commit}

    @property
    def commit(self) -> str:
        """The commit of a model on the hub."""
        return commit_of(str(self.id), self.revision, self.repo_type)

    @property
    def is_here(self) -> bool:
        """Whether the model's files are on this machine."""
        return self.path is not None or snapshot_of(str(self.id), self.revision, self.repo_type) is not None

    def missing(self) -> Download | None:
        if self.is_here:
            return None
        answer = _answer(str(self.id), self.revision, self.repo_type)
        return Download(str(self.id), self.revision, None if isinstance(answer, Exception) else answer.size)

    def require(self) -> None:
        """EnvironmentLacks: the model is not on this machine and the hub does not give it."""
        if not self.is_here:
            ask_hub(str(self.id), self.revision, self.repo_type)

    def folder(self, patterns: list[str], but: list[str] | None = None) -> Path:
        """The model's files on this machine, fetched from the hub where they are missing.

        but     patterns of files that are left where they are

        EnvironmentLacks    the hub cannot be reached, or has no such model
        """
        if self.path is not None:
            return self.path
        return fetch(str(self.id), self.commit, patterns, but, self.repo_type)


def commit_of(model_id: str, revision: str, repo_type: str = "model") -> str:
    """The commit that a revision stands for: the hash itself, the cached reference, or the hub's answer."""
    if COMMIT.fullmatch(revision):
        return revision
    reference = _cache_of(model_id, repo_type) / "refs" / revision
    if reference.is_file():
        return reference.read_text().strip()
    return ask_hub(model_id, revision, repo_type)


def snapshot_of(model_id: str, revision: str, repo_type: str = "model") -> Path | None:
    """The folder of a model that was fetched before."""
    cache = _cache_of(model_id, repo_type)
    reference = cache / "refs" / revision
    commit = reference.read_text().strip() if reference.is_file() else revision
    folder = cache / "snapshots" / commit
    return folder if folder.is_dir() and any(folder.iterdir()) else None


def ask_hub(model_id: str, revision: str, repo_type: str = "model") -> str:
    """The commit of a revision, from the hub."""
    answer = _answer(model_id, revision, repo_type)
    if isinstance(answer, Exception):
        raise _missing(model_id, revision, answer, repo_type) from answer
    return answer.commit


@dataclass(frozen=True)
class _Answer:
    """What the hub says of a revision: its commit, and the bytes of its files, second copies of weights aside."""

    commit: str
    size: int


@cache
def _answer(model_id: str, revision: str, repo_type: str) -> _Answer | Exception:
    """Asked once: a plan of many arms meets the same model many times."""
    from huggingface_hub import HfApi

    try:
        info = HfApi().repo_info(model_id, revision=revision, repo_type=repo_type, files_metadata=True)
    except Exception as error:  # the hub client raises its own, the network library's and the system's errors
        return error
    wanted = (".safetensors", ".json", ".txt") if repo_type == "model" else ("",)
    files = [file for file in getattr(info, "siblings", None) or [] if file.rfilename.endswith(wanted)]
    size = sum(file.size or 0 for file in files if ".fp16" not in file.rfilename and ".non_ema" not in file.rfilename)
    return _Answer(str(info.sha), size)


def fetch(
    model_id: str, revision: str, patterns: list[str], but: list[str] | None = None, repo_type: str = "model"
) -> Path:
    """Snapshot folder of a hub model; only files that match the patterns."""
    from huggingface_hub import snapshot_download

    try:
        return Path(
            snapshot_download(
                model_id, revision=revision, allow_patterns=patterns, ignore_patterns=but, repo_type=repo_type
            )
        )
    except Exception as error:  # as above
        raise _missing(model_id, revision, error, repo_type) from error


def _cache_of(model_id: str, repo_type: str) -> Path:
    from huggingface_hub import constants
    from huggingface_hub.file_download import repo_folder_name

    return Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=model_id, repo_type=repo_type)


def _missing(model_id: str, revision: str, error: Exception, repo_type: str) -> EnvironmentLacks:
    return EnvironmentLacks(
        f"{repo_type} {model_id} (revision {revision}) is not on this machine and the hub does not give it: "
        f"{type(error).__name__}",
        hint=f"on a machine with network run: hf download {model_id} --revision {revision}"
        + (f" --repo-type {repo_type}" if repo_type != "model" else ""),
    )
