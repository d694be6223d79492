"""gc, rm, export, import and db rebuild, killed before each change that they make to the disk, or with a full one."""

import errno
import os
import shutil
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass

import pytest
from trivial import run_trivial

from mep.errors import EnvironmentLacks, UsageError
from mep.runner.verify import check_artifacts, check_database
from mep.store import Store
from mep.store.bundle import Leaving, export_run
from mep.store.housekeeping import collect, find_garbage, remove_run
from mep.store.intake import import_run
from mep.store.rebuild import rebuild

KEPT, OTHER = "20260101-000000-kept", "20260102-000000-other"
MOST = int(os.environ.get("MEP_FUZZ_KILLS", "25"))
"""Points of a command where it is killed, spread evenly over all that it has; a large number is all of them."""
CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "os.truncate", "shutil.rmtree", "os.utime"}


@dataclass
class Hook:
    """Audit hooks cannot be taken away: one for all, which does nothing without a limit."""

    limit: int | None = None
    n: int = 0
    strike: object = None

    def __call__(self, event, arguments):
        if self.limit is None:
            return
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if event in CHANGES or writes:
            self.n += 1
            if self.n == self.limit:
                self.strike()


hook = Hook()
sys.addaudithook(hook)


def kill():
    os.kill(os.getpid(), signal.SIGKILL)


def fill_up():
    raise OSError(errno.ENOSPC, "No space left on device")


def struck(act, limit, strike):
    """Do something in a child, which is struck before its nth change of the disk. How it ended, and its n."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            hook.limit, hook.n, hook.strike = limit, 0, strike
            act()
            status = 0
        except (OSError, EnvironmentLacks) as error:  # as it came, or told in words
            status = (
                3 if errno.ENOSPC in (getattr(error, "errno", None), getattr(error.__cause__, "errno", None)) else 1
            )
        finally:
            n = hook.n
            hook.limit = None
            os.write(write, str(n).encode())
            os._exit(status)
    os.close(write)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    with os.fdopen(read) as pipe:
        return status, int(pipe.read() or 0)


@pytest.fixture(scope="module")
def two_runs(tmp_path_factory):
    """A store with two runs that share half of their stages, and a bundle of one of them."""
    root = tmp_path_factory.mktemp("two")
    run_trivial(root / "runs", [1], name=KEPT)
    run_trivial(root / "runs", [2], name=OTHER)
    store = Store(root / "runs")
    for name in (KEPT, OTHER):
        (store.run_folder(name) / "recipe.yaml").write_text("")
    export_run(store, OTHER, root / "other.mep.tar.gz", Leaving(weights=True))
    return root


def let_go(store):
    """The artifacts of a run that is still listed lose their files, and keep their manifests."""
    collect(store, find_garbage(store, keep_last=1))


def without_other(store):
    remove_run(store, OTHER)


def nothing(store):
    """No preparation."""


COMMANDS = {
    "gc": (without_other, lambda store: collect(store, find_garbage(store))),
    "gc of a listed run": (nothing, let_go),
    "rm": (nothing, without_other),
    "export": (nothing, lambda store: export_run(store, KEPT, store.root / "out.mep.tar.gz")),
    "db rebuild": (nothing, lambda store: rebuild(Store(store.root))),
    "import": (
        lambda store: (remove_run(store, OTHER), collect(store, find_garbage(store))),
        lambda store: import_run(store, store.root.parent / "other.mep.tar.gz"),
    ),
}


def state_of(store):
    """What is kept: files, and the rows that tell of them; not locks, scratch, times or what SQLite leaves beside."""
    files = {path.relative_to(store.root).as_posix() for path in store.root.rglob("*") if path.is_file()}
    ours = {name for name in files if not name.startswith(("locks/", "work/", "mep.db", "out.mep"))}
    rows = {
        table: sorted(str(row) for row in store.db.query(f"SELECT * FROM {table}"))
        for table in ("runs", "arms", "uses", "attempts", "artifacts", "inputs")
    }
    return ours, rows | {"attempts": [row.partition("'run_id'")[2] for row in rows["attempts"]]}


@pytest.mark.parametrize("strike", [kill, fill_up], ids=["killed", "full disk"])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_that_is_struck_anywhere_leaves_a_sound_store_and_ends_as_if_nothing_had_happened(
    two_runs, tmp_path, command, strike
):
    prepare, act = COMMANDS[command]
    shutil.copy(two_runs / "other.mep.tar.gz", tmp_path)
    shutil.copytree(two_runs / "runs", tmp_path / "before")
    prepare(Store(tmp_path / "before"))
    shutil.copytree(tmp_path / "before", tmp_path / "calm")
    status, n_points = struck(lambda: act(Store(tmp_path / "calm")), 10**9, strike)
    assert status == 0
    wanted = state_of(Store(tmp_path / "calm"))
    assert n_points > 2
    n = min(MOST, n_points)
    for point in [1 + n_points * place // n for place in range(n)]:
        root = tmp_path / "runs"
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(tmp_path / "before", root)
        status, _ = struck(lambda root=root: act(Store(root)), point, strike)
        assert status in ((-9,) if strike is kill else (3, 0)), (command, point)
        store = Store(root)
        assert check_artifacts(store) == check_database(store) == [], (command, point)
        again, _ = struck(lambda root=root: finished(act, Store(root)), None, strike)
        assert again == 0, (command, point)
        assert state_of(Store(root)) == wanted, (command, point)
        assert check_artifacts(Store(root)) == [], (command, point)
        assert not list(root.glob("out.mep*.tmp")), (command, point)


def finished(act, store):
    """The command once more; one that had done all before it was struck says that there is nothing left."""
    with suppress(UsageError):
        act(store)
