"""A run as a Workflow Run RO-Crate, by the validator of those who made the profile."""

import json
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest
from shared_run import mep
from small_data import REPOSITORY

PROFILE = "provenance-run-crate-0.5"


@pytest.fixture(scope="module")
def crate(house):
    path = house.root / "run.crate.zip"
    done = mep(
        house,
        *("export", "--format", "ro-crate", "--samples", "--weights", "--license", "CC-BY-4.0"),
        *("--publisher", "A Hospital", "--output", path),
    )
    assert done.exit_code == 0, done.output
    assert done.stdout.strip() == str(path)
    return path


@pytest.fixture(scope="module")
def entities(crate):
    with zipfile.ZipFile(crate) as archive:
        graph = json.loads(archive.read("ro-crate-metadata.json"))["@graph"]
    assert len({entity["@id"] for entity in graph}) == len(graph)
    return {entity["@id"]: entity for entity in graph}


def ids(value):
    return [one["@id"] for one in (value if isinstance(value, list) else [value])]


def test_its_validator_accepts_all_that_the_profile_requires(crate, tmp_path):
    """And all that it recommends, but for an address of the publisher, and one of the recipe, which is a file."""
    validator = shutil.which("rocrate-validator")
    if validator is None:
        pytest.skip("no rocrate-validator on PATH: .ci/run installs roc-validator and rocrate 0.13 beside the tests")
    python = Path(validator).resolve().with_name("python")
    subprocess.run([python, REPOSITORY / "tests/support/crate_context.py", tmp_path / "cache"], check=True, timeout=300)
    call = [validator, "-y", "validate", "--offline", "--cache-path", tmp_path / "cache", "-p", PROFILE, "--no-paging"]
    done = subprocess.run([*call, "-l", "recommended", "-v", crate], capture_output=True, text=True, timeout=600)
    failed = {
        line.split()[1] for line in done.stdout.splitlines() if line.strip().startswith("[ ") and "." in line[:40]
    }
    failed = {name for name in failed if "_" in name and "." in name.rpartition("_")[2]}
    assert failed == {"process-run-crate-0.5_5.1", "ro-crate-1.1_31.2"}, done.stdout
    assert "183/183" in done.stdout, done.stdout  # every check was made


def test_every_file_of_the_crate_is_described_and_every_reference_leads_somewhere(crate, entities):
    with zipfile.ZipFile(crate) as archive:
        names = {*archive.namelist()} - {"ro-crate-metadata.json"}
    files = {name for name, entity in entities.items() if "File" in entity["@type"]}
    assert files == names
    refs = {
        one
        for entity in entities.values()
        for value in entity.values()
        if isinstance(value, dict | list)
        for one in (ids(value) if value and (isinstance(value, dict) or isinstance(value[0], dict)) else [])
    }
    outside = {name for name in refs - entities.keys() if not name.startswith("https://")}
    assert outside == set()


def test_each_stage_is_a_step_and_each_result_has_the_action_that_made_it(entities):
    workflow = entities["recipe.lock.yaml"]
    steps = [entities[step]["name"] for step in ids(workflow["step"])]
    assert steps.index("dataset") < steps.index("clustering") < steps.index("generation") < steps.index("metrics")
    actions = [entity for entity in entities.values() if entity["@type"] == "CreateAction"]
    made = {result: action for action in actions for result in ids(action["result"])}
    drawn = made["samples/mep/"]
    assert drawn["name"] == "generation of mep"
    assert drawn["endTime"] > drawn["startTime"]
    assert "mep is better than label-only" in entities["#run"]["description"]
    assert {"models/mep/", "models/label-only/", "samples/label-only/"} <= entities.keys()


def test_no_real_image_no_name_of_one_and_no_folder_is_in_a_crate(house, crate):
    with zipfile.ZipFile(crate) as archive:
        for name in archive.namelist():
            content = archive.read(name)
            assert all(text.encode() not in content for text in (str(house.root), *house.ids)), name


def test_what_only_a_crate_has_is_refused_for_a_bundle(house):
    done = mep(house, "export", "--license", "MIT")
    assert (done.exit_code, "add --format ro-crate" in done.stderr) == (2, True)
