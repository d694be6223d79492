"""Repositories on the Hugging Face hub. The token comes from the environment; it is neither kept nor told."""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mep
from mep.errors import EnvironmentLacks, MepError, UsageError
from mep.sharing.publication import Kind
from mep.store.scrub import scrub

if TYPE_CHECKING:
    from huggingface_hub import HfApi

TOKENS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
"""Variables that may hold the token, the first that does."""
TARGET = re.compile(r"hf://(?:(models|datasets)/)?([\w.-]+/[\w.-]+)")


@dataclass(frozen=True)
class Target:
    """`org/name` on the hub. A model and a dataset may have the same name there."""

    repository: str
    only: Kind | None = None

    @classmethod
    def of(cls, text: str) -> "Target":
        """hf://org/name, or hf://models/org/name, hf://datasets/org/name for one of both; UsageError: it is neither."""
        found = TARGET.fullmatch(text)
        if not found:
            hint = "wanted hf://ORGANISATION/NAME, or hf://datasets/ORGANISATION/NAME for the dataset alone"
            raise UsageError(f"'{text}' is no place to publish to", hint=hint)
        only: dict[str | None, Kind | None] = {None: None, "models": "model", "datasets": "dataset"}
        return cls(found[2], only[found[1]])


@dataclass(frozen=True)
class Hub:
    """The hub as whoever has the token sees it."""

    api: "HfApi"

    @classmethod
    def from_environment(cls) -> "Hub":
        """EnvironmentLacks: no token, or the hub is switched off by HF_HUB_OFFLINE."""
        from huggingface_hub import HfApi, constants

        token = next(filter(None, map(os.environ.get, TOKENS)), None)
        if token is None:
            hint = "make one that may write at https://huggingface.co/settings/tokens, then: export HF_TOKEN=..."
            raise EnvironmentLacks("there is no token for the hub: the variable HF_TOKEN is not set", hint=hint)
        if constants.HF_HUB_OFFLINE:
            raise EnvironmentLacks("the hub is switched off: HF_HUB_OFFLINE is set", hint="unset it, or leave --to out")
        endpoint = os.environ.get("HF_ENDPOINT")
        return cls(HfApi(endpoint=endpoint, token=token, library_name="mep", library_version=mep.__version__))

    def check(self, repository: str, kinds: Sequence[Kind], *, update: bool) -> None:
        """Ask what forbids a push, before anything is written.

        UsageError          a repository holds something already, and is not to be replaced
        EnvironmentLacks    the hub cannot be reached, or does not accept the token
        """
        with _told(repository, kinds[0]):
            self.api.whoami()
        there = [kind for kind in kinds if not update and self._files(repository, kind)]
        if there:
            raise UsageError(
                f"the hub has a {' and a '.join(there)} {repository} already",
                hint="choose another name, or replace what it holds: --update",
            )

    def push(self, folder: Path, repository: str, kind: Kind, message: str, *, public: bool) -> str:
        """Make a repository hold just what a folder does, in one commit; its address.

        public      of a repository that is new; one that is there stays as it is

        EnvironmentLacks    whoever has the token may not write there, or the hub cannot be reached
        """
        from huggingface_hub.utils.tqdm import disable_progress_bars

        disable_progress_bars()
        with _told(repository, kind):
            self.api.create_repo(repository, repo_type=kind, private=not public, exist_ok=True)
            self.api.upload_folder(
                repo_id=repository, repo_type=kind, folder_path=folder, commit_message=message, delete_patterns="*"
            )
        return f"{self.api.endpoint}/{'datasets/' * (kind == 'dataset')}{repository}"

    def _files(self, repository: str, kind: Kind) -> set[str]:
        """What a repository holds, but for the settings that the hub puts into a new one."""
        from huggingface_hub.errors import RepositoryNotFoundError

        with _told(repository, kind):
            try:
                return {*self.api.list_repo_files(repository, repo_type=kind)} - {".gitattributes"}
            except RepositoryNotFoundError:
                return set()


@contextmanager
def _told(repository: str, kind: Kind) -> Iterator[None]:
    """Errors of the hub and of the network in plain words, without secrets."""
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        yield
    except MepError:
        raise
    except HFValidationError as error:
        raise UsageError(f"'{repository}' is no name of a repository: {error}", hint="hf://ORGANISATION/NAME") from None
    except HfHubHTTPError as error:
        raise _of_status(getattr(error.response, "status_code", 0), error, repository, kind) from None
    except Exception as error:  # of the network library, whichever this version of the client uses
        text = scrub(f"{type(error).__name__}: {error}")
        hint = "look at the network and at HF_ENDPOINT, then give the same command again"
        raise EnvironmentLacks(f"the hub cannot be reached: {text[:200]}", hint=hint) from None


def _of_status(status: int, error: Any, repository: str, kind: Kind) -> MepError:
    if status == 401:
        hint = "make a new one that may write: https://huggingface.co/settings/tokens"
        return EnvironmentLacks("the hub does not accept the token in HF_TOKEN", hint=hint)
    if status in (403, 404):
        return EnvironmentLacks(
            f"the token in HF_TOKEN may not write the {kind} {repository}",
            hint=f"choose a name of your own, or ask {repository.split('/')[0]} for the right to write",
        )
    return EnvironmentLacks(
        f"the hub refused the {kind} {repository}: {scrub(str(error))[:300]}", hint="try again later"
    )
