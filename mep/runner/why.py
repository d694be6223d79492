"""Why a file is as it is: the chain of recipe, data, cluster, prompt, checkpoint and seed that made it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mep.artifacts import Clusters, Prompts, Samples
from mep.config import Config
from mep.errors import UsageError
from mep.machine.files import read_json_lines, sha256_of
from mep.stages import stages
from mep.store import Store, manifest
from mep.store.manifest import Manifest

MAX_VALUE = 160
"""Characters of a setting that are shown."""


@dataclass(frozen=True)
class Link:
    """One step of the chain.

    what    sample, prompt, cluster, the name of a stage, run, recipe
    name    which one
    facts   what is known of it
    """

    what: str
    name: str
    facts: dict[str, Any] = field(default_factory=dict)


def why(store: Store, path: Path) -> list[Link]:
    """The chain of a file that mep wrote, the file itself first and the recipe last.

    UsageError      mep did not write it, or what it wrote is no longer recorded
    """
    path = path.absolute()
    if not path.exists():
        raise UsageError(f"{path} does not exist")
    below = path.relative_to(store.root).parts if path.is_relative_to(store.root) else ()
    if below[:1] == ("store",) and len(below) >= 3:
        return list(_of_artifact(store, below[1], below[2], "/".join(below[3:])))
    if below[:1] == ("work",) and len(below) >= 3:
        return list(_of_unfinished(store, f"{below[1]}/{below[2]}"))
    if below and (store.root / below[0] / "recipe.lock.yaml").exists():
        return list(_of_run(store, below[0], "/".join(below[1:])))
    return list(_of_copy(store, path))


def _of_artifact(store: Store, stage: str, fingerprint: str, file: str) -> Iterator[Link]:
    found = store.manifest(stage, fingerprint)
    chain = _ancestors(store, found)
    if file:
        yield Link("file", file, {"content": _content(store, found, file)})
    if file and issubclass(_kind(stage), Samples):
        yield from _of_sample(store, found, chain, file)
    for one in chain:
        yield _stage_link(one)
    yield from _runs_of(store, f"{stage}/{fingerprint}")


def _content(store: Store, found: Manifest, file: str) -> str:
    said = found["files"].get(file)
    path = store.folder(found["stage"], found["fingerprint"]) / file
    if said is None:
        return "not part of the artifact" if file != manifest.NAME else "the manifest itself"
    return "as it was written" if sha256_of(path) == said["sha256"] else "changed since it was written"


def _of_sample(store: Store, found: Manifest, chain: list[Manifest], file: str) -> Iterator[Link]:
    """Sample, prompt and cluster of a generated image."""
    folder = store.folder(found["stage"], found["fingerprint"])
    row = next((row for row in read_json_lines(folder / "metadata.jsonl") if row["file_name"] == file), None)
    if row is None:
        return
    yield Link("sample", f"{row['ordinal']} of prompt {row['prompt_id']}", {"seed": row["seed"]})
    facts = {"text": row["text"], "label": row["label"], "cluster": row["cluster"]}
    if (prompts := _load(store, chain, Prompts)) is not None:
        known = next((one for one in prompts.prompts if one.id == row["prompt_id"]), None)
        facts |= {"captions": f"{known.n_images} training images"} if known else {}
    yield Link("prompt", row["prompt_id"], facts)
    clusters = _load(store, chain, Clusters)
    if clusters is not None and row["cluster"] is not None:
        members = [place for place, label in enumerate(clusters.labels) if label == row["cluster"]]
        nearest = sorted(members, key=lambda place: float(clusters.distances[place]))[:3]
        facts = {"images": len(members), "nearest its centre": [clusters.ids[place] for place in nearest]}
        yield Link("cluster", str(row["cluster"]), facts)


def _of_unfinished(store: Store, artifact_id: str) -> Iterator[Link]:
    attempts = store.db.query(
        "SELECT * FROM attempts WHERE artifact_id = ? ORDER BY started_at DESC LIMIT 1", artifact_id
    )
    if not attempts:
        raise UsageError(f"no attempt at {artifact_id} is recorded")
    [row] = attempts
    facts = {"arms": json.loads(row["arms"]), "why": row["why"], "started": row["started_at"]}
    yield Link("unfinished", artifact_id, facts)
    yield from _run_links(store, [row["run_id"]])


def _of_run(store: Store, run_id: str, file: str) -> Iterator[Link]:
    """A report or another file of a run: everything that the run used."""
    yield Link("file", file or run_id, {"content": "written by the run, not an artifact"})
    uses = store.db.query(
        "SELECT artifact_id, json_group_array(arm) AS arms FROM uses WHERE run_id = ? GROUP BY artifact_id", run_id
    )
    order = list(stages())
    known = [use for use in uses if use["artifact_id"].split("/")[0] in order]
    for use in sorted(known, key=lambda use: order.index(use["artifact_id"].split("/")[0]), reverse=True):
        found = store.manifest(*use["artifact_id"].split("/"))
        link = _stage_link(found)
        yield Link(link.what, link.name, {"arms": ", ".join(json.loads(use["arms"]))} | link.facts)
    yield from _run_links(store, [run_id])


def _of_copy(store: Store, path: Path) -> Iterator[Link]:
    """A file elsewhere, known by its content."""
    sha256 = sha256_of(path)
    for name in store.committed():
        found = store.manifest(*name.split("/"))
        for file, said in found["files"].items():
            if said["sha256"] == sha256:
                yield Link("copy", str(path), {"of": f"{name}/{file}"})
                stage, fingerprint = name.split("/")
                yield from _of_artifact(store, stage, fingerprint, file)
                return
    raise UsageError(
        f"{path} is not a file that mep wrote in {store.root}, nor a copy of one",
        hint="name the folder of its runs: mep --runs DIR why FILE",
    )


def _ancestors(store: Store, found: Manifest) -> list[Manifest]:
    """An artifact and all that it was made from, in the reverse order of the pipeline."""
    chain = {f"{found['stage']}/{found['fingerprint']}": found}
    waiting = [found]
    while waiting:
        for source in waiting.pop()["ingredients"]["inputs"].values():
            if source not in chain:
                chain[source] = store.manifest(*source.split("/"))
                waiting.append(chain[source])
    order = list(stages())
    return sorted(chain.values(), key=lambda one: order.index(one["stage"]), reverse=True)


def _stage_link(found: Manifest) -> Link:
    ingredients = found["ingredients"]
    facts: dict[str, Any] = dict(found["facts"])
    facts |= {"seed": ingredients["seed"]} if "seed" in ingredients else {}
    facts |= {
        f"{name} of {kind}": value[:12]
        for kind, external in ingredients["externals"]
        for name, value in external.items()
    }
    facts |= {name: value for name, value in _settings(ingredients["config"]).items() if value not in ([], "")}
    facts |= {"resume": found["resume"]} if found.get("resume") else {}
    return Link(found["stage"], found["fingerprint"], facts | {"made": f"{found['made_at']} by {found['made_by']}"})


def _settings(config: dict[str, Any], name: str = "") -> dict[str, Any]:
    """The settings of a stage, one name each; long ones are left to `mep show`."""
    found: dict[str, Any] = {}
    for key, value in config.items():
        dotted = f"{name}.{key}" if name else key
        if isinstance(value, dict):
            found |= _settings(value, dotted)
        elif value is not None and len(str(value)) <= MAX_VALUE:
            found[dotted] = value
    return found


def _runs_of(store: Store, artifact_id: str) -> Iterator[Link]:
    rows = store.db.query(
        "SELECT run_id, json_group_array(arm) AS arms FROM uses WHERE artifact_id = ? GROUP BY run_id ORDER BY run_id",
        artifact_id,
    )
    for row in rows:
        for link in _run_links(store, [row["run_id"]]):
            yield Link(link.what, link.name, {"arms": ", ".join(json.loads(row["arms"]))} | link.facts)


def _run_links(store: Store, run_ids: list[str]) -> Iterator[Link]:
    for run_id in run_ids:
        for row in store.db.query("SELECT * FROM runs WHERE run_id = ?", run_id):
            facts = {"recipe": row["recipe_file"], "sha256": row["recipe_sha256"][:12], "started": row["started_at"]}
            yield Link("run", run_id, facts)


def _kind(stage: str) -> type:
    known = stages().get(stage)
    return known.output if known else object


def _load(store: Store, chain: list[Manifest], kind: Any) -> Any:
    """The artifact of a type in a chain, None where it is gone."""
    for one in chain:
        if _kind(one["stage"]) is kind and store.has(one["stage"], one["fingerprint"]):
            return store.load(stages()[one["stage"]], one["fingerprint"], Config())
    return None
