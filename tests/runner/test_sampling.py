"""`mep generate` and `mep sample-grid` on a finished run, and a run whose driver is killed while it generates."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from PIL import Image
from small_data import draw_imagefolder, tiny_settings, write_recipe

from mep.artifacts import Samples
from mep.cli.main import main
from mep.store import Store


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of runs with one finished run of two arms, and its recipe."""
    root = tmp_path_factory.mktemp("finished")
    settings = tiny_settings(draw_imagefolder(root / "images"))
    recipe = write_recipe(root / "tiny.yaml", settings)
    done = CliRunner().invoke(main, ["--runs", str(root / "runs"), "run", str(recipe)])
    assert done.exit_code == 0, done.output
    return root / "runs", recipe


def mep(runs, *arguments):
    return CliRunner().invoke(main, ["--runs", str(runs), *arguments])


def samples_of(runs, arm):
    store = Store(runs)
    rows = store.db.query("SELECT artifact_id FROM uses WHERE stage = 'generation' AND arm = ?", arm)
    return Samples(runs / "store" / rows[0]["artifact_id"])


def test_a_prompt_of_the_dataset_gives_the_images_of_the_dataset(finished):
    samples = samples_of(finished[0], "mep")
    row = samples.rows[0]
    done = mep(finished[0], "generate", "--arm", "mep", "--prompt", row["text"], "-n", "2", "--json")
    found = json.loads(done.stdout)
    assert [one["ordinal"] for one in found] == [0, 1]
    assert found[0]["seed"] == row["seed"]
    with Image.open(found[0]["file"]) as image:
        difference = abs(samples.read(row).astype(int) - samples.read(row | {"file_name": found[0]["file"]})).max()
        assert image.size == (32, 32)
    assert difference <= 1  # the batch is smaller


def test_any_text_is_drawn_by_every_arm_and_the_paths_go_to_stdout(finished, tmp_path):
    done = mep(finished[0], "generate", "--prompt", "a purple nucleus", "-n", "3", "--output", str(tmp_path))
    paths = done.stdout.split()
    assert [path.removeprefix(str(tmp_path)).split("/")[1] for path in paths] == ["label-only"] * 3 + ["mep"] * 3
    assert all(Image.open(path).size == (32, 32) for path in paths)


def test_guidance_sampler_and_steps_can_be_others(finished, tmp_path):
    options = ["generate", "--prompt", "x", "-n", "1", "--arm", "mep", "--json"]
    plain = mep(finished[0], *options, "--output", str(tmp_path / "a"))
    other = ["--sampler", "ddim", "--steps", "3", "--guidance", "9"]
    changed = mep(finished[0], *options, *other, "--output", str(tmp_path / "b"))
    files = [json.loads(one.stdout)[0]["file"] for one in (plain, changed)]
    assert Path(files[0]).read_bytes() != Path(files[1]).read_bytes()


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["generate", "--prompt", "x", "-n", "0"], "0 is not in the range"),
        (["generate", "--prompt", "x", "--arm", "meb"], "has no arm 'meb'"),
        (["generate", "--prompt", "x", "--sampler", "dpm"], "'dpm' is not a sampler"),
        (["generate"], "Missing option '--prompt'"),
        (["sample-grid", "--prompt", "nothing_c99"], "has no prompt 'nothing_c99'"),
    ],
)
def test_what_cannot_be_drawn_is_told(finished, arguments, wanted):
    done = mep(finished[0], *arguments)
    assert done.exit_code == 2
    assert wanted in done.stderr


@pytest.mark.parametrize("prompt", ["nothing_c99", " "])
def test_an_id_that_an_arm_has_not_and_no_words_are_no_prompt(finished, tmp_path, prompt):
    done = mep(finished[0], "generate", "--prompt", prompt, "-n", "1", "--output", str(tmp_path / "out"))
    assert done.exit_code == 2, done.output
    assert "has no prompt 'nothing_c99'" in done.stderr if prompt.strip() else "a prompt is empty" in done.stderr


def test_a_grid_has_a_row_for_every_prompt(finished, tmp_path):
    done = mep(finished[0], "sample-grid", "--columns", "2", "--output", str(tmp_path))
    assert [path.rsplit("/", 1)[1] for path in done.stdout.split()] == ["samples-label-only.png", "samples-mep.png"]
    heights = [Image.open(path).size[1] for path in done.stdout.split()]
    prompts = [len({row["prompt_id"] for row in samples_of(finished[0], arm).rows}) for arm in ("label-only", "mep")]
    assert [(height + 2) // 34 for height in heights] == prompts


def test_raising_the_numbers_draws_only_the_new_images(finished):
    runs, recipe = finished
    before = {row["file_name"]: row["sha256"] for row in samples_of(runs, "mep").rows}
    assert mep(runs, "run", str(recipe), "--set", "generation.allocation.images=7").exit_code == 0
    store = Store(runs)
    rows = store.db.query("SELECT artifact_id FROM uses WHERE stage = 'generation' AND arm = 'mep' ORDER BY rowid")
    folders = [runs / "store" / row["artifact_id"] for row in rows]
    after = {row["file_name"]: row["sha256"] for row in Samples(folders[-1]).rows}
    kept = before.keys() & after.keys()
    assert len(kept) >= 8
    assert {name: before[name] for name in kept} == {name: after[name] for name in kept}
    assert all((folders[0] / name).samefile(folders[-1] / name) for name in kept)


def test_a_driver_killed_while_its_workers_draw_is_resumed_to_the_same_dataset(finished, tmp_path):
    runs, recipe = finished
    settings = yaml.safe_load(recipe.read_text())
    settings["generation"] |= {
        "sampler": {"kind": "ddim", "steps": 12},
        "allocation": {"kind": "per_prompt", "images": 24},
    }
    settings["machine"] |= {"batch_size": 4, "engine": {"kind": "local", "workers": 1, "processes": 2}}
    settings["arms"] = {"label-only": settings["arms"]["label-only"]}
    slow = write_recipe(tmp_path / "slow.yaml", settings)
    command = [sys.executable, "-m", "mep", "--runs", str(runs)]
    process = subprocess.Popen([*command, "run", str(slow)], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    journal = None
    until = time.monotonic() + 120
    while (
        time.monotonic() < until
        and process.poll() is None
        and (journal is None or journal.read_bytes().count(b"\n") < 8)
    ):
        journal = next((runs / "work" / "generation").glob("*/drawn.jsonl"), None)
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    drawn = journal.read_bytes().count(b"\n")
    assert 8 <= drawn < 48
    resumed = subprocess.run([*command, "resume"], capture_output=True, text=True, timeout=120, check=True)
    assert "+ generation" in resumed.stderr
    whole = mep(tmp_path / "other", "run", str(slow))
    assert whole.exit_code == 0
    made = max((runs / "store" / "generation").iterdir(), key=lambda path: path.stat().st_mtime)
    expected = next((tmp_path / "other" / "store" / "generation").iterdir())
    names = {path.relative_to(expected) for path in expected.rglob("*") if path.is_file()} - {"manifest.json"}
    assert len(names) > 48
    for name in names:
        if name.name != "manifest.json":
            assert (made / name).read_bytes() == (expected / name).read_bytes(), name
