"""The stores of a run's machine beyond its own: asked by fingerprint before anything is made."""

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property

from mep.errors import EnvironmentLacks, IntegrityError, MepError
from mep.machine.work import Progress
from mep.runner.plan import Task
from mep.store import Store, manifest
from mep.store.fetching import fetch
from mep.store.manifest import Manifest
from mep.store.shared import SharedStore

MEGABYTE = 1_000_000


class SharedStores:
    """Several shared stores, asked in their order.

    warn    told what is wrong with one that a run can do without
    """

    def __init__(self, addresses: Iterable[str], warn: Callable[[str], None] = lambda text: None):
        self.addresses, self.warn = list(addresses), warn

    @cached_property
    def opened(self) -> list[SharedStore]:
        """EnvironmentLacks: one of them is not there, or does not answer"""
        try:
            return [SharedStore(address).open() for address in self.addresses]
        except EnvironmentLacks as error:
            hint = f"{error.hint}; or go without it: --set machine.stores=[]"
            raise EnvironmentLacks(error.message, hint=hint) from error

    def find(self, artifact_ids: list[str]) -> dict[str, tuple[SharedStore, Manifest]]:
        """Artifact -> the first store that has it whole, and its manifest there."""
        found: dict[str, tuple[SharedStore, Manifest]] = {}
        for remote in self.opened if artifact_ids else []:
            absent = [name for name in artifact_ids if name not in found]
            there = remote.manifests(absent, lambda lie: self.warn(lie.message))
            found |= {name: (remote, content) for name, content in there.items()}
        return found

    def plan(self, tasks: Iterable[Task]) -> None:
        """Mark those tasks `fetch` that a store has and this one has not."""
        absent = {task.artifact_id: task for task in tasks if task.status != "reuse"}
        for name, (remote, content) in self.find(list(absent)).items():
            task = absent[name]
            task.status, task.why = "fetch", f"from {remote.address}"
            task.fetch_bytes = manifest.size_of(content)

    def take(self, task: Task, store: Store, look: Callable[[], None], progress: Callable[[], Progress]) -> str:
        """Take the artifact of a task in; the address that it came from, empty where nobody has it.

        look        called now and then; what it raises stops
        progress    asked for where something comes

        EnvironmentLacks    a store does not answer which had it when the run was planned
        """
        for remote, content in self._offers(task):
            heard = _Megabytes(content, progress(), remote.address)
            try:
                fetch(store, remote, content, heard.moved, look)
            except IntegrityError as lie:
                self.warn(f"{lie.message}: it is made here")
                continue
            return remote.address
        return ""

    def _offers(self, task: Task) -> Iterator[tuple[SharedStore, Manifest]]:
        for remote in list(self.opened):
            try:
                there = remote.manifests([task.artifact_id], lambda lie: self.warn(lie.message))
            except MepError as error:
                if task.status == "fetch":
                    raise
                self.warn(f"{error.message}: it is not asked again")
                self.opened.remove(remote)
                continue
            yield from ((remote, content) for content in there.values())


class _Megabytes:
    """Passes on how much of an artifact has come."""

    def __init__(self, content: Manifest, progress: Progress, address: str):
        self.progress, self.note, self.n_bytes = progress, f"MB from {address}", 0
        self.total = manifest.size_of(content)

    def moved(self, n_bytes: int) -> None:
        self.n_bytes = min(self.n_bytes + n_bytes, self.total)
        if self.total >= MEGABYTE:
            self.progress.update(self.n_bytes // MEGABYTE, max(1, self.total // MEGABYTE), self.note)
