"""A run as a Workflow Run RO-Crate: one zip file that archives, WorkflowHub and reviewers' tools read."""

import os
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import mep
from mep.errors import UsageError
from mep.machine.files import noticing_full_disk, removed_on_failure, sha256_of, write_json, write_text
from mep.report.tables.formats import long_csv, long_rows
from mep.sharing.checklist import checklist
from mep.sharing.crate_entities import PROFILES, WORKFLOW, WORKFLOW_CRATE, Entity, Graph, Making, file_of, ref
from mep.sharing.finished import Finished, finished
from mep.sharing.publication import Wish, has_model, write_dataset, write_model
from mep.sharing.selection import select
from mep.store import Store, manifest
from mep.store.scrub import scrub, scrub_json

SUFFIX = ".crate.zip"
METADATA = "ro-crate-metadata.json"
FORMATS = {".json": "application/json", ".yaml": "application/yaml", ".md": "text/markdown", ".csv": "text/csv"}
FORMATS |= {".parquet": "application/x-parquet", ".png": "image/png", ".txt": "text/plain"}
TOLD = ("stage", "fingerprint", "version", "ingredients", "facts", "made_at", "made_by")
"""What of a manifest leaves: names of files stay, which may hold words of the dataset."""
STORED = (".parquet", ".safetensors", ".png")
"""Endings of files that are compressed already."""
ABOUT = {
    "recipe.yaml": "The recipe as it was given",
    "README.md": "What this is",
    "verdict.md": "What came out",
    "results.json": "All numbers of the comparison, and what they rest on",
    "scores.csv": "All numbers, a row each, with their protocol",
    "checklist.md": "CLAIM 2024, as far as the provenance answers it",
}
RESULTS = ("verdict.md", "results.json", "scores.csv", "checklist.md")
README = """\
# Run {run_id}

A finished experiment of [mep](https://pypi.org/project/mep/), as a Workflow Run RO-Crate.
[verdict.md](verdict.md) says what came out, [recipe.lock.yaml](recipe.lock.yaml) how it was made,
[checklist.md](checklist.md) what a journal asks.
`artifacts/` says of every result of a stage what it is the result of.

No real image is here, nor a name or a table of one.
"""


def export_crate(
    store: Store, run_id: str, output: Path, wish: Wish, *, samples: bool = False, weights: bool = False
) -> dict[str, Any]:
    """Write a finished run to one file; what it holds.

    samples     with the synthetic images of every arm that drew some
    weights     with the model of every arm that trained one

    UsageError  the run is not finished, or something that was asked for is no longer in the store
    """
    shared = finished(store, run_id)
    output.parent.mkdir(parents=True, exist_ok=True)
    temporary = output.with_name(output.name + ".tmp")
    full = noticing_full_disk(f"no space left to write {output}", "free some, or name another place: --output FILE")
    with full, removed_on_failure(temporary), tempfile.TemporaryDirectory(dir=output.parent, prefix=".crate") as name:
        folder = Path(name)
        more = _fill(shared, folder, wish, samples=samples, weights=weights)
        graph = _graph(shared, wish, more)
        _describe_artifacts(shared, graph, folder)
        write_json(folder / METADATA, _metadata(shared, graph, folder, wish))
        held = _zip(folder, temporary)
        os.replace(temporary, output)
    return {"mep": mep.__version__, "run_id": run_id, "files": held, "bytes": output.stat().st_size}


def _fill(shared: Finished, folder: Path, wish: Wish, *, samples: bool, weights: bool) -> dict[str, list[str]]:
    """Write what people read; artifact id -> the folders of the crate that hold what is in it."""
    given = shared.run.recipe_text
    texts = {
        "README.md": README.format(run_id=shared.run.run_id),
        WORKFLOW: shared.lock,
        "results.json": shared.results,
    }
    texts |= {"verdict.md": f"# {shared.run.recipe.name}\n\n{shared.table}\n", "checklist.md": checklist(shared)}
    texts |= {"scores.csv": scrub(long_csv(long_rows(shared.without_prompts)))}
    texts |= {"recipe.yaml": scrub(given)} if given else {}
    for name, text in texts.items():
        write_text(folder / name, text)
    more: dict[str, list[str]] = {}
    for arm in shared.run.arms if samples or weights else ():
        if arm.elsewhere == "images":
            continue
        one = replace(shared, arm=arm)
        chosen = select(one, wish.captions, with_near=wish.with_near)
        if samples:
            write_dataset(one, chosen, wish, folder / "samples" / arm.name, f"samples/{arm.name}")
            more.setdefault(arm.used["generation"], []).append(f"samples/{arm.name}/")
        if weights and has_model(arm):
            write_model(one, chosen, wish, folder / "models" / arm.name, f"models/{arm.name}")
            more.setdefault(arm.used["training"], []).append(f"models/{arm.name}/")
    return more


def _graph(shared: Finished, wish: Wish, more: Mapping[str, list[str]]) -> Graph:
    makings = []
    for report in shared.run.stages:
        if report.state in ("made", "reused"):
            rows = shared.store.db.query("SELECT role, input_id FROM inputs WHERE artifact_id = ?", report.artifact_id)
            makings.append(Making(report, {row["role"]: row["input_id"] for row in rows}))
    if not makings:
        raise UsageError(f"run {shared.run.run_id} has no results any more", hint="run the recipe again")
    return Graph(shared, makings, RESULTS, more, wish.publisher)


def _describe_artifacts(shared: Finished, graph: Graph, folder: Path) -> None:
    """What each artifact is the result of. Names of files stay here: they may hold words of the dataset."""
    for making in graph.makings:
        artifact_id = making.report.artifact_id
        content = shared.store.manifest(artifact_id)
        about = {name: value for name, value in content.items() if name in TOLD}
        about |= {"n_files": len(content["files"]), "bytes": manifest.size_of(content)}
        write_json(folder / file_of(artifact_id), scrub_json(about))


def _metadata(shared: Finished, graph: Graph, folder: Path, wish: Wish) -> Entity:
    """The JSON-LD of the crate."""
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    folders = [name for names in graph.more.values() for name in names]
    inside = [name for name in files if name.startswith(tuple(folders))] if folders else []
    top = [name for name in files if name not in inside and name != WORKFLOW]
    described: list[Entity] = [_file(folder / name, name, graph) for name in [*top, *inside]]
    described += [
        {
            "@id": name,
            "@type": "Dataset",
            "name": f"{name.split('/')[0]} of arm {name.split('/')[1]}",
            "hasPart": ref(*(file for file in inside if file.startswith(name))),
        }
        for name in folders
    ]
    root: Entity = {"@id": "./", "@type": "Dataset", "name": f"{shared.run.recipe.name}: run {shared.run.run_id}"}
    root |= {"description": " ".join(shared.sentences), "datePublished": shared.run.provenance["ended_at"][:10]}
    spdx = wish.spdx
    root |= {"license": ref(spdx) if spdx else "No licence was named: ask who published this."}
    root |= {"conformsTo": ref(*PROFILES), "mainEntity": ref(WORKFLOW), "mentions": ref(*graph.actions)}
    root |= {"hasPart": ref(WORKFLOW, *top, *folders), "keywords": "synthetic medical images, diffusion model"}
    descriptor: Entity = {"@id": METADATA, "@type": "CreativeWork", "about": ref("./")}
    descriptor |= {"conformsTo": ref("https://w3id.org/ro/crate/1.1", WORKFLOW_CRATE)}
    licence = [{"@id": spdx, "@type": "CreativeWork", "name": wish.license_id, "url": spdx}] if spdx else []
    who = [{"@id": "#publisher", "@type": "Organization", "name": wish.publisher}] if wish.publisher else []
    root |= {"publisher": ref("#publisher"), "author": ref("#publisher")} if who else {}
    profiles = [
        {"@id": place, "@type": "CreativeWork", "name": name, "version": place.rpartition("/")[2]}
        for place, name in PROFILES.items()
    ]
    context = ["https://w3id.org/ro/crate/1.1/context", {"sha256": "http://schema.org/sha256"}]
    return {"@context": context, "@graph": [descriptor, root, *profiles, *who, *licence, *graph.entities(), *described]}


def _file(path: Path, name: str, graph: Graph) -> Entity:
    entity: Entity = {"@id": name, "@type": "File", "name": ABOUT.get(name, name), "sha256": sha256_of(path)}
    entity |= {"contentSize": str(path.stat().st_size)}
    entity |= {"encodingFormat": FORMATS.get(path.suffix, "application/octet-stream")}
    if name == "README.md":
        entity["about"] = ref("./")
    if name.startswith("artifacts/"):
        entity["exampleOfWork"] = ref(*graph.examples_of(name.removeprefix("artifacts/").removesuffix(".json")))
    return entity


def _zip(folder: Path, path: Path) -> dict[str, int]:
    """Pack a folder, the metadata first; name -> bytes."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    held = {file.relative_to(folder).as_posix(): file.stat().st_size for file in files}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(held, key=lambda name: (name != METADATA, name)):
            stored = name.endswith(STORED)
            archive.write(folder / name, name, zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED)
    return held
