"""The tasks of a run as jobs of Slurm. Stopping the run leaves them; resumed, it finds them again."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mep.errors import EnvironmentLacks, Locked, StageFailed
from mep.machine import slurm
from mep.machine.files import read_json, write_json
from mep.machine.slurm import ENDED_FROM_OUTSIDE, GONE, JobState, SlurmConfig
from mep.runner.elsewhere import Outcome
from mep.runner.launch import FAILURE, SPEC, failure_in
from mep.runner.slurm_job import DONE

JOB, LOG = "slurm.json", "slurm.txt"
POLL_S = 2.0
GRACE_S = 20.0
"""A shared file system may show what a job has written only after a while."""
LONGEST_OUTAGE_S = 900.0
"""How long the controller may not answer."""
MOST_JOBS = 100
"""Times that a task is sent again before it is given up."""
NEW = JobState("PENDING")
ALIVE = ("PENDING", "RUNNING", "COMPLETING", "CONFIGURING", "SUSPENDED", "REQUEUED", "REQUEUE_HOLD", "STOPPED")


@dataclass
class _Sent:
    """
    gone_at     when it was first seen to have ended without a result
    """

    folder: Path
    stage: str
    job: str
    n_jobs: int = 1
    gone_at: float | None = None
    state: JobState = NEW


class SlurmJobs:
    """Makes tasks as jobs, all that are ready at the same time."""

    def __init__(self, config: SlurmConfig, say: Callable[[Path, str], None]):
        """say: told of a task's folder how its job is, whenever that changes"""
        self.config, self.say = config, say
        self.sent: dict[int, _Sent] = {}
        self.last_answer = time.monotonic()

    def run(self, specs: Iterator[dict[str, Any]], look: Callable[[], None]) -> Iterator[tuple[int, Outcome]]:
        """(position, outcome) of every task, as their jobs end.

        look    called again and again; what it raises leaves the jobs as they are
        """
        for position, spec in enumerate(specs):
            self.sent[position] = self._send(spec)
        while self.sent:
            look()
            states = self._states()
            for position, sent in list(self.sent.items()):
                outcome = self._outcome(sent, states[sent.job])
                if outcome is not None:
                    del self.sent[position]
                    yield position, outcome
            if self.sent:
                time.sleep(POLL_S)

    def _send(self, spec: dict[str, Any]) -> _Sent:
        """A job for a task, or the one that an earlier session has sent."""
        folder = Path(spec["folder"])
        sent = _Sent(folder, spec["stage"], job_in(folder) or "")
        if sent.job and ((folder / DONE).exists() or is_alive(sent.job)):
            return sent
        for name in (DONE, FAILURE):
            (folder / name).unlink(missing_ok=True)
        write_json(folder / SPEC, spec)
        self._submit(sent)
        return sent

    def _submit(self, sent: _Sent) -> None:
        command = [sys.executable, "-m", "mep.runner.slurm_job", str(sent.folder)]
        sent.job = slurm.submit(self.config, command, name=f"mep-{sent.stage}", log=sent.folder / LOG)
        sent.gone_at = None
        self._note(sent, NEW)

    def _note(self, sent: _Sent, state: JobState) -> None:
        """Keep how a job is, for `mep status` and the page of the run."""
        sent.state = state
        write_json(sent.folder / JOB, {"job": sent.job, **state._asdict()})

    def _states(self) -> dict[str, JobState]:
        """How the jobs are; as far as was known last while the controller is away, which may be restarted."""
        try:
            states = slurm.states_of([sent.job for sent in self.sent.values()])
        except EnvironmentLacks:
            if time.monotonic() - self.last_answer > LONGEST_OUTAGE_S:
                raise
            return {sent.job: sent.state for sent in self.sent.values()}
        self.last_answer = time.monotonic()
        return states

    def _outcome(self, sent: _Sent, state: JobState) -> Outcome | None:
        """What came out; None while a job is at it."""
        if state != sent.state:
            self._note(sent, state)
            self.say(sent.folder, state.told(sent.job))
        if (sent.folder / DONE).exists():
            done = read_json(sent.folder / DONE)
            return Outcome(None, done["peak_memory_mb"], done["machine"])
        if state.state in ALIVE:
            return None
        if error := failure_in(sent.folder):
            return Outcome(error, 0.0)
        if state.state == "CANCELLED":
            return Outcome(StageFailed(f"Slurm job {sent.job} was cancelled", hint="mep resume sends it again"), 0.0)
        sent.gone_at = sent.gone_at or time.monotonic()
        if state.state not in ENDED_FROM_OUTSIDE and time.monotonic() - sent.gone_at < GRACE_S:
            return None
        if state.state in (*ENDED_FROM_OUTSIDE, "COMPLETED", GONE) and sent.n_jobs < MOST_JOBS:
            sent.n_jobs += 1  # it was stopped where it can go on, or its node is lost
            self._submit(sent)
            return None
        tail = (sent.folder / LOG).read_text(errors="replace")[-2000:] if (sent.folder / LOG).exists() else ""
        short = state.state == "OUT_OF_MEMORY"
        hint = "give it more: machine.slurm.memory_gb" if short else f"what it said is in {sent.folder / LOG}"
        return Outcome(StageFailed(f"Slurm job {sent.job} ended as {state.state}\n{tail}", hint=hint), 0.0)


def job_in(folder: Path) -> str | None:
    """The job that was sent for a task, by its work folder."""
    path = folder / JOB
    return str(json.loads(path.read_text())["job"]) if path.exists() else None


def refuse_where_sent(folder: Path) -> None:
    """Locked: a job that an earlier session has sent is at work in the folder; it must not be made twice."""
    job = job_in(folder)
    if job and is_alive(job):
        hint = "go on with it: mep run --on slurm; or end it: mep cancel"
        raise Locked(f"Slurm job {job} is making it", hint=hint)
    (folder / JOB).unlink(missing_ok=True)


def is_alive(job: str) -> bool:
    """Whether it waits or runs."""
    return slurm.states_of([job])[job].state in ALIVE
