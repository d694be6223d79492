"""What hosts that share `runs/` need of each other, shown on one: `scripts/nfs-check` shows it on NFS itself."""

import errno
import fcntl
import json
import os
from concurrent.futures import ThreadPoolExecutor

import pytest
from small_runs import RUN, name_of, publish, small_run
from trivial import run_trivial

from mep.errors import Locked
from mep.machine import files
from mep.machine.files import look_anew, write_atomically, write_bytes
from mep.machine.work import NullProgress
from mep.store import Store, locks, manifest
from mep.store.housekeeping import collect, find_garbage, remove_run
from mep.store.journal import append


@pytest.fixture
def looks(monkeypatch):
    """What is opened, and when a manifest is read, in order: a host on NFS sees no name that it has missed before until
    it opens the folder above."""
    seen, opened, read = [], os.open, manifest.read
    monkeypatch.setattr(os, "open", lambda path, *rest: seen.append(path) or opened(path, *rest))
    monkeypatch.setattr(manifest, "read", lambda folder: seen.append("read") or read(folder))
    return seen


def test_an_artifact_is_looked_for_in_folders_that_were_opened_again(tmp_path, looks):
    store = Store(tmp_path)
    publish(store, 1)
    looks.clear()
    assert store.has(name_of(1))
    folder = store.folder(name_of(1))
    assert looks == [tmp_path, tmp_path / "store", folder.parent, folder, "read"]


def test_a_lock_is_looked_for_in_folders_that_were_opened_again(tmp_path, looks):
    path = tmp_path / "locks" / "x.lock"
    with locks.hold(path):
        looks.clear()
        assert locks.is_held(path)
    assert looks == [tmp_path, path.parent, path]


def test_folders_that_are_not_there_are_nothing_to_see(tmp_path):
    look_anew(tmp_path, tmp_path / "store" / "training" / "x")


def take(path):
    """As when the server had given the lock to another host: it has written its name."""
    path.write_text(json.dumps({"host": "b", "pid": 7, "key": "of b"}))


def test_a_lock_that_another_host_was_given_meanwhile_is_told(tmp_path):
    path = tmp_path / "locks" / "x.lock"
    with locks.hold(path):
        locks.refuse_lost(path)
        take(path)
        with pytest.raises(Locked, match=r"x\.lock was taken from this process, and process 7 on b has it"):
            locks.refuse_lost(path)


def test_a_lock_is_asked_for_once_more_because_its_file_may_be_shown_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "locks" / "x.lock"
    with locks.hold(path):
        monkeypatch.setattr(locks, "_try", lambda descriptor, shared: False)
        with pytest.raises(Locked, match="was taken from this process"):
            locks.refuse_lost(path)
    locks.refuse_lost(path)  # nothing is asked for that is not held


def test_who_works_under_a_lock_looks_now_and_then(tmp_path, monkeypatch):
    path = tmp_path / "locks" / "x.lock"
    with locks.hold(path):
        look = locks.guarded(path, lambda: 15)
        take(path)
        assert look() == 15
        monkeypatch.setattr(locks, "GUARD_S", 0)
        with pytest.raises(Locked):
            look()


def test_a_host_that_has_lost_its_lock_leaves_the_work_to_the_other(tmp_path, monkeypatch):
    store, progress = Store(tmp_path), NullProgress.update

    def lose(self, done, total, note=""):
        """The first stage is at its end when it says how far it is."""
        [path] = tmp_path.glob("locks/s0-*")
        take(path)
        next(iter(tmp_path.glob("work/s0/*/out"))).joinpath("of-b").mkdir()
        progress(self, done, total, note)

    monkeypatch.setattr(NullProgress, "update", lose)
    with pytest.raises(Locked, match="was taken from this process"):
        run_trivial(tmp_path, [1])
    assert store.committed() == []
    [row] = store.db.query("SELECT state, error FROM attempts")
    assert "process 7 on b has it" in row["error"]
    assert list(tmp_path.glob("work/s0/*/out/of-b")), "a folder of the other host was tidied away"


def test_processes_of_two_hosts_with_one_number_write_the_same_file_at_once(tmp_path, monkeypatch):
    def write(file):
        file.write(b"a")
        with monkeypatch.context() as on_b:
            on_b.setattr(files, "KEY", "b")
            write_bytes(tmp_path / "x", b"b")

    write_atomically(tmp_path / "x", write)
    assert (tmp_path / "x").read_bytes() == b"a"
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_two_hosts_write_lines_to_one_journal_one_after_the_other(tmp_path):
    path = tmp_path / "journal.jsonl"
    with path.open("wb") as file, ThreadPoolExecutor(1) as other:
        fcntl.flock(file, fcntl.LOCK_EX)
        writes = other.submit(append, path, [("pins", {"n": 1})])
        with pytest.raises(TimeoutError):
            writes.result(timeout=0.2)
        assert path.read_bytes() == b""
        fcntl.flock(file, fcntl.LOCK_UN)
        writes.result(timeout=10)
    assert path.read_text() == '{"pins": {"n": 1}}\n'


@pytest.fixture
def kept_open(monkeypatch):
    """An NFS where a process of this host has every array open: one that is removed keeps lying there under another
    name until it is closed. Gives the way to close them."""
    unlink = os.unlink

    def stays(path, *, dir_fd=None):
        name = os.fspath(path)
        if ".nfs" in name:
            raise OSError(errno.EBUSY, "Device or resource busy", name)
        if name.endswith(".npy"):
            os.rename(path, os.path.join(os.path.dirname(name), ".nfs0001"), src_dir_fd=dir_fd, dst_dir_fd=dir_fd)
        else:
            unlink(path, dir_fd=dir_fd)

    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", stays)
        yield patch.undo


def files_of(folder):
    return [path.name for path in folder.rglob("*") if path.is_file()]


def test_what_somebody_reads_is_collected_all_the_same(tmp_path, kept_open):
    store = small_run(tmp_path)
    remove_run(store, RUN)
    collect(store, find_garbage(store))
    assert store.committed() == []
    assert set(files_of(tmp_path / "work")) == {".nfs0001"}
    kept_open()
    collect(store, find_garbage(store))
    assert not list((tmp_path / "work" / "removed").iterdir())


def test_a_damaged_artifact_that_somebody_reads_gives_way(tmp_path, kept_open):
    store = Store(tmp_path)
    publish(store, 1)
    next(store.folder(name_of(1)).glob("*.npy")).write_bytes(b"")
    assert not store.has(name_of(1))
    publish(store, 1)
    assert store.has(name_of(1))
