"""A server that exports one disk, and hosts that have it mounted at /runs."""

import shutil
import subprocess
from pathlib import Path

from machines import Machine, Parts

FOLDER = Path("/var/tmp/mep-nfs")
MAPS = Path("/proc/sys/vm/max_map_count")
LEAST_MAPS = 1_000_000
"""A page of a machine is a map of its process."""

LEASE_S = 10
"""How long the server waits for a host that says nothing; 90 s where nobody has set it."""
DISK_MB = 600
OPTIONS = "vers=4.2,hard"
START = f"""
mkdir -p /disk /var/lib/nfs && mount -t ext4 /dev/ubda /disk && mkdir -p /disk/export /disk/state
cp -an /var/lib/nfs/. /disk/state/ && mount --bind /disk/state /var/lib/nfs
mkdir -p /var/lib/nfs/v4recovery /var/lib/nfs/nfsdcld /var/lib/nfs/rpc_pipefs
mount -t nfsd nfsd /proc/fs/nfsd && mount -t rpc_pipefs rpc_pipefs /var/lib/nfs/rpc_pipefs
echo '/disk/export *(rw,sync,no_root_squash,no_subtree_check,fsid=0)' > /etc/exports
nfsdcld && exportfs -ra && rpc.mountd -N 3
echo {LEASE_S} > /proc/fs/nfsd/nfsv4leasetime && echo {LEASE_S} > /proc/fs/nfsd/nfsv4gracetime
rpc.nfsd -N 3 4
"""


class Lab:
    """One server and two hosts, `a` and `b`."""

    def __init__(self) -> None:
        self.parts = Parts(FOLDER)
        disk = FOLDER / "disk"
        disk.unlink(missing_ok=True)
        with disk.open("wb") as file:
            file.truncate(DISK_MB << 20)
        subprocess.run(["mkfs.ext4", "-q", disk], check=True)
        self.server = Machine(self.parts, "server", 1, memory_mb=256, disk=disk)
        self.hosts = [Machine(self.parts, name, number, memory_mb=2048) for number, name in enumerate("ab", 2)]

    @staticmethod
    def lacks() -> str:
        """What this host lacks for it; empty where it has all."""
        for program, package in {"apt-get": "apt", "dpkg": "dpkg", "mkfs.ext4": "e2fsprogs", "ip": "iproute2"}.items():
            if not shutil.which(program, path="/usr/bin:/usr/sbin:/bin:/sbin"):
                return f"there is no {program} here: install {package}; the packages are those of Debian 12"
        if int(MAPS.read_text()) < LEAST_MAPS:
            return f"machines need more maps of memory: sudo sysctl vm.max_map_count={LEAST_MAPS}"
        return ""

    def __enter__(self) -> "Lab":
        self.start_server()
        for host in self.hosts:
            self.start(host)
        return self

    def __exit__(self, *_: object) -> None:
        for machine in (*self.hosts, self.server):
            machine.kill()
        self.parts.close()

    def start_server(self) -> None:
        self.server.start()
        self.server.run(START)

    def start(self, host: Machine, options: str = OPTIONS) -> None:
        host.start()
        self.mount(host, options)

    def mount(self, host: Machine, options: str = OPTIONS, place: str = "/runs") -> None:
        host.run(f"mkdir -p {place} && mount -t nfs4 -o {options} {self.server.address}:/ {place}")
