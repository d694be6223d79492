"""What a process runs on: packages, source, hardware, and the settings that change arithmetic."""

import contextlib
import functools
import json
import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path

import mep
from mep.config import digest, leaves
from mep.machine.settings import MachineConfig
from mep.machine.workers import share_cores
from mep.recipe.reader import FORMAT
from mep.store.database import Entry, migrations

PACKAGES = ("torch", "diffusers", "transformers", "accelerate", "numpy", "scikit-learn", "scikit-image", "hdbscan")
"""What the environment of a run names first; `packages` lists all that are installed."""

FLAGS = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "CUBLAS_WORKSPACE_CONFIG",
    "CUDA_VISIBLE_DEVICES",
    "NVIDIA_TF32_OVERRIDE",
    "PYTHONHASHSEED",
    "WORLD_SIZE",
)
"""Environment variables that change arithmetic, its order, or what it runs on."""

MAX_DIFF = 1_000_000
"""Characters of a git diff that are kept."""


def summary() -> dict[str, str]:
    """Versions of what a result may depend on."""
    versions = {"mep": mep.__version__, "python": platform.python_version(), "platform": platform.platform()}
    installed = _installed()
    return versions | {package: installed[package] for package in PACKAGES if package in installed}


def formats() -> dict[str, object]:
    """What `mep --version --json` says: the version, the formats that it reads and writes, and `summary`."""
    commit, diff = git_state(Path(mep.__file__).parent)
    return {
        "mep": mep.__version__,
        "recipe_format": FORMAT,
        "store_format": len(migrations()),
        "commit": commit + "+" * bool(diff),
        **summary(),
    }


def rows() -> tuple[str, list[Entry]]:
    """The id of the present environment, and its rows."""
    commit, diff = git_state(Path(mep.__file__).parent)
    row: dict[str, object] = {
        "mep": mep.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": cpu_name(),
        "n_cores": os.cpu_count() or 1,
        "memory_gb": round(memory_bytes() / 1e9, 1),
        "gpu": "\n".join(gpu_names()),
        "flags": json.dumps({name: os.environ[name] for name in FLAGS if name in os.environ}),
        "git_commit": commit,
        "git_diff": diff[:MAX_DIFF],
    }
    installed = _installed()
    environment_id = digest([row, installed])[:16]
    packages: list[Entry] = [
        ("packages", {"environment_id": environment_id, "package": name, "version": version})
        for name, version in installed.items()
    ]
    return environment_id, [("environments", {"environment_id": environment_id} | row), *packages]


NO_TRAITS = {"device", "checkpoint_every_s", "trackers", "at_once", "slurm", "stores"}
"""Settings of the machine that no bit depends on; the device is told as the one that is chosen."""


def traits(machine: MachineConfig, device: str, at_once: int = 1) -> dict[str, object]:
    """What the bits of a result may depend on besides its fingerprint; a resume is exact where all is the same.

    at_once     processes that share the cores
    """
    installed = _installed()
    settings = machine.model_dump(mode="json", exclude=NO_TRAITS)
    settings["engine"].pop("workers", None)  # threads and processes that read images
    threads = os.environ.get("OMP_NUM_THREADS", str(os.cpu_count()))
    return dict(leaves(settings, "machine")) | {
        "device": device,
        "hardware": gpu_names()[0] if device.startswith("cuda") and gpu_names() else cpu_name(),
        "processes": int(os.environ.get("WORLD_SIZE", "1")),
        "threads": threads if at_once == 1 else str(len(share_cores(at_once)[0])),
        "torch": installed.get("torch", ""),
        "numpy": installed.get("numpy", ""),
    }


def git_state(folder: Path) -> tuple[str, str]:
    """Commit of the repository that tracks a folder, and what is changed since; empty texts where there is none."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(folder), *arguments]
        try:
            done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=10)
        except (OSError, subprocess.TimeoutExpired):
            return ""  # no git on this machine, or a repository on a disk that does not answer
        return done.stdout if done.returncode == 0 else ""

    commit = git("rev-parse", "HEAD").strip()
    if not commit or not git("ls-files", "--", ".").strip():  # an installed package below somebody's repository
        return "", ""
    return commit, git("diff", "HEAD", "--no-color", "--no-ext-diff", "--", ".")


@functools.cache
def _installed() -> dict[str, str]:
    versions = {package.name: package.version for package in metadata.distributions()}
    return dict(sorted(versions.items(), key=lambda item: item[0].lower()))


@functools.cache
def cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


@functools.cache
def gpu_names() -> list[str]:
    """Names of the NVIDIA GPUs, as the driver lists them; asking torch would cost seconds."""
    names = sorted(Path("/proc/driver/nvidia/gpus").glob("*/information"))
    lines = [line for path in names for line in path.read_text().splitlines() if line.startswith("Model:")]
    return [line.partition(":")[2].strip() for line in lines]


def memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def forget_peak_memory() -> None:
    """Start measuring the peak anew, where the system can (Linux)."""
    with contextlib.suppress(OSError):  # elsewhere the peak is that of the process so far
        Path("/proc/self/clear_refs").write_text("5")
