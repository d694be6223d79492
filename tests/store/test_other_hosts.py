"""What hosts that share `runs/` need of each other, shown on one: `scripts/nfs-check` shows it on NFS itself."""

import os

import pytest
from small_runs import name_of, publish

from mep.machine.files import look_anew
from mep.store import Store, locks, manifest


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
