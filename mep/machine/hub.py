"""Models by hub id and revision, or from a local folder; never code, never a pickle."""

import re
import tempfile
from functools import cache, partial
from pathlib import Path
from typing import ClassVar, NamedTuple

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
        return {"model": self.commit if self.path is None else folder_digest(self.path, hash_file)}

    @property
    def commit(self) -> str:
        """The commit of the revision; EnvironmentLacks where neither this machine nor the hub knows it."""
        if COMMIT.fullmatch(self.revision):
            return self.revision
        return self._cached_commit or self._ask_hub().commit

    @property
    def _cached_commit(self) -> str | None:
        reference = self._cache / "refs" / self.revision
        return reference.read_text().strip() if reference.is_file() else None

    @property
    def _cache(self) -> Path:
        from huggingface_hub import constants
        from huggingface_hub.file_download import repo_folder_name

        return Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=str(self.id), repo_type=self.repo_type)

    @property
    def is_here(self) -> bool:
        """Whether the model's files are on this machine."""
        return self.path is not None or bool(self.files_here)

    @property
    def files_here(self) -> list[str]:
        """Names of the model's files, of those on this machine; files in folders are left out."""
        folder = self.path or self._cache / "snapshots" / (self._cached_commit or self.revision)
        return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []

    def files_there(self) -> list[str]:
        """Names of the model's files on the hub; EnvironmentLacks where it does not give them."""
        return list(self._ask_hub().files)

    def missing(self) -> Download | None:
        if self.is_here:
            return None
        answer = ask_hub(str(self.id), self.revision, self.repo_type)
        return Download(str(self.id), self.revision, None if isinstance(answer, Exception) else answer.size)

    def require(self) -> None:
        """EnvironmentLacks: the model is not on this machine and the hub does not give it."""
        if not self.is_here:
            self._ask_hub()

    def folder(self, patterns: list[str], but: list[str] | None = None) -> Path:
        """The model's files on this machine, fetched from the hub where they are missing, `but` for some patterns.

        EnvironmentLacks    the hub cannot be reached, or has no such model
        """
        if self.path is not None:
            return self.path
        from huggingface_hub import snapshot_download

        model_id, commit, kind = str(self.id), self.commit, self.repo_type
        wanted = partial(
            snapshot_download, model_id, repo_type=kind, revision=commit, allow_patterns=patterns, ignore_patterns=but
        )
        try:
            return Path(wanted())
        except Exception as error:  # as in `ask_hub`
            if self.is_here:  # some versions of the library ask the hub for a list of files that are all here
                return Path(wanted(local_files_only=True))
            raise self._unobtainable(commit, error) from error

    def peek(self, names: list[str]) -> Path:
        """A folder with small files of the model, where it is on this machine; else they alone are fetched, and kept
        until the process ends.

        EnvironmentLacks    the hub does not give them
        """
        if self.is_here:
            return self.folder(names)
        commit = self.commit
        try:
            return _fetched(str(self.id), commit, self.repo_type, tuple(names))[1]
        except Exception as error:  # as in `ask_hub`
            raise self._unobtainable(commit, error) from error

    def _ask_hub(self) -> "HubAnswer":
        answer = ask_hub(str(self.id), self.revision, self.repo_type)
        if isinstance(answer, Exception):
            raise self._unobtainable(self.revision, answer) from answer
        return answer

    def _unobtainable(self, revision: str, error: Exception) -> EnvironmentLacks:
        from huggingface_hub import errors

        kind = f" --repo-type {self.repo_type}" if self.repo_type != "model" else ""
        what = f"{self.repo_type} {self.id} (revision {revision})"
        if isinstance(error, errors.GatedRepoError):
            place = f"https://huggingface.co/{'datasets/' if kind else ''}{self.id}"
            return EnvironmentLacks(
                f"{what} is given only to who has accepted its terms, and is known to the hub by a token",
                hint=f"accept them at {place}, then run: hf auth login",
            )
        if isinstance(error, errors.RevisionNotFoundError):
            return EnvironmentLacks(f"the hub has no {what}", hint="look at the name of the revision")
        if isinstance(error, errors.RepositoryNotFoundError):
            return EnvironmentLacks(
                f"the hub has no {what}, or shows it to its owners alone",
                hint="look at the name; if it is private, run: hf auth login",
            )
        return EnvironmentLacks(
            f"{what} is not on this machine and the hub does not give it: {type(error).__name__}",
            hint=f"on a machine with network run: hf download {self.id} --revision {revision}{kind}",
        )


@cache
def _fetched(
    model_id: str, commit: str, repo_type: str, names: tuple[str, ...]
) -> tuple[tempfile.TemporaryDirectory[str], Path]:
    """A folder, which goes with the process, and the files in it: in the hub's cache they would pass for the model."""
    from huggingface_hub import snapshot_download

    folder = tempfile.TemporaryDirectory(prefix="mep-")
    place = snapshot_download(
        model_id, repo_type=repo_type, revision=commit, allow_patterns=list(names), cache_dir=folder.name
    )
    return folder, Path(place)


class HubAnswer(NamedTuple):
    """The commit of a revision, the bytes of its files, second copies of weights aside, and their names."""

    commit: str
    size: int
    files: tuple[str, ...] = ()


@cache
def ask_hub(model_id: str, revision: str, repo_type: str) -> HubAnswer | Exception:
    """What the hub says of a revision. Asked once: a plan of many arms meets the same model many times."""
    from huggingface_hub import HfApi

    try:
        info = HfApi().repo_info(model_id, revision=revision, repo_type=repo_type, files_metadata=True)
        if getattr(info, "gated", False):  # everybody may see what there is, not everybody may have it
            HfApi().auth_check(model_id, repo_type=repo_type)
    except Exception as error:  # the hub client raises its own, the network library's and the system's errors
        return error
    wanted = (".safetensors", ".json", ".txt") if repo_type == "model" else ("",)
    files = {file.rfilename: file.size or 0 for file in getattr(info, "siblings", None) or []}
    taken = [name for name in files if name.endswith(wanted) and ".fp16" not in name and ".non_ema" not in name]
    return HubAnswer(str(info.sha), sum(files[name] for name in taken), tuple(files))
