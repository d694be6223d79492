"""A store that many hosts share: a bucket (`s3://lab/mep`, `gs://lab/mep`), or a folder that all of them see.

    mep-store.json                              the version of this layout
    store/<stage>/<fingerprint>/<sha256>        a file of an artifact, under the digest of its content
    store/<stage>/<fingerprint>/manifest.json   written last: an artifact that has one is whole
    runs/<run_id>/<sha256>                      a run, as `mep export` writes it
    runs/<run_id>/run.json                      written last: which of these tells the run as it is now

Nothing there is ever changed, and each name says what its content is. So an upload may be stopped anywhere, and two
hosts may send the same artifact at once, also where their bytes differ: whoever reads takes one manifest and the very
files that it names. The folder of somebody's runs can be read like such a store.
"""

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from mep.errors import DataError, EnvironmentLacks, IntegrityError
from mep.store import manifest
from mep.store.manifest import FileEntry, Manifest
from mep.store.remote import Remote
from mep.store.unpacking import RUN_ID, SHA256, checked_manifest

MARK, FORMAT, RUN = "mep-store.json", 1, "run.json"


@dataclass(frozen=True)
class PushedRun:
    """What a shared store tells of a run.

    rows        of its journal: how far it had come
    bundle      sha256 of the file that tells it, and bytes of that
    """

    run_id: str
    state: str
    pushed_at: str
    rows: int
    bundle: str
    bytes: int


class SharedStore(Remote):
    """The store at an address, once `open` or `begin` has looked at it."""

    is_runs_folder = False

    def open(self) -> "SharedStore":
        """Look whether it is there and can be read, and what it is; where nothing was sent yet, it is empty.

        EnvironmentLacks    there is no such bucket or folder, or a newer mep has made it
        """
        with self.explained():
            mark = self.read([MARK]).get(MARK)
            if mark is None:
                place = self.root if self.is_folder else self.root.split("/")[0]
                if not self.fs.exists(place):
                    what = "folder" if self.is_folder else "bucket"
                    raise EnvironmentLacks(f"there is no {what} {place}", hint=f"is {self.address} the right address?")
                self.is_runs_folder = bool(self.fs.exists(self.path("mep.db")))
            elif json.loads(mark)["format"] > FORMAT:
                raise EnvironmentLacks(f"{self.address} is of a newer mep", hint="upgrade mep: pip install -U mep")
        return self

    def begin(self) -> None:
        """Make it a store, if it is none yet. EnvironmentLacks: it is the folder of somebody's runs."""
        if self.open().is_runs_folder:
            hint = "runs can read it (machine.stores); name another place to push to"
            raise EnvironmentLacks(f"{self.address} is a folder of runs, not a store to share", hint=hint)
        self.write({MARK: json.dumps({"format": FORMAT}).encode()})

    def manifests(
        self, artifact_ids: Sequence[str], on_lie: Callable[[IntegrityError], None] | None = None
    ) -> dict[str, Manifest]:
        """Those of the artifacts that are there whole.

        on_lie      told of one that is not as it was written and is left out; by default that is raised
        """
        found = {}
        names = {f"store/{artifact_id}/{manifest.NAME}": artifact_id for artifact_id in artifact_ids}
        for name, text in self.read(names).items():
            try:
                found[names[name]] = self._checked(names[name], text)
            except IntegrityError as lie:
                if on_lie is None:
                    raise
                on_lie(lie)
        if self.is_runs_folder:  # `mep gc` may have left the manifest alone there, `mep verify` a mark
            marks = [f"store/{name}/{mark}" for name in found for mark in (manifest.DAMAGED, manifest.COLLECTED)]
            for mark in self.read(marks):
                found.pop(mark.removeprefix("store/").rpartition("/")[0], None)
        return found

    def _checked(self, artifact_id: str, text: bytes) -> Manifest:
        try:
            return checked_manifest(manifest.parse(text), artifact_id)
        except (DataError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise self.lies(f"store/{artifact_id}/{manifest.NAME}") from error

    def lies(self, name: str) -> IntegrityError:
        """The error that something there is not what its name or its manifest says."""
        return IntegrityError(
            f"{self.address}/{name} is not as it was written",
            hint=f"send it again from a host that has it: mep push {self.address} RUN --again",
        )

    def place_of(self, artifact_id: str, file: str, entry: FileEntry) -> str:
        """Where a file of an artifact lies."""
        return f"store/{artifact_id}/{file if self.is_runs_folder else entry['sha256']}"

    def runs(self, run_ids: Sequence[str] | None = None) -> list[PushedRun]:
        """What is told of runs that were pushed, of all of them by default, the oldest first.

        IntegrityError      what is told makes no sense
        """
        if run_ids is None:
            run_ids = []
            with self.explained(), suppress(FileNotFoundError):
                run_ids = [str(path).rstrip("/").split("/")[-1] for path in self.fs.ls(self.path("runs"), False)]
        texts = self.read([f"runs/{run_id}/{RUN}" for run_id in run_ids])
        return [self._told(name, text) for name, text in sorted(texts.items())]

    def _told(self, name: str, text: bytes) -> PushedRun:
        try:
            run = PushedRun(**json.loads(text))
        except (ValueError, TypeError) as error:
            raise self.lies(name) from error
        if name != f"runs/{run.run_id}/{RUN}" or not RUN_ID.fullmatch(run.run_id) or not SHA256.fullmatch(run.bundle):
            raise self.lies(name)
        return run
