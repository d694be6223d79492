"""A Slurm of this host alone: munge, a controller and one node, from Debian's packages."""

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

NEEDED = ("munged", "slurmctld", "slurmd", "sbatch")


def lacks():
    """Why there can be no Slurm here; empty where there can."""
    path = f"{os.environ['PATH']}:/usr/sbin"
    missing = [name for name in NEEDED if shutil.which(name, path=path) is None]
    if missing:
        return f"{', '.join(missing)} not installed: apt-get install slurmctld slurmd slurm-client munge"
    return "" if os.geteuid() == 0 else "slurmd is started as root"


class SlurmHost:
    """`environment` leads commands to it."""

    def __init__(self, folder: Path):
        self.folder, self.name = folder, socket.gethostname().partition(".")[0]
        for part in ("state", "spool", "log"):
            (folder / part).mkdir(parents=True)
        self.config = folder / "slurm.conf"
        self.config.write_text(self._config(*_free_ports(2)))
        self.environment = {"SLURM_CONF": str(self.config)}
        self.daemons = {}

    def start_all(self):
        """Start the daemons; why they do not start here, empty where they do."""
        munge = [Path("/run/munge"), Path("/var/lib/munge"), Path("/var/log/munge")]
        for path in munge:
            path.mkdir(parents=True, exist_ok=True)
            shutil.chown(path, "munge", "munge")
        subprocess.run(["runuser", "-u", "munge", "--", "/usr/sbin/munged"], check=False, capture_output=True)
        self.start("slurmctld")
        self.start("slurmd")
        try:
            self.wait(lambda: "idle" in self.say("sinfo", "-h", "-o", "%T"), "the node is idle", 60)
        except AssertionError:
            logs = "; ".join(path.read_text()[-500:] for path in (self.folder / "log").iterdir())
            return f"Slurm does not start here: {logs}"
        return ""

    def _config(self, of_controller, of_node):
        lines = {
            "ClusterName": "test",
            "SlurmctldHost": f"{self.name}(127.0.0.1)",
            "SlurmUser": "root",
            "SlurmdUser": "root",
            "AuthType": "auth/munge",
            "StateSaveLocation": self.folder / "state",
            "SlurmdSpoolDir": self.folder / "spool",
            "SlurmctldPidFile": self.folder / "slurmctld.pid",
            "SlurmdPidFile": self.folder / "slurmd.pid",
            "SlurmctldPort": of_controller,
            "SlurmdPort": of_node,
            "ProctrackType": "proctrack/linuxproc",
            "TaskPlugin": "task/none",
            "SelectType": "select/cons_tres",
            "SelectTypeParameters": "CR_Core",
            "ReturnToService": 2,
            "SchedulerParameters": "sched_interval=1,batch_sched_delay=0",
            "MpiDefault": "none",
            "JobRequeue": 1,
            "KillWait": 5,
        }
        node = f"NodeName={self.name} NodeAddr=127.0.0.1 CPUs={min(os.cpu_count(), 2)} RealMemory=2000 State=UNKNOWN"
        partition = "PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP"
        return "\n".join([*(f"{name}={value}" for name, value in lines.items()), node, partition, ""])

    def start(self, daemon):
        log = (self.folder / "log" / daemon).open("a")
        environment = os.environ | self.environment
        self.daemons[daemon] = subprocess.Popen([f"/usr/sbin/{daemon}", "-D"], stdout=log, stderr=log, env=environment)

    def kill(self, daemon):
        self.daemons[daemon].send_signal(signal.SIGKILL)
        self.daemons[daemon].wait()

    def say(self, *command):
        """What a command of Slurm answers; empty where it fails."""
        done = subprocess.run(command, capture_output=True, text=True, env=os.environ | self.environment)
        return done.stdout.strip()

    def jobs(self):
        """Ids of the jobs that wait or run."""
        return self.say("squeue", "-h", "-o", "%i").split()

    def wait(self, holds, what, seconds=120):
        deadline = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
            time.sleep(0.1)

    def close(self):
        self.say("scancel", "--user=root")
        self.wait(lambda: not self.jobs(), "the queue is empty", 30)
        for daemon in ("slurmd", "slurmctld"):
            self.kill(daemon)


def _free_ports(n):
    sockets = [socket.socket() for _ in range(n)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports
