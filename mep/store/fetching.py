"""What a shared store has, taken into this one: every byte is held against its digest before anything has a place."""

import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mep.artifacts import Scores
from mep.config import Config
from mep.errors import IntegrityError
from mep.machine.files import link_or_copy, sha256_of, write_json
from mep.store import Store, manifest
from mep.store.artifact_rows import kind_of, rows_of
from mep.store.manifest import FileEntry, Manifest
from mep.store.remote import Moved, Moving, groups
from mep.store.shared import SharedStore
from mep.store.unpacking import refuse_full


def fetch(
    store: Store, remote: SharedStore, content: Manifest, moved: Moved, look: Callable[[], None] = lambda: None
) -> None:
    """Take an artifact in; who calls holds its lock. What has come stays for a second try where this one is stopped.

    content     its manifest there
    look        called between two groups of files; what it raises stops

    IntegrityError      a file there is not what its name says, and nothing was taken
    EnvironmentLacks    the store does not answer, or the disk has too little room
    """
    name = manifest.artifact_id(content)
    came = store.root / "work" / "fetch" / name.replace("/", "-")
    try:
        _receive(remote, content, came, moved, look)
        rows = rows_of(content, _scores_in(remote, content, came))
    except IntegrityError:
        shutil.rmtree(came, ignore_errors=True)
        raise
    store.place(came, name)
    store.db.put(rows)
    for left in (came, store.work_folder(name)):
        shutil.rmtree(left, ignore_errors=True)


def _receive(remote: SharedStore, content: Manifest, came: Path, moved: Moved, look: Callable[[], None]) -> None:
    """Make a folder the artifact that a manifest describes."""
    files, name = content["files"], manifest.artifact_id(content)
    for path in came.rglob("*"):  # of a first try, by what another manifest said
        if path.is_file() and path.relative_to(came).as_posix() not in files:
            path.unlink()
    first = {entry["sha256"]: file for file, entry in reversed(files.items())}  # content -> the first file that has it
    entries = {came / file: files[file] for file in first.values()}
    wanted = [
        Moving(path, remote.place_of(name, path.relative_to(came).as_posix(), entry), entry["bytes"])
        for path, entry in entries.items()
        if not _is_right(path, entry)
    ]
    _refuse_other_sizes(remote, name, wanted)
    refuse_full(came, sum(moving.n_bytes for moving in wanted))
    with ThreadPoolExecutor(1) as pool:  # reads what has come while more comes
        checks = []
        for group in groups(wanted):
            look()
            remote.receive(group, moved)
            checks.append(pool.submit(_lies, group, entries))
        for lie in [lie for check in checks for lie in check.result()]:
            raise remote.lies(lie)
    came.mkdir(parents=True, exist_ok=True)
    for file, entry in files.items():
        if file != first[entry["sha256"]]:
            link_or_copy(came / first[entry["sha256"]], came / file)
    for file, entry in files.items():  # they were just read: no need to hash them again
        os.utime(came / file, ns=(entry["mtime_ns"], entry["mtime_ns"]))
    write_json(came / manifest.NAME, content)


def _refuse_other_sizes(remote: SharedStore, name: str, wanted: list[Moving]) -> None:
    """IntegrityError, before anything comes, where a file is missing there or of another size."""
    sizes = remote.sizes(f"store/{name}") if wanted else {}
    for moving in wanted:
        if sizes.get(moving.name.removeprefix(f"store/{name}/")) != moving.n_bytes:
            raise remote.lies(moving.name)


def _is_right(path: Path, entry: FileEntry) -> bool:
    return path.is_file() and path.stat().st_size == entry["bytes"] and sha256_of(path) == entry["sha256"]


def _lies(group: list[Moving], entries: dict[Path, FileEntry]) -> list[str]:
    """Those of the files that have come whose content is not what it should be."""
    return [file.name for file in group if not _is_right(file.path, entries[file.path])]


def _scores_in(remote: SharedStore, content: Manifest, came: Path) -> Scores | None:
    """The scores of an artifact that has some: its rows are made of them."""
    kind, name = kind_of(content["stage"]), manifest.artifact_id(content)
    if not issubclass(kind, Scores):
        return None
    try:
        return kind.load(came, Config())
    except (ValueError, KeyError, TypeError, AttributeError, FileNotFoundError) as error:
        raise remote.lies(f"store/{name}") from error
