"""Where a folder lies is read off the mounts, and whether its locks hold between hosts."""

from pathlib import Path

import pytest

from mep.machine import mounts
from mep.machine.mounts import mount_of

LINES = """\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 0:50 / /scratch rw,relatime shared:5 master:2 - nfs4 server:/scratch rw,vers=4.2,local_lock=none
31 30 0:51 / /scratch/old rw - nfs server:/old rw,vers=3,nolock
32 22 0:52 / /lustre rw - lustre mgs:/fs rw,flock,lazystatfs
33 22 0:53 / /fast rw - lustre mgs:/fast rw,lazystatfs
34 22 0:54 / /my\\040runs rw - fuse.sshfs me@host: rw
"""


@pytest.fixture
def listed(tmp_path, monkeypatch):
    (tmp_path / "mountinfo").write_text(LINES)
    monkeypatch.setattr(mounts, "MOUNTS", tmp_path / "mountinfo")


@pytest.mark.parametrize(
    ("folder", "kind", "is_network", "why"),
    [
        ("/home/anna/runs", "ext4", False, ""),
        ("/scratch/runs", "nfs4", True, ""),
        ("/scratch/old/runs", "nfs", True, "it is mounted with nolock"),
        ("/lustre/runs", "lustre", True, ""),
        ("/fast/runs", "lustre", True, "it is mounted without flock"),
        ("/my runs", "fuse.sshfs", True, "sshfs keeps locks on one host"),
    ],
)
def test_a_folder_is_on_the_mount_that_is_nearest_above_it(listed, folder, kind, is_network, why):
    mount = mount_of(Path(folder))
    assert (mount.kind, mount.is_network, mount.locks_of_one_host) == (kind, is_network, why)


def test_the_mounts_of_this_machine_are_read(tmp_path):
    if mounts.MOUNTS.exists():
        assert tmp_path.resolve().is_relative_to(mount_of(tmp_path).point)


def test_a_system_that_does_not_tell_is_no_error(tmp_path, monkeypatch):
    monkeypatch.setattr(mounts, "MOUNTS", tmp_path / "none")
    assert mount_of(tmp_path) is None
