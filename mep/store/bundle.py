"""A run as one file that can be sent: recipe, provenance, captions, scores; samples, weights, report where asked."""

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import mep
from mep.artifacts import Artifact, BaseModel, Guidance, Model, Prompts, Samples, Scores
from mep.config import Config
from mep.errors import UsageError
from mep.machine.files import fsync, noticing_full_disk, removed_on_failure
from mep.store import Store, manifest, now
from mep.store.artifact_rows import kind_of
from mep.store.cleaning import Cleaning
from mep.store.database import Row
from mep.store.journal import JOURNAL, read_journal
from mep.store.manifest import Manifest
from mep.store.nameless import nameless_files
from mep.store.runs import artifacts_of
from mep.store.scrub import folders_in, scrub, scrub_html, scrub_json

BRIEF = (Scores, Prompts)
"""Artifacts whose files always travel; of the others, the manifest does."""
SUFFIX = ".mep.tar.gz"
MESSAGES = ("error", "message")
"""Columns of a journal that say something to a person."""
EXPORT = "export.json"
"""What a bundle says of itself, its first member."""


@dataclass(frozen=True)
class Leaving:
    """What of a run leaves besides recipe, log, provenance, captions and scores.

    samples     the synthetic images
    weights     the models
    page        the report, with pictures of real images
    names       those of real images, slides and patients; without them captions are there to be read, not to go on from
    """

    samples: bool = False
    weights: bool = False
    page: bool = False
    names: bool = False

    @property
    def kinds(self) -> tuple[type[Artifact], ...]:
        """Artifacts whose files leave."""
        return BRIEF + (Samples,) * self.samples + (Model, BaseModel, Guidance) * self.weights


def export_run(store: Store, run_id: str, output: Path, leaving: Leaving = Leaving()) -> dict[str, Any]:
    """Write a run to one file, without absolute paths and secrets; what it holds.

    UsageError      something that was asked for is no longer in the store
    IntegrityError  an artifact of the run has no manifest any more
    """
    names = artifacts_of(store, run_id)
    manifests = {name: store.manifest(name) for name in names}
    with_files = [name for name in names if issubclass(_kind(name), leaving.kinds)]
    for name in with_files:
        if not store.has(name):
            raise UsageError(f"{name} is damaged or was collected", hint=f"make it again: mep resume {run_id}")
    to_read = [name for name in with_files if issubclass(_kind(name), Prompts) and not leaving.names]
    whole = [name for name in with_files if name not in to_read]
    n_bytes = sum(manifest.size_of(manifests[name]) for name in with_files)
    held: dict[str, Any] = {"mep": mep.__version__, "run_id": run_id, "exported_at": now()}
    held |= {"artifacts": names, "whole": whole, "to_read": to_read, "unpacked_bytes": n_bytes}
    held["captions_of_dataset"] = len(set().union(*(_of_dataset(store, name) for name in to_read)))
    output.parent.mkdir(parents=True, exist_ok=True)
    temporary = output.with_name(output.name + ".tmp")
    full = noticing_full_disk(f"no space left to write {output}", "free some, or name another place: --output FILE")
    with full, removed_on_failure(temporary):
        _pack(store, temporary, held, manifests, leaving)
        fsync(temporary)
    os.replace(temporary, output)
    return held | {"bytes": output.stat().st_size}


def _kind(name: str) -> type[Artifact]:
    return kind_of(name.split("/")[0])


def _pack(store: Store, path: Path, held: dict[str, Any], manifests: dict[str, Manifest], leaving: Leaving) -> None:
    cleaning = Cleaning() if leaving.names else Cleaning.of(store, held["run_id"], held["artifacts"])
    # dereference: files that the store links to each other travel as files
    with tarfile.open(path, "w:gz", compresslevel=6, dereference=True) as archive:
        _add(archive, EXPORT, json.dumps(held, indent=1).encode())
        for name, text in _run_files(store, held["run_id"], cleaning, page=leaving.page):
            _add(archive, f"run/{name}", text.encode())
        for name, content in manifests.items():
            folder = store.root / "store" / name
            files = content["files"] if name in held["whole"] + held["to_read"] else {}
            nameless = nameless_files(_kind(name), folder) if files and not leaving.names else {}
            content = _with(content, nameless) | {"facts": cleaning.row(content["facts"])}
            _add(archive, f"store/{name}/{manifest.NAME}", manifest.text_of(content).encode())
            for file in files:
                if file in nameless:
                    _add(archive, f"store/{name}/{file}", nameless[file])
                else:
                    archive.add(folder / file, f"store/{name}/{file}", recursive=False, filter=_anonymous)


def _of_dataset(store: Store, name: str) -> set[str]:
    """Captions that hold more of an image than its label and cluster: reports, or values of columns."""
    config = store.manifest(name)["ingredients"]["config"]
    given = "method" in config  # of a template, the default, nothing is said
    return {prompt.text for prompt in store.load(Prompts, name, Config()).prompts if given or prompt.columns}


def _with(content: Manifest, files: dict[str, bytes]) -> Manifest:
    """The manifest of an artifact some files of which have another content."""
    changed = dict(content["files"])
    for name, text in files.items():
        changed[name] = changed[name] | {"sha256": hashlib.sha256(text).hexdigest(), "bytes": len(text)}
    return content | {"files": changed}


def _run_files(store: Store, run_id: str, cleaning: Cleaning, *, page: bool) -> Iterator[tuple[str, str]]:
    """The text files of a run folder, as they may be seen by others."""
    folder = store.run_folder(run_id)
    rows = [(table, cast(Row, scrub_json(row))) for table, row in read_journal(folder / JOURNAL)]
    lines = [json.dumps({table: cleaning.row(row, MESSAGES)}, ensure_ascii=False) + "\n" for table, row in rows]
    yield JOURNAL, cleaning.text("".join(lines))
    folders = {f"{store.root}/"}
    for name in (JOURNAL, "recipe.yaml", "recipe.lock.yaml", "log.txt"):
        if (folder / name).exists():
            text = (folder / name).read_text(encoding="utf-8")
            folders |= folders_in(text)
            if name != JOURNAL:
                text = scrub(text)
                yield name, cleaning.text(cleaning.message(text) if name == "log.txt" else text)
    if page and (report := folder / "report.html").exists():
        yield report.name, scrub_html(report.read_text(encoding="utf-8"), folders)


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member
