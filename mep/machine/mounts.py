"""What file system a folder lies on, and whether locks there hold on other hosts, too."""

import re
from dataclasses import dataclass
from pathlib import Path

NETWORK = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "lustre", "gpfs", "beegfs", "ceph", "glusterfs", "9p", "afs"}
"""Types of file systems that several hosts may share; `fuse.` of one of these or of sshfs counts as well."""
ALONE = {
    "nfs": {"nolock", "local_lock=all", "local_lock=flock", "local_lock=posix"},
    "nfs4": {"local_lock=all", "local_lock=flock", "local_lock=posix"},
    "lustre": {"localflock", "noflock"},
    "cifs": {"nobrl"},
    "smb3": {"nobrl"},
}
"""Options with which a lock is seen by processes of one host alone."""
MOUNTS = Path("/proc/self/mountinfo")


@dataclass(frozen=True)
class Mount:
    """
    point       where it is mounted
    kind        ext4, nfs4, tmpfs ...
    options     of the mount and of the file system
    """

    point: str
    kind: str
    options: frozenset[str]

    @property
    def is_network(self) -> bool:
        return self.kind in NETWORK or self.kind.startswith("fuse.")

    @property
    def locks_of_one_host(self) -> str:
        """Why another host does not see a lock that is held here; empty where it does, as far as can be told."""
        alone = sorted(self.options & ALONE.get(self.kind, set()))
        if alone:
            return f"it is mounted with {alone[0]}"
        if self.kind == "lustre" and "flock" not in self.options:
            return "it is mounted without flock"
        return "sshfs keeps locks on one host" if self.kind == "fuse.sshfs" else ""


def mount_of(folder: Path) -> Mount | None:
    """The mount that a folder lies on; None where the system does not tell (it is not Linux)."""
    if not MOUNTS.exists():
        return None
    path = folder.resolve()
    mounts = [_parsed(line) for line in MOUNTS.read_text().splitlines()]
    above = [mount for mount in mounts if path.is_relative_to(mount.point)]
    return max(above, key=lambda mount: len(mount.point), default=None)  # the last of several at one place is on top


def _parsed(line: str) -> Mount:
    """A line of mountinfo, see proc(5): the mount point is the fifth field, type and options follow the dash."""
    before, _, after = line.partition(" - ")
    fields, (kind, _, options) = before.split(), after.split(" ", 2)
    point = re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), fields[4])
    return Mount(point, kind, frozenset([*fields[5].split(","), *options.split(",")]))
