"""A run as one file that can be sent: recipe, lock, report, provenance; samples and weights where asked."""

import io
import json
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mep
from mep.artifacts import BaseModel, Model, Prompts, Samples, Scores
from mep.errors import UsageError
from mep.machine.files import fsync, noticing_full_disk, removed_on_failure
from mep.store import Store, manifest, now
from mep.store.artifact_rows import kind_of
from mep.store.journal import JOURNAL, read_journal
from mep.store.manifest import Manifest
from mep.store.runs import artifacts_of
from mep.store.scrub import folders_in, scrub, scrub_html, scrub_json

BRIEF = (Scores, Prompts)
"""Artifacts that always travel whole; of the others, the manifest does."""
SUFFIX = ".mep.tar.gz"
EXPORT = "export.json"
"""What a bundle says of itself, its first member."""


def export_run(
    store: Store, run_id: str, output: Path, *, samples: bool = False, weights: bool = False
) -> dict[str, Any]:
    """Write a run to one file, without absolute paths and secrets; what it holds.

    UsageError      something that was asked for is no longer in the store
    IntegrityError  an artifact of the run has no manifest any more
    """
    kinds = BRIEF + (Samples,) * samples + (Model, BaseModel) * weights
    names = artifacts_of(store, run_id)
    manifests = {name: store.manifest(name) for name in names}
    whole = [name for name in names if issubclass(kind_of(name.split("/")[0]), kinds)]
    for name in whole:
        if not store.has(name):
            raise UsageError(f"{name} is damaged or was collected", hint=f"make it again: mep resume {run_id}")
    n_bytes = sum(manifest.size_of(manifests[name]) for name in whole)
    held: dict[str, Any] = {"mep": mep.__version__, "run_id": run_id, "exported_at": now()}
    held |= {"artifacts": names, "whole": whole, "unpacked_bytes": n_bytes}
    output.parent.mkdir(parents=True, exist_ok=True)
    temporary = output.with_name(output.name + ".tmp")
    full = noticing_full_disk(f"no space left to write {output}", "free some, or name another place: --output FILE")
    with full, removed_on_failure(temporary):
        _pack(store, temporary, held, manifests)
        fsync(temporary)
    os.replace(temporary, output)
    return held | {"bytes": output.stat().st_size}


def _pack(store: Store, path: Path, held: dict[str, Any], manifests: dict[str, Manifest]) -> None:
    # dereference: files that the store links to each other travel as files
    with tarfile.open(path, "w:gz", compresslevel=6, dereference=True) as archive:
        _add(archive, EXPORT, json.dumps(held, indent=1))
        for name, text in _run_files(store, held["run_id"]):
            _add(archive, f"run/{name}", text)
        for name, content in manifests.items():
            folder = store.root / "store" / name
            files = content["files"] if name in held["whole"] else {}
            for file in [manifest.NAME, *files]:
                archive.add(folder / file, f"store/{name}/{file}", recursive=False, filter=_anonymous)


def _run_files(store: Store, run_id: str) -> Iterator[tuple[str, str]]:
    """The text files of a run folder, as they may be seen by others."""
    folder = store.run_folder(run_id)
    journal = [(table, scrub_json(row)) for table, row in read_journal(folder / JOURNAL)]
    yield JOURNAL, "".join(json.dumps({table: row}, ensure_ascii=False) + "\n" for table, row in journal)
    folders = {f"{store.root}/"}
    for name in (JOURNAL, "recipe.yaml", "recipe.lock.yaml", "log.txt"):
        if (folder / name).exists():
            text = (folder / name).read_text(encoding="utf-8")
            folders |= folders_in(text)
            if name != JOURNAL:
                yield name, scrub(text)
    if (page := folder / "report.html").exists():
        yield page.name, scrub_html(page.read_text(encoding="utf-8"), folders)


def _add(archive: tarfile.TarFile, name: str, text: str) -> None:
    content = text.encode()
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member
