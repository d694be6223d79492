"""Imports point one way, and nothing heavy is imported before it is needed."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import mep

PACKAGE = Path(mep.__file__).parent
FLOORS = [
    "__main__",
    "cli",
    "sharing",
    "report",
    "reader_study",
    "runner",
    "store",
    "recipe",
    "stages",
    "sections",
    "evaluation",
    "methods",
    "diffusion",
    "stage",
    "artifacts",
    "imaging",
    "machine",
    "statistics",
    "registry",
    "config",
    "errors",
]
"""The rooms of the package from the roof to the ground: each imports only what stands below it."""
HEAVY = [
    "PIL",
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


def room_of(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(tree):
    """Modules of mep that a file imports: at its top, in its functions and for its types alike."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names] if node.module == "mep" else [node.module]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        yield from (name for name in names if name.startswith("mep."))


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_a_room_imports_only_what_stands_below_it(path):
    room, tree = room_of(path), ast.parse(path.read_text())
    if room == "__init__":  # the public names, fetched when they are asked for
        assert all(isinstance(node, ast.If) or not list(imports(node)) for node in tree.body)
        return
    below = FLOORS[FLOORS.index(room) :]
    assert {name.split(".")[1] for name in imports(tree)} <= {*below, "__version__"}


def test_every_folder_and_file_of_the_package_has_a_floor():
    rooms = {room_of(path) for path in PACKAGE.rglob("*.py")} - {"__init__"}
    assert rooms == set(FLOORS)


def test_every_public_name_is_there():
    assert all(getattr(mep, name) for name in mep.__all__)


@pytest.mark.parametrize(
    "module", ["mep", "mep.cli.main", "mep.cli.console", "mep.recipe", "mep.runner.run", "mep.store"]
)
def test_importing_the_command_line_imports_nothing_heavy(module):
    code = f"import sys, {module}; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


def test_a_recipe_is_validated_without_arrays_and_results():
    """NumPy and the classes of results take as long as all else: a recipe that is right needs neither."""
    code = """
import sys
from mep.cli.main import main
main(['validate', 'recipes/quickstart.yaml'], standalone_mode=False)
print([name for name in ('numpy._core', 'mep.artifacts', 'mep.stages') if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True, cwd=PACKAGE.parent
    )
    assert done.stdout.splitlines()[-1] == "[]"
