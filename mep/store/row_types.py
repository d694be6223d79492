"""Types of the rows of the database, by table."""

from typing import Literal, NotRequired, TypedDict

State = Literal["running", "done", "failed", "interrupted"]


class NewRun(TypedDict):
    """What is known of a run before it starts.

    environment     JSON: versions of what a result may depend on
    """

    run_id: str
    name: str
    recipe_file: str
    recipe_sha256: str
    environment: str


class RunRow(NewRun):
    state: State
    started_at: str
    ended_at: str | None
    error: str
    host: str
    pid: int


class SessionRow(TypedDict):
    """One process at work on a run.

    recipe_commit   of the repository that the recipe lies in, with a plus if files there have changed since
    """

    run_id: str
    session: int
    state: State
    started_at: str
    ended_at: str | None
    host: str
    pid: int
    environment_id: str
    recipe_commit: str
    error: str


class AttemptRow(TypedDict):
    """One attempt to make an artifact.

    number      counts the attempts of a run
    arms        JSON
    machine     JSON: what an exact resume depends on
    """

    attempt_id: NotRequired[int]
    run_id: str
    number: int
    session: int
    artifact_id: str
    arms: str
    why: str
    state: State
    started_at: str
    ended_at: str | None
    wall_s: float | None
    peak_memory_mb: float | None
    error: str
    machine: str
    resume: str


class UseRow(TypedDict):
    run_id: str
    arm: str
    stage: str
    artifact_id: str
    how: Literal["made", "reused"]


class EventRow(TypedDict):
    """artifact_id      empty if the event concerns the whole run"""

    run_id: str
    number: int
    at: str
    kind: str
    artifact_id: str
    message: str


class PinRow(TypedDict):
    run_id: str
    pinned_at: str
    unpinned_at: str | None
    note: str


class ArtifactRow(TypedDict):
    """ingredients, facts   JSON"""

    artifact_id: str
    stage: str
    fingerprint: str
    version: int
    made_by: str
    made_at: str
    n_files: int
    n_bytes: int
    ingredients: str
    facts: str
