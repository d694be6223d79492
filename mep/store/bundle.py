"""A run as one file that can be sent: recipe, lock, report, provenance; samples and weights where asked."""

import io
import json
import os
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mep
from mep.artifacts import BaseModel, Model, Prompts, Samples, Scores
from mep.errors import DataError, UsageError
from mep.machine.files import write_json
from mep.store import Store, manifest, now
from mep.store.artifact_rows import kind_of
from mep.store.journal import JOURNAL, read_journal
from mep.store.manifest import FileEntry
from mep.store.runs import artifacts_of
from mep.store.scrub import folders_in, scrub, scrub_html, scrub_json

BRIEF = (Scores, Prompts)
"""Artifacts that always travel whole; of the others, the manifest does."""
SUFFIX = ".mep.tar.gz"
MAX_FILES = 1_000_000


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
    held = {"mep": mep.__version__, "run_id": run_id, "exported_at": now(), "artifacts": names, "whole": whole}
    output.parent.mkdir(parents=True, exist_ok=True)
    temporary = output.with_name(output.name + ".tmp")
    # dereference: files that the store links to each other travel as files
    with tarfile.open(temporary, "w:gz", compresslevel=6, dereference=True) as archive:
        _add(archive, "export.json", json.dumps(held, indent=1))
        for name, text in _run_files(store, run_id):
            _add(archive, f"run/{name}", text)
        for name in names:
            folder = store.root / "store" / name
            files = manifests[name]["files"] if name in whole else {}
            for file in [manifest.NAME, *files]:
                archive.add(folder / file, f"store/{name}/{file}", recursive=False, filter=_anonymous)
    os.replace(temporary, output)
    return held | {"bytes": output.stat().st_size}


def import_run(store: Store, bundle: Path) -> dict[str, Any]:
    """Take a run into this store: its folder, its rows, and the artifacts that are not here yet; what it held.

    DataError       the file is not an export, or not as it was written
    UsageError      a run of that name is here already
    """
    scratch, db = store.root / "work" / "import" / str(os.getpid()), store.db
    try:
        _unpack(bundle, scratch)
        held = json.loads((scratch / "export.json").read_text())
        run_id = str(held["run_id"])
        if Path(run_id).name != run_id:
            raise DataError(f"{bundle.name} names the run {run_id!r}")
        if store.run_folder(run_id).exists():
            raise UsageError(f"{run_id} is here already", hint=f"look at it: mep show {run_id}")
        with store.in_use(shared=True):
            for name in held["artifacts"]:
                _adopt(store, scratch / "store" / name, name, whole=name in held["whole"])
            os.rename(scratch / "run", store.run_folder(run_id))
            db.put(read_journal(store.run_folder(run_id) / JOURNAL))
            for name in held["artifacts"]:
                store.record(name)
    except (tarfile.TarError, KeyError, ValueError, FileNotFoundError, EOFError) as error:
        raise DataError(
            f"{bundle} is not a whole export of mep: {error}", hint="make it with: mep export RUN"
        ) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return dict(held)


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


def _adopt(store: Store, folder: Path, name: str, *, whole: bool) -> None:
    """Give an artifact of a bundle its place in the store, unless it is here already."""
    content = manifest.read(folder)
    target = store.folder(name)
    if target.parent.parent != store.root / "store" or manifest.artifact_id(content) != name:
        raise DataError(f"the manifest of {name} is that of another artifact")
    if store.has(name) or (target.exists() and not whole):
        return
    if not whole:
        write_json(folder / manifest.COLLECTED, {"collected_at": now()})
    elif _hashes(content["files"]) != _hashes(manifest.list_files(folder)):
        raise DataError(f"{name} is not as its manifest says")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(target, ignore_errors=True)
    os.rename(folder, target)


def _hashes(files: dict[str, FileEntry]) -> dict[str, str]:
    return {name: entry["sha256"] for name, entry in files.items()}


def _unpack(bundle: Path, scratch: Path) -> None:
    """Only plain files with plain names, below the scratch folder."""
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    with tarfile.open(bundle, "r:gz") as archive:
        for number, member in enumerate(archive):
            if not member.isfile() or number > MAX_FILES:
                raise DataError(f"{bundle.name} holds {member.name!r}, which is not a plain file")
            archive.extract(member, scratch, filter="data")


def _add(archive: tarfile.TarFile, name: str, text: str) -> None:
    content = text.encode()
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member
