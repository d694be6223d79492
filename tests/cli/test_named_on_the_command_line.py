"""Files, folders and recipes that are named on the command line, and those that cannot be what they are named as."""

import json
import os

import pytest
import yaml
from click.testing import CliRunner

import mep as package
from mep.cli.main import command_named, main
from mep.cli.types import RecipeName
from mep.recipe.templates import templates


def mep(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")  # opened for reading it would be waited for, for ever
    return tmp_path / "pipe.png"


@pytest.mark.parametrize("command", [("validate",), ("import",), ("why",), ("reader-score", "run")])
def test_a_pipe_in_the_place_of_a_file_is_refused(pipe, command):
    done = mep(*command, pipe)
    assert done.exit_code == 2
    assert "is a pipe, not a file" in done.stderr


def test_a_device_that_never_ends_is_no_recipe():
    assert "is a device, not a file" in mep("validate", "/dev/zero").stderr


def recipe_of(path, **dataset):
    settings = {"mep": 2, "name": "x", "dataset": dataset, "training": {"base": "scratch", "steps": 1}}
    path.write_text(yaml.safe_dump(settings))
    return path


@pytest.mark.parametrize("field", ["source", "exclude"])
def test_a_recipe_that_names_a_pipe_is_refused_at_its_line(pipe, imagefolder, field):
    source = {"kind": "archive" if field == "source" else "imagefolder", "path": str(imagefolder)}
    dataset = {"source": source | {"path": str(pipe)}} if field == "source" else {"source": source, field: str(pipe)}
    done = mep("lint", recipe_of(pipe.with_name("x.yaml"), **dataset))
    assert (done.exit_code, "pipe.png' is a pipe, not a file" in done.stderr) == (2, True)


def test_a_pipe_among_the_images_is_found_by_lint_and_refused_by_every_command_that_reads_them(imagefolder, tmp_path):
    os.mkfifo(imagefolder / "pipe.png")
    recipe = recipe_of(tmp_path / "x.yaml", source={"kind": "imagefolder", "path": str(imagefolder)})
    found = json.loads(mep("lint", recipe, "--json").stdout)
    assert [one["check"] for one in found if one["image"] == "pipe.png"] == ["unreadable"]
    for call in (("plan", recipe), ("run", recipe), ("evaluate", "--real", imagefolder, "--synthetic", imagefolder)):
        done = mep("--runs", tmp_path / "runs", *call)
        assert (done.exit_code, "pipe.png is a pipe, not a file" in done.stderr) == (1, True), call


def test_metadata_that_is_a_pipe_is_refused(imagefolder, tmp_path):
    (imagefolder / "metadata.jsonl").unlink()
    os.mkfifo(imagefolder / "metadata.jsonl")
    recipe = recipe_of(tmp_path / "x.yaml", source={"kind": "imagefolder", "path": str(imagefolder)})
    assert "metadata.jsonl is a pipe, not a file" in mep("lint", recipe).stderr


def test_runs_may_be_named_after_every_command_as_well_as_before(tmp_path):
    for command in ("ls", "status", "gc"):
        assert mep(command, "--runs", tmp_path / "here").stderr == mep("--runs", tmp_path / "here", command).stderr
    assert str(tmp_path / "here") in mep("db", "rebuild", "--runs", tmp_path / "here").stderr
    assert all("--runs DIR" in mep(name, "--help").output for name in main.list_commands(None))
    commands = [command_named(name) for name in main.list_commands(None)]
    assert all(sum("--runs" in one.opts for one in command.params) == 1 for command in commands)


@pytest.mark.parametrize(
    ("folder", "why"), [("x" * 300, "too long"), (__file__, "is a file"), (f"{__file__}/x", "Not")]
)
def test_runs_that_can_be_no_folder_are_told(folder, why):
    for call in (("--runs", folder, "ls"), ("ls", "--runs", folder)):
        done = mep(*call)
        assert (done.exit_code, why in done.stderr) == (2, True), done.output


def test_runs_that_cannot_be_made_are_told(tmp_path):
    recipe = recipe_of(tmp_path / "x.yaml", source="sample")
    for call in (("plan", recipe), ("run", recipe), ("import", __file__)):
        done = mep("--runs", "/proc/nope", *call)
        assert (done.exit_code, "/proc/nope cannot be made" in done.stderr) == (3, True), done.output


def test_a_recipe_that_comes_with_mep_is_run_by_its_name_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "quickstart.yaml: ok, 4 arms" in mep("validate", "quickstart").stdout
    assert RecipeName().convert("starter", None, None) == templates()["starter"]
    recipe_of(tmp_path / "starter", source="sample")
    assert str(RecipeName().convert("starter", None, None)) == "starter"  # one's own file comes first
    assert "No such file" in mep("validate", "quikstart").stderr


def test_the_version_is_there_for_programs_too():
    told = json.loads(mep("--version", "--json").stdout)
    assert (told["mep"], told["recipe_format"]) == (package.__version__, 2)
    assert told["store_format"] >= 2
    assert {"python", "torch", "numpy"} <= told.keys()
    assert mep("--version").stdout.strip() == f"mep, version {package.__version__}"
    assert "beside --version" in mep("--json", "ls").stderr
