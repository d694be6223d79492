"""Slurm, by its own commands: submit a job, ask how jobs are, cancel them.

The library submitit does this as well. It finds out how jobs are from `sacct`, which needs an accounting database that
smaller clusters do not have; `squeue` and `scontrol` are on every one.
"""

import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

from pydantic import Field

from mep.config import Config
from mep.errors import EnvironmentLacks

SIGNAL_S = 120
"""Seconds before its end at which a job is asked to stop where it can go on."""
GONE = "gone"
"""State of a job that Slurm does not know any more."""
ENDED_FROM_OUTSIDE = ("TIMEOUT", "NODE_FAIL", "PREEMPTED", "BOOT_FAIL", "DEADLINE")
"""States of jobs that may be sent again: nothing is wrong with them."""


class SlurmConfig(Config):
    """What every job asks for. Stages that take long become jobs; the partition decides how many run at once."""

    partition: str | None = None
    """Default: that of the cluster."""
    account: str | None = None
    """Whom the time is charged to."""
    minutes: int | None = Field(None, ge=1, le=525_600)
    """Time limit of a job. One that reaches it is sent again, and goes on. Default: that of the partition."""
    cpus: int = Field(4, ge=1, le=1024)
    """Cores of a job."""
    gpus: int = Field(0, ge=0, le=1)
    """1: every job has a GPU of its own."""
    memory_gb: int | None = Field(None, ge=1, le=65_536)
    """Memory of a job. Default: that of the partition."""
    options: tuple[str, ...] = ()
    """Further options of sbatch, as `--constraint=a100`."""
    setup: tuple[str, ...] = ()
    """Lines of the job's script before mep begins, as `module load cuda`."""


class JobState(NamedTuple):
    """RUNNING, PENDING and so on, as Slurm says, why it waits, and the nodes that it runs on."""

    state: str
    reason: str = ""
    node: str = ""

    def told(self, job: str) -> str:
        """Slurm job 17: pending (Resources); Slurm job 17: running on node3."""
        on = f" on {self.node}" if self.node and self.state == "RUNNING" else ""
        why = f" ({self.reason})" if self.reason and self.state != "RUNNING" else ""
        return f"Slurm job {job}: {self.state.lower()}{on}{why}"


def submit(config: SlurmConfig, command: Sequence[str], *, name: str, log: Path) -> str:
    """The id of a new job, which runs a command in this folder and is requeued when its node is taken from it.

    EnvironmentLacks    Slurm is not here, or refuses
    """
    import shlex

    asks = ["--parsable", f"--job-name={name}", f"--output={log}", "--open-mode=append", "--requeue"]
    asks += [f"--signal=B:TERM@{SIGNAL_S}", f"--cpus-per-task={config.cpus}"]
    asks += [f"--partition={config.partition}"] if config.partition else []
    asks += [f"--account={config.account}"] if config.account else []
    asks += [f"--time={config.minutes}"] if config.minutes else []
    asks += [f"--gres=gpu:{config.gpus}"] if config.gpus else []
    asks += [f"--mem={config.memory_gb}G"] if config.memory_gb else []
    threads = f"export OMP_NUM_THREADS={config.cpus}"
    script = "\n".join(["#!/bin/bash", threads, *config.setup, f"exec {shlex.join(command)}", ""])
    return _slurm(["sbatch", *asks, *config.options], script).strip().partition(";")[0]


def states_of(jobs: Collection[str]) -> dict[str, JobState]:
    """How jobs are; those that have left the queue are asked for one by one."""
    waiting = {}
    for line in _slurm(["squeue", "--noheader", "--states=all", "--format=%i|%T|%r|%N"]).splitlines():
        job, state, reason, node = line.split("|", 3)
        waiting[job] = JobState(state, reason, node)
    return {job: waiting.get(job) or _left(job) for job in jobs}


def _left(job: str) -> JobState:
    try:
        [described] = json.loads(_slurm(["scontrol", "show", "job", job, "--json"]))["jobs"]
    except (EnvironmentLacks, ValueError, KeyError):  # forgotten some minutes after its end
        return JobState(GONE)
    state = described["job_state"]
    return JobState(state if isinstance(state, str) else state[0], str(described.get("state_reason", "")))


def cancel(jobs: Collection[str]) -> None:
    if jobs:
        _slurm(["scancel", *jobs])


def _slurm(command: Sequence[str], script: str = "") -> str:
    import subprocess

    try:
        done = subprocess.run(command, input=script, capture_output=True, text=True, timeout=60)
    except FileNotFoundError as error:
        hint = "start mep on a host from which jobs are submitted, or take machine.slurm out"
        raise EnvironmentLacks(f"there is no {command[0]} here: this host knows no Slurm", hint=hint) from error
    except subprocess.TimeoutExpired as error:
        raise EnvironmentLacks(f"{command[0]} does not answer", hint="is the controller up? try: sinfo") from error
    if done.returncode:
        raise EnvironmentLacks(f"{command[0]} refuses: {done.stderr.strip()}", hint="try it by hand: sinfo, squeue")
    return done.stdout
