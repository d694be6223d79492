"""A finished run that the tests of this folder share."""

import shutil

import pytest
from click.testing import CliRunner
from small_data import draw_imagefolder, tiny_settings, write_recipe

from mep.cli.main import main
from mep.store import Store


@pytest.fixture(scope="session")
def original(tmp_path_factory):
    """A finished run of two arms, with its report."""
    root = tmp_path_factory.mktemp("house")
    recipe = write_recipe(root / "tiny.yaml", tiny_settings(draw_imagefolder(root / "images")))
    done = CliRunner().invoke(main, ["--runs", str(root / "runs"), "run", str(recipe)])
    assert done.exit_code == 0, done.output
    return root / "runs", recipe


@pytest.fixture
def house(original, tmp_path):
    """A copy of it that a test may spoil."""
    shutil.copytree(original[0], tmp_path / "runs")
    return Store(tmp_path / "runs"), original[1]
