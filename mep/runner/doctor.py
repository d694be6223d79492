"""Is this machine fit for mep? Packages, devices, disk, locks, SQLite, caches: what was found, and what to do."""

import os
import platform
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

import mep
from mep.errors import MepError
from mep.machine.mounts import mount_of
from mep.runner.environment import cpu_name, gpu_names, memory_bytes
from mep.store import locks

ENOUGH_GB = 20
"""A fine-tuned Stable Diffusion with its checkpoints takes about this much."""

CONTAINER_MARKS = ("/.dockerenv", "/run/.containerenv", "/.singularity.d")
"""What is there inside of a container: of Docker, of Podman and Buildah, of Apptainer and Singularity."""


@dataclass(frozen=True)
class Check:
    """One thing that was looked at; `hint` says what to do where it is not `ok`."""

    what: str
    state: Literal["ok", "warning", "bad"]
    found: str
    hint: str = ""


def examine(runs: Path) -> Iterator[Check]:
    """Look at everything that has stopped runs before."""
    yield Check("mep", "ok", f"{mep.__version__}, Python {platform.python_version()}, {platform.platform()}")
    yield _packages()
    yield Check("processor", "ok", f"{cpu_name()}, {os.cpu_count()} cores, {memory_bytes() / 1e9:.0f} GB of memory")
    yield _device()
    folder = next(path for path in (runs.absolute(), *runs.absolute().parents) if path.exists())
    yield _disk(folder)
    yield _writable(folder)
    yield _file_system(folder)
    yield _locks(folder)
    if sqlite3.sqlite_version_info < (3, 37):
        yield Check("SQLite", "bad", f"{sqlite3.sqlite_version}; mep needs 3.37", "use a newer Python")
    else:
        yield Check("SQLite", "ok", sqlite3.sqlite_version)
    yield _database(runs)
    yield _cache()


def _packages() -> Check:
    from packaging.requirements import Requirement

    wrong = []
    for text in metadata.requires("mep") or []:
        wanted = Requirement(text)
        if wanted.marker and not wanted.marker.evaluate({"extra": ""}):
            continue
        try:
            version = metadata.version(wanted.name)
        except metadata.PackageNotFoundError:
            wrong.append(f"{wanted.name} is missing")
            continue
        if not wanted.specifier.contains(version, prereleases=True):
            wrong.append(f"{wanted.name} {version} is not {wanted.specifier}")
    if wrong:
        return Check("packages", "bad", "; ".join(wrong), "pip install -U mep")
    return Check("packages", "ok", f"torch {metadata.version('torch')}, diffusers {metadata.version('diffusers')}")


def _device() -> Check:
    import torch

    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
        free, total = torch.cuda.mem_get_info()
        return Check("device", "ok", f"{', '.join(names)}; {free / 1e9:.0f} of {total / 1e9:.0f} GB free on the first")
    if torch.backends.mps.is_available():
        return Check("device", "ok", "Apple GPU (mps)")
    if gpu_names():
        message = f"{gpu_names()[0]} is there, but this torch ({torch.__version__}) does not see it"
        hint = "install a torch with CUDA: https://pytorch.org/get-started"
        if torch.version.cuda:
            hint = f"the driver must know CUDA {torch.version.cuda} (nvidia-smi): update it, or take an older torch"
        return Check("device", "bad", message, hint)
    hint = "mep run quickstart is made for that"
    if torch.version.cuda and any(os.path.exists(mark) for mark in CONTAINER_MARKS):
        hint += "; to see the host's: docker run --gpus all, apptainer run --nv"
    return Check("device", "warning", "no GPU: small models only", hint)


def _disk(folder: Path) -> Check:
    free_gb = shutil.disk_usage(folder).free / 1e9
    message = f"{free_gb:.0f} GB free in {folder}"
    if free_gb < ENOUGH_GB:
        return Check("disk", "warning", message, "mep gc lists what can go")
    return Check("disk", "ok", message)


def _writable(folder: Path) -> Check:
    path = folder / f".mep-doctor-{os.getpid()}"
    try:
        started = time.monotonic()
        with path.open("wb") as file:
            file.write(b"x" * 4096)
            os.fsync(file.fileno())
        took_ms = (time.monotonic() - started) * 1000
    except OSError as error:
        return Check("writing", "bad", f"{folder}: {error}", "name another folder: mep --runs DIR")
    finally:
        path.unlink(missing_ok=True)
    if took_ms > 200:
        return Check("writing", "warning", f"an fsync takes {took_ms:.0f} ms", "put the runs on a local disk")
    return Check("writing", "ok", f"an fsync takes {took_ms:.1f} ms")


def _file_system(folder: Path) -> Check:
    mount = mount_of(folder)
    if mount is None:
        return Check("file system", "ok", "this system does not tell which")
    if not mount.is_network:
        return Check("file system", "ok", f"{mount.kind}, of this machine")
    if why := mount.locks_of_one_host:
        hint = "run on one host at a time, or have it mounted with locks that all hosts see"
        return Check("file system", "bad", f"{mount.kind} at {mount.point}: {why}", hint)
    return Check("file system", "ok", f"{mount.kind} at {mount.point}, with locks that other hosts see")


def _locks(folder: Path) -> Check:
    """Another process must see a lock that this one holds: some network file systems do not keep that promise."""
    path = folder / f".mep-doctor-{os.getpid()}.lock"
    code = f"from pathlib import Path; from mep.store import locks; print(locks.is_held(Path({str(path)!r})))"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", code]
    try:
        with locks.hold(path, wait_s=0):
            seen = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)
    except (OSError, MepError) as error:
        return Check("locks", "bad", f"{folder} cannot be locked: {error}", "put the runs on a local disk")
    finally:
        path.unlink(missing_ok=True)
    if seen.stdout.strip() != "True":
        message = f"{folder}: a second process does not see a lock"
        return Check("locks", "bad", message, "put the runs on a local disk, or on a network disk with flock")
    return Check("locks", "ok", "seen by other processes of this machine")


def _database(runs: Path) -> Check:
    from mep.runner.verify import check_database
    from mep.store import Store

    if not (runs / "mep.db").exists() and not any(runs.glob("*/journal.jsonl")):
        return Check("provenance", "ok", f"no runs in {runs} yet")
    try:
        store = Store(runs)
        bad = check_database(store)
        n = store.db.query("SELECT count(*) AS n FROM runs")[0]["n"]
    except MepError as error:
        return Check("provenance", "bad", error.message, error.hint)
    if bad:
        return Check("provenance", "bad", bad[0].problem, bad[0].hint)
    return Check("provenance", "ok", f"{n} run{'s' * (n != 1)} in {runs}")


def _cache() -> Check:
    from huggingface_hub import constants

    cache = Path(constants.HF_HUB_CACHE)
    n_bytes = sum(path.stat().st_size for path in cache.rglob("*") if path.is_file() and not path.is_symlink())
    n_models = len(list(cache.glob("models--*")))
    return Check("model cache", "ok", f"{n_models} models, {n_bytes / 1e9:.1f} GB in {cache}")
