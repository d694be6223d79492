"""What a run has in the queue of Slurm, for those who look at the run."""

from pathlib import Path
from typing import Any

from mep.errors import EnvironmentLacks
from mep.machine import slurm
from mep.machine.files import read_json
from mep.machine.slurm import JobState
from mep.runner.slurm_jobs import JOB
from mep.store import Store

UNKNOWN = "unknown"
"""State of a job where Slurm cannot be asked."""


def jobs_of(store: Store, run_id: str) -> dict[str, dict[str, Any]]:
    """Artifact -> the job that was sent for it, and how it was when it was last looked at; none once it is made."""
    rows = store.db.query("SELECT DISTINCT artifact_id FROM attempts WHERE run_id = ?", run_id)
    folders = {row["artifact_id"]: store.work_folder(row["artifact_id"]) for row in rows}
    noted = {artifact_id: _noted(folder / JOB) for artifact_id, folder in folders.items()}
    return {artifact_id: job for artifact_id, job in noted.items() if job}


def _noted(path: Path) -> dict[str, Any]:
    try:
        noted: dict[str, Any] = read_json(path)
    except FileNotFoundError:  # no job, or it was done at this moment
        return {}
    return noted


def queue_of(store: Store, run_id: str, *, goes_on: bool) -> dict[str, dict[str, str]]:
    """Artifact -> job, state, reason, node, and all of it in words.

    goes_on     whether the run is at work: it asks Slurm itself, so what it has noted is told; else Slurm is asked here
    """
    jobs = jobs_of(store, run_id)
    states = {job["job"]: JobState(*(job.get(name, "") for name in JobState._fields)) for job in jobs.values()}
    if states and not goes_on:
        try:
            states = slurm.states_of(states)
        except EnvironmentLacks as error:
            states = dict.fromkeys(states, JobState(UNKNOWN, error.message))
    return {
        artifact_id: {"job": job["job"], **states[job["job"]]._asdict(), "told": states[job["job"]].told(job["job"])}
        for artifact_id, job in jobs.items()
    }
