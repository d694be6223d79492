"""A run sent to a shared store: what is not there yet, and what names it last."""

import json
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field

from mep.errors import IntegrityError
from mep.machine.files import own_name, sha256_of
from mep.machine.jobs import map_ahead
from mep.store import Store, manifest, now
from mep.store.bundle import SUFFIX, Leaving, export_run
from mep.store.journal import JOURNAL, read_journal
from mep.store.manifest import Manifest
from mep.store.remote import Moved, Moving, groups
from mep.store.runs import artifacts_of, find_run, state_of
from mep.store.shared import RUN, PushedRun, SharedStore

LISTINGS = 16
"""Artifacts whose files there are listed at once."""


@dataclass
class Sent:
    """What a push came to.

    artifacts   those that were sent; of the run's others, the whole is there already
    left_out    artifacts that are not whole here
    """

    run_id: str
    artifacts: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    files: int = 0
    bytes: int = 0
    run: bool = False


@dataclass
class Push:
    """Runs on their way to a shared store; what is there already stays.

    brief       only the runs themselves: scores, captions, report, provenance
    again       also what is there: repairs what is damaged there
    planned     told how many bytes of a run are to be sent; gives what hears of them
    """

    store: Store
    remote: SharedStore
    brief: bool = False
    again: bool = False
    planned: Callable[[int], Moved] = lambda n_bytes: lambda moved: None

    def run(self, run_id: str) -> Sent:
        """Send a run.

        EnvironmentLacks    the store does not answer; a second push goes on where this one stopped
        IntegrityError      a file here is not what its manifest says
        UsageError          the run cannot be exported: artifacts were collected
        """
        sent = Sent(run_id)
        with self.store.in_use(shared=True):
            self.remote.begin()
            if not self.brief:
                self.send_artifacts(artifacts_of(self.store, run_id), sent)
            self._send_run(sent)
        return sent

    def send_artifacts(self, names: Sequence[str], sent: Sent) -> None:
        """Send the files of artifacts, and the manifest of each after the last of its files."""
        whole = {name: content for name in names if (content := self.store.find(name))}
        sent.left_out = [name for name in names if name not in whole]
        there = {} if self.again else self.remote.manifests(list(whole), on_lie=lambda lie: None)  # is written anew
        absent = {name: content for name, content in whole.items() if name not in there}
        with ThreadPoolExecutor(LISTINGS) as pool:
            listed = pool.map(self._listed, absent)
            files = [
                file for name, sizes in zip(absent, listed, strict=True) for file in self._missing(absent[name], sizes)
            ]
        moved = self.planned(sum(file.n_bytes for file in files))
        last = dict.fromkeys(absent, -1) | {
            file.name.split("/", 1)[1].rpartition("/")[0]: n for n, file in enumerate(files)
        }
        n_done = 0
        with ThreadPoolExecutor(1) as pool:  # reads what goes next while the network is busy
            for group in map_ahead(pool, _checked, groups(files), 2):
                self.remote.send(group, moved)
                n_done += len(group)
                self._send_manifests([name for name, number in last.items() if number < n_done], sent)
                sent.files, sent.bytes = n_done, sent.bytes + sum(file.n_bytes for file in group)
        self._send_manifests(list(last), sent)

    def _listed(self, name: str) -> dict[str, int]:
        return {} if self.again else self.remote.sizes(f"store/{name}")

    def _missing(self, content: Manifest, there: dict[str, int]) -> list[Moving]:
        """The files of an artifact that are to be sent, each content once."""
        name = manifest.artifact_id(content)
        entries = {entry["sha256"]: (file, entry["bytes"]) for file, entry in content["files"].items()}
        return [
            Moving(self.store.folder(name) / file, f"store/{name}/{sha256}", n_bytes)
            for sha256, (file, n_bytes) in entries.items()
            if there.get(sha256) != n_bytes
        ]

    def _send_manifests(self, names: Sequence[str], sent: Sent) -> None:
        due = [name for name in names if name not in sent.artifacts]
        folders = {f"store/{name}/{manifest.NAME}": self.store.folder(name) for name in due}
        self.remote.write({name: (folder / manifest.NAME).read_bytes() for name, folder in folders.items()})
        sent.artifacts += due

    def _send_run(self, sent: Sent) -> None:
        """Send the run as `mep export` writes it, unless it is told there as far as it has come here."""
        run_id = sent.run_id
        row, n_rows = find_run(self.store, run_id), journal_rows(self.store, run_id)
        known = self.remote.runs([run_id])
        if known and known[0].rows >= n_rows and not self.again:
            return
        folder = self.store.root / "work" / "push" / own_name()
        try:
            bundle = folder / f"{run_id}{SUFFIX}"
            export_run(self.store, run_id, bundle, Leaving(page=True, names=True))
            name, n_bytes = sha256_of(bundle), bundle.stat().st_size
            self.remote.send([Moving(bundle, f"runs/{run_id}/{name}", n_bytes)], lambda moved: None)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        told = PushedRun(run_id, state_of(row, self.store), now(), n_rows, name, n_bytes)
        self.remote.write({f"runs/{run_id}/{RUN}": json.dumps(asdict(told), indent=1).encode()})
        sent.run = True


def _checked(group: list[Moving]) -> list[Moving]:
    """The files, each of which is what its name there will say."""
    for file in group:
        if sha256_of(file.path) != file.name.rpartition("/")[2]:
            raise IntegrityError(f"{file.path} has other content than when it was written", hint="mep verify")
    return group


def journal_rows(store: Store, run_id: str) -> int:
    """How far a run has come: the rows of its journal, which only grows."""
    return sum(1 for _ in read_journal(store.run_folder(run_id) / JOURNAL))
