"""Imports point one way, and nothing heavy is imported before it is needed."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import mep

PACKAGE = Path(mep.__file__).parent
METHODS = {"sources", "embedders", "detectors", "clusterers", "balancers", "allocations", "bases", "trainers"} | {
    "samplers",
    "extractors",
    "scores",
    "probes",
    "engines",
}
LAYERS = [
    {"errors"},
    {"files", "killpoints", "torchvision_ops"},
    {"config", "registry", "workers", "machine"},
    {"worker"},
    {
        "protocol",
        "pairwise",
        "classification",
        "pixels",
        "artifacts",
        "stage",
        "diffusion",
        "pipelines",
        "hub",
        "loop",
        "tokenizer",
        "autoencoder",
        "cache",
        "encoders",
        "edges",
        "captions",
        "checkpoints",
        "weights",
    },
    METHODS,
    {
        "evaluation",
        "extraction",
        "groupwise",
        "uncertainty",
        "drawing",
        "probing",
        "utility_rows",
        "finetune",
        "scan",
        "imagefolder",
        "split",
    },
    {"utility_rows"},
    {"stages"},
    {"folders"},
    {"lint"},
    {"recipe", "store"},
    {"runner"},
    {"report", "readers"},
    {"console"},
    {"commands"},
    {"cli"},
    {"__main__"},
]
HEAVY = [
    "torch",
    "diffusers",
    "transformers",
    "datasets",
    "sklearn",
    "scipy",
    "skimage",
    "hdbscan",
    "matplotlib",
    "ray",
]


def top_level_imports(path):
    """Packages of mep that a module imports when it is itself imported, type-checking blocks left out."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("mep."):
            yield node.module.split(".")[1]


def layer_of(name):
    return next(place for place, names in enumerate(LAYERS) if name in names)


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_imports_point_one_way(path):
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if own == "__init__":
        assert list(top_level_imports(path)) == []
        return
    for other in top_level_imports(path):
        assert other == own or layer_of(other) <= layer_of(own), f"{own} imports {other}"


def test_every_public_name_is_there():
    assert all(getattr(mep, name) for name in mep.__all__)


@pytest.mark.parametrize("module", ["mep", "mep.cli", "mep.console", "mep.recipe", "mep.runner.run", "mep.store"])
def test_importing_the_command_line_imports_nothing_heavy(module):
    code = f"import sys, {module}; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
