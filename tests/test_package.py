"""What people install: the wheel that comes out of the source distribution, in an environment without a checkout."""

import json
import os
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile

import pytest
from small_data import REPOSITORY

BUILD = "import sys, setuptools.build_meta as backend; print(getattr(backend, sys.argv[1])(sys.argv[2]))"


def run(*command, cwd, **environment):
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "MEP_RUNS")}
    command = [str(part) for part in command]
    done = subprocess.run(command, cwd=cwd, env=kept | environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built from the source distribution of the files that git tracks."""
    root = tmp_path_factory.mktemp("package")
    listed = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=REPOSITORY).split("\0")
    with tarfile.open(root / "tree.tar", "w") as tree:
        for name in filter(None, listed):
            if os.path.lexists(REPOSITORY / name):
                tree.add(REPOSITORY / name, name)
    with tarfile.open(root / "tree.tar") as tree:
        tree.extractall(root / "tree", filter="tar")
    run(sys.executable, "-c", BUILD, "build_sdist", root, cwd=root / "tree")
    [sdist] = root.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(root / "sdist", filter="data")
    [unpacked] = (root / "sdist").iterdir()
    run(sys.executable, "-c", BUILD, "build_wheel", root, cwd=unpacked)
    return next(root.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """An environment with the wheel alone; what it depends on is borrowed from the one that runs this test."""
    root = tmp_path_factory.mktemp("installed")
    venv.create(root / "env")
    python = root / "env" / "bin" / "python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", wheel, cwd=root)
    folder = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=root).strip()
    with open(os.path.join(folder, "borrowed.pth"), "w") as file:
        file.write(sysconfig.get_path("purelib") + "\n")
    (root / "elsewhere").mkdir()
    return root / "env" / "bin" / "mep", root / "elsewhere"


def test_a_wheel_holds_every_file_that_mep_reads_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    package = REPOSITORY / "mep"
    files = {path.relative_to(REPOSITORY).as_posix() for path in package.rglob("*") if path.is_file()}
    files |= {f"mep/recipe/shipped/{path.name}" for path in (REPOSITORY / "recipes").glob("*.yaml")}
    wanted = {name for name in files if "__pycache__" not in name}
    beside = {name for name in names if name.startswith("mep/recipe/shipped/")}  # what a recipe reads
    assert names - beside == wanted - beside
    assert {name for name in wanted if name.startswith("mep/recipe/shipped/")} <= names


def test_an_installed_mep_knows_itself_its_recipes_and_their_plan(installed):
    mep, elsewhere = installed
    assert run(mep.with_name("python"), "-c", "import mep; print(mep.__file__)", cwd=elsewhere).startswith(
        str(mep.parents[1])
    )
    told = json.loads(run(mep, "--version", "--json", cwd=elsewhere))
    assert (told["recipe_format"], told["commit"]) == (2, "")
    listing = run(mep, "init", "--list", cwd=elsewhere)
    assert all(path.stem in listing for path in (REPOSITORY / "recipes").glob("*.yaml"))
    run(mep, "init", "mine.yaml", cwd=elsewhere)
    assert "mine.yaml: ok" in run(mep, "validate", "mine.yaml", cwd=elsewhere)
    assert "first time" in run(mep, "plan", "quickstart", "--runs", "here", cwd=elsewhere)
    assert "kmeans" in run(mep, "methods", cwd=elsewhere)
    assert (REPOSITORY / "schemas" / "mep.sql").read_text() == (
        run(mep, "schema", "--output", "s", cwd=elsewhere) or (elsewhere / "s" / "mep.sql").read_text()
    )
