"""A run taken in from a shared store, with its artifacts."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from mep.errors import UsageError
from mep.machine.files import own_name, sha256_of
from mep.store import Store, locks, manifest
from mep.store.bundle import SUFFIX
from mep.store.fetching import fetch
from mep.store.intake import import_run
from mep.store.pushing import journal_rows
from mep.store.remote import Moved, Moving
from mep.store.runs import artifacts_of
from mep.store.shared import PushedRun, SharedStore
from mep.store.unpacking import refuse_full


@dataclass
class Pulled:
    """What a pull came to.

    run         whether the run came, or came further than it was here
    artifacts   those that were taken in
    absent      those of the run that are whole neither here nor there
    """

    run_id: str
    run: bool = False
    artifacts: list[str] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)


@dataclass
class Pull:
    """Runs on their way from a shared store. A second time, only what is new comes.

    brief       only the runs themselves: scores, captions, provenance
    planned     told how many bytes of a run are to come; gives what hears of them
    on_wait     told who is making an artifact that is to come
    """

    store: Store
    remote: SharedStore
    brief: bool = False
    planned: Callable[[int], Moved] = lambda n_bytes: lambda moved: None
    on_wait: Callable[[str], None] = lambda holder: None

    def run(self, told: PushedRun) -> Pulled:
        """Take a run in, and its artifacts that are not here yet.

        UsageError          another run of that name is here
        DataError, IntegrityError, EnvironmentLacks     as from `import_run` and `fetch`
        """
        store, pulled = self.store, Pulled(told.run_id)
        with store.in_use(shared=True):
            if journal_rows(store, told.run_id) < told.rows:
                self._take_run(told)
                pulled.run = True
            names = [] if self.brief else [name for name in artifacts_of(store, told.run_id) if not store.has(name)]
            there = self.remote.manifests(names)
            pulled.absent = [name for name in names if name not in there]
            moved = self.planned(sum(map(manifest.size_of, there.values())))
            for name, content in there.items():
                with locks.hold(store.lock_path(name), on_wait=self.on_wait):
                    if not store.has(name):  # a run may have made it meanwhile
                        fetch(store, self.remote, content, moved)
                        pulled.artifacts.append(name)
        return pulled

    def _take_run(self, told: PushedRun) -> None:
        folder = self.store.root / "work" / "pull" / own_name()
        try:
            refuse_full(folder, told.bytes)
            bundle = Moving(folder / f"{told.run_id}{SUFFIX}", f"runs/{told.run_id}/{told.bundle}", told.bytes)
            folder.mkdir(parents=True, exist_ok=True)
            self.remote.receive([bundle], lambda moved: None)
            if sha256_of(bundle.path) != told.bundle:
                raise self.remote.lies(bundle.name)
            import_run(self.store, bundle.path, newer=True)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def wanted_runs(remote: SharedStore, names: tuple[str, ...], *, every: bool = False) -> Iterator[PushedRun]:
    """Runs of a shared store by their names or the beginnings of these; without a name the last one.

    UsageError      there is no such run, or several
    """
    runs = remote.runs()
    if not runs:
        raise UsageError(f"no run was pushed to {remote.address}", hint=f"push one: mep push {remote.address}")
    if every or not names:
        yield from runs if every else runs[-1:]
        return
    for name in names:
        matches = [run for run in runs if run.run_id == name] or [run for run in runs if run.run_id.startswith(name)]
        if len(matches) != 1:
            shown = ", ".join(run.run_id for run in (matches or runs)[-5:])
            what = "ambiguous" if matches else "no run there"
            raise UsageError(f"'{name}' is {what}", hint=f"{'candidates' if matches else 'last runs'}: {shown}")
        yield matches[0]
