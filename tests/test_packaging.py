"""Containers and the conda recipe install what pyproject.toml says."""

import re
import subprocess
import tomllib

import pytest
import yaml
from small_data import REPOSITORY

import mep

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
PACKAGING = REPOSITORY / "packaging"
CONDA_NAMES = {"torch": "pytorch", "matplotlib": "matplotlib-base"}


def test_the_conda_recipe_asks_for_what_the_wheel_asks_for():
    recipe = yaml.safe_load((PACKAGING / "conda" / "recipe.yaml").read_text())
    wanted = [re.match(r"([A-Za-z0-9-]+)(.*)", line).groups() for line in PROJECT["dependencies"]]
    assert recipe["requirements"]["run"] == [
        f"python {PROJECT['requires-python']}",
        *(f"{CONDA_NAMES.get(name, name)} {bounds}" for name, bounds in wanted),
    ]
    assert recipe["context"]["version"] == mep.__version__


def test_one_version_stands_everywhere():
    assert yaml.safe_load((REPOSITORY / "CITATION.cff").read_text())["version"] == mep.__version__
    assert f"mep-{mep.__version__}-py3-none-any.whl" in (REPOSITORY / "docs" / "installing.md").read_text()
    assert re.search(r"^## (\S+)", (REPOSITORY / "CHANGELOG.md").read_text(), re.M)[1] in (
        mep.__version__,
        "Unreleased",
    )


@pytest.mark.parametrize("name", ["Dockerfile", "apptainer.def"])
def test_containers_take_pytorch_within_the_bounds_of_mep_and_every_file_that_a_wheel_is_made_from(name):
    text = (PACKAGING / name).read_text()
    [script] = re.findall(r"sed -n '(.*)' /src/pyproject.toml >/src/bounds.txt", text)
    found = subprocess.run(["sed", "-n", script, REPOSITORY / "pyproject.toml"], capture_output=True, text=True)
    assert [found.stdout.strip()] == [line for line in PROJECT["dependencies"] if re.match(r"torch\W", line)]
    assert all(
        part in text for part in ("pyproject.toml", "README.md", "LICENSE", "mep /src/mep", "recipes /src/recipes")
    )


def test_both_containers_take_the_same_options():
    told = re.findall(r"^# ([A-Z_]+) +\w", (PACKAGING / "Dockerfile").read_text(), re.MULTILINE)
    arguments = (PACKAGING / "apptainer.def").read_text().partition("%arguments\n")[2].partition("\n\n")[0]
    docker = dict(re.findall(r"^ARG ([A-Z_]+)=(.*)$", (PACKAGING / "Dockerfile").read_text(), re.MULTILINE))
    apptainer = dict(re.findall(r"^ +([A-Z_]+)=(.*)$", arguments, re.MULTILINE))
    assert told == list(docker) == list(apptainer)
    assert docker == apptainer | {"BASE": f"docker.io/library/{apptainer['BASE']}"}
