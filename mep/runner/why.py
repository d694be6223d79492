"""Why a file is as it is: the chain of recipe, data, cluster, prompt, checkpoint and seed that made it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from mep.artifacts import Clusters, Prompts, Samples
from mep.config import Config, leaves
from mep.errors import UsageError
from mep.machine.files import read_json_lines, sha256_of
from mep.stages import stages
from mep.store import ArtifactT, Store, manifest
from mep.store.artifact_rows import kind_of
from mep.store.manifest import Manifest
from mep.store.runs import RunRow

MAX_VALUE = 160
"""Characters of a setting that is shown; longer ones are left to `mep show`."""


@dataclass(frozen=True)
class Link:
    """One step of the chain.

    what    sample, prompt, cluster, the name of a stage, run, recipe
    name    which of them
    facts   what is known about it
    """

    what: str
    name: str
    facts: Mapping[str, object] = field(default_factory=dict)


def why(store: Store, path: Path) -> list[Link]:
    """The chain of a file that mep wrote, from the file itself to the recipe.

    UsageError      mep did not write it, or what it wrote is no longer recorded
    """
    path = path.absolute()
    if not path.exists():
        raise UsageError(f"{path} does not exist")
    below = path.relative_to(store.root).parts if path.is_relative_to(store.root) else ()
    if below[:1] == ("store",) and len(below) >= 3:
        return list(_of_artifact(store, f"{below[1]}/{below[2]}", "/".join(below[3:])))
    if below[:1] == ("work",) and len(below) >= 3:
        return list(_of_unfinished(store, f"{below[1]}/{below[2]}"))
    if below and (store.root / below[0] / "recipe.lock.yaml").exists():
        return list(_of_run(store, below[0], "/".join(below[1:])))
    return list(_of_copy(store, path))


def _of_artifact(store: Store, artifact_id: str, file: str) -> Iterator[Link]:
    artifact = store.manifest(artifact_id)
    chain = _ancestors(store, artifact)
    if file:
        yield Link("file", file, {"content": _content(store, artifact, file)})
    if file and issubclass(kind_of(artifact["stage"]), Samples):
        yield from _of_sample(store, artifact, chain, file)
    yield from map(_stage_link, chain)
    sql = "SELECT run_id, json_group_array(arm) AS arms FROM uses WHERE artifact_id = ? GROUP BY run_id ORDER BY run_id"
    for row in store.db.query(sql, artifact_id):
        yield _with_arms(_run_link(store, row["run_id"]), row["arms"])


def _content(store: Store, artifact: Manifest, file: str) -> str:
    entry = artifact["files"].get(file)
    if entry is None:
        return "not part of the artifact" if file != manifest.NAME else "the manifest itself"
    path = store.folder(manifest.artifact_id(artifact)) / file
    return "as it was written" if sha256_of(path) == entry["sha256"] else "changed since it was written"


def _of_sample(store: Store, artifact: Manifest, chain: list[Manifest], file: str) -> Iterator[Link]:
    """Sample, prompt and cluster of a generated image."""
    metadata = read_json_lines(store.folder(manifest.artifact_id(artifact)) / "metadata.jsonl")
    row = next((row for row in metadata if row["file_name"] == file), None)
    if row is None:
        return
    yield Link("sample", f"{row['ordinal']} of prompt {row['prompt_id']}", _origin(row))
    facts = {"text": row["text"], "label": row["label"], "cluster": row["cluster"]}
    prompts = _load(store, chain, Prompts)
    for prompt in prompts.prompts if prompts else []:
        if prompt.id == row["prompt_id"]:
            facts["captions"] = f"{prompt.n_images} training images"
    yield Link("prompt", row["prompt_id"], facts)
    clusters = _load(store, chain, Clusters)
    if clusters is not None and row["cluster"] is not None:
        members = [position for position, label in enumerate(clusters.labels) if label == row["cluster"]]
        nearest = sorted(members, key=lambda position: float(clusters.distances[position]))[:3]
        facts = {"images": len(members), "nearest its centre": [clusters.ids[position] for position in nearest]}
        yield Link("cluster", str(row["cluster"]), facts)


def _origin(row: Mapping[str, object]) -> dict[str, object]:
    """The seed of a sample, or what it was called where it was made."""
    return {name: row[name] for name in ("seed", "source") if name in row}


def _of_unfinished(store: Store, artifact_id: str) -> Iterator[Link]:
    sql = "SELECT * FROM attempts WHERE artifact_id = ? ORDER BY started_at DESC LIMIT 1"
    row = next(iter(store.db.query(sql, artifact_id)), None)
    if row is None:
        raise UsageError(f"no attempt at {artifact_id} is recorded")
    facts = {"arms": json.loads(row["arms"]), "why": row["why"], "started": row["started_at"]}
    yield Link("unfinished", artifact_id, facts)
    yield _run_link(store, row["run_id"])


def _of_run(store: Store, run_id: str, file: str) -> Iterator[Link]:
    """A report or another file of a run: everything that the run used."""
    yield Link("file", file or run_id, {"content": "written by the run, not an artifact"})
    sql = "SELECT stage, artifact_id, json_group_array(arm) AS arms FROM uses WHERE run_id = ? GROUP BY artifact_id"
    order = list(stages())
    uses = [use for use in store.db.query(sql, run_id) if use["stage"] in order]
    for use in sorted(uses, key=lambda use: order.index(use["stage"]), reverse=True):
        yield _with_arms(_stage_link(store.manifest(use["artifact_id"])), use["arms"])
    yield _run_link(store, run_id)


def _of_copy(store: Store, path: Path) -> Iterator[Link]:
    """A file elsewhere, recognised by its content."""
    sha256 = sha256_of(path)
    files = ((name, file) for name in store.committed() for file in store.manifest(name)["files"].items())
    original = next(((name, file) for name, (file, entry) in files if entry["sha256"] == sha256), None)
    if original is None:
        raise UsageError(
            f"{path} is not a file that mep wrote in {store.root}, nor a copy of one",
            hint="name the folder of its runs: mep --runs DIR why FILE",
        )
    yield Link("copy", str(path), {"of": "/".join(original)})
    yield from _of_artifact(store, *original)


def _ancestors(store: Store, artifact: Manifest) -> list[Manifest]:
    """An artifact and all that it was made from, in the reverse order of the pipeline."""
    chain = {manifest.artifact_id(artifact): artifact}
    waiting = [artifact]
    while waiting:
        for source in waiting.pop()["ingredients"]["inputs"].values():
            if source not in chain:
                chain[source] = store.manifest(source)
                waiting.append(chain[source])
    order = list(stages())
    return sorted(chain.values(), key=lambda ancestor: order.index(ancestor["stage"]), reverse=True)


def _stage_link(artifact: Manifest) -> Link:
    ingredients = artifact["ingredients"]
    facts: dict[str, object] = dict(artifact["facts"])
    if "seed" in ingredients:
        facts["seed"] = ingredients["seed"]
    for kind, external in ingredients["externals"]:
        facts |= {f"{name} of {kind}": content[:12] for name, content in external.items()}
    facts |= {
        name: value
        for name, value in leaves(ingredients["config"])
        if value not in (None, [], {}, "") and len(str(value)) <= MAX_VALUE
    }
    if resume := artifact.get("resume"):
        facts["resume"] = resume
    facts["made"] = f"{artifact['made_at']} by {artifact['made_by']}"
    return Link(artifact["stage"], artifact["fingerprint"], facts)


def _with_arms(link: Link, arms: str) -> Link:
    """The link with the names of its arms in front; `arms` is JSON."""
    return replace(link, facts={"arms": ", ".join(json.loads(arms)), **link.facts})


def _run_link(store: Store, run_id: str) -> Link:
    [row] = store.db.select(RunRow, "SELECT * FROM runs WHERE run_id = ?", run_id)
    facts = {"recipe": row["recipe_file"], "sha256": row["recipe_sha256"][:12], "started": row["started_at"]}
    return Link("run", run_id, facts)


def _load(store: Store, chain: list[Manifest], kind: type[ArtifactT]) -> ArtifactT | None:
    """The artifact of a type in a chain; None if it is gone."""
    for ancestor in chain:
        artifact_id = manifest.artifact_id(ancestor)
        if kind_of(ancestor["stage"]) is kind and store.has(artifact_id):
            return store.load(kind, artifact_id, Config())
    return None
