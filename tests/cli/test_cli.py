"""The commands as a person types them."""

import json
import pkgutil
import re
import subprocess
import sys
from types import SimpleNamespace

import pytest
import yaml
from click.testing import CliRunner
from PIL import Image
from small_data import REPOSITORY, draw_imagefolder, tiny_settings, write_recipe

from mep.cli import commands
from mep.cli.main import command_named, commands_in, main
from mep.cli.screen import StageProgress
from mep.stages import stages

OWN = ("prompts", "training", "guidance", "generation", "assignment", "metrics", "utility", "privacy")
"""Stages that each of the two arms does by itself."""
N_TASKS = len(stages()) + len(OWN)


def mep(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A store with one finished run, and its recipe."""
    root = tmp_path_factory.mktemp("finished")
    settings = tiny_settings(draw_imagefolder(root / "images", n=60))
    settings["dataset"]["holdout"]["fraction"] = 0.4
    settings["generation"]["allocation"]["images"] = 12
    recipe = write_recipe(root / "tiny.yaml", settings)
    done = mep("--runs", root / "runs", "run", recipe)
    assert done.exit_code == 0, done.output
    return root / "runs", recipe, done


def test_help_lists_every_command():
    output = mep("--help").output
    for command in ("run", "resume", "validate", "plan", "status", "ls", "show", "report", "schema", "methods"):
        assert re.search(rf"^  {command} ", output, re.M), command


def test_a_run_that_reuses_everything_looks_for_no_device(finished):
    runs, recipe, _ = finished
    call = ["--runs", str(runs), "run", str(recipe), "--set", "machine.device=auto"]
    code = f"import sys; from mep.cli.main import main; main({call!r}, standalone_mode=False);"
    code += "sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert f"{N_TASKS} to reuse" in done.stderr + done.stdout


def test_a_run_says_what_it_does_and_ends_with_the_comparison(finished):
    _, _, done = finished
    for stage in ("dataset", "base", "embedding", "clustering", "training", "generation", "metrics"):
        assert f"+ {stage}" in done.stderr
    assert "label-only" in done.stdout
    assert "report.html" in done.stderr


def test_the_second_run_reuses_everything(finished):
    runs, recipe, _ = finished
    done = mep("--runs", runs, "run", recipe)
    assert done.exit_code == 0
    assert "+ " not in done.stderr
    assert f"{N_TASKS} to reuse" in done.stderr


def test_without_a_terminal_a_line_at_every_quarter_tells_how_long_the_rest_takes(monkeypatch):
    now, lines = [0.0], []
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    console = SimpleNamespace(is_terminal=False, print=lines.append)
    progress = StageProgress(SimpleNamespace(console=console, bars=None, _name=lambda task: "training"), None)
    for done in (10, 30, 100):
        progress.update(done, 100, "loss 0.5, 8 images/s, 3.1 GB")
        now[0] += 60
    assert lines == [
        "    training  30/100  loss 0.5, 8 images/s, 3.1 GB, 4 min left",  # 20 steps a minute, 70 to go
        "    training  100/100  loss 0.5, 8 images/s, 3.1 GB",
    ]


def test_plan_counts_what_there_is_to_do_and_can_say_so_by_its_exit_code(finished):
    runs, recipe, _ = finished
    assert mep("--runs", runs, "plan", recipe, "--exit-code").exit_code == 0
    planned = mep("--runs", runs, "plan", recipe, "--set", "generation.guidance=3", "--json", "--exit-code")
    assert planned.exit_code == 10
    rows = json.loads(planned.stdout)["stages"]
    assert {row["stage"] for row in rows if row["status"] == "run"} == set(OWN) - {"prompts", "training"}
    assert "generation.guidance 1.5 -> 3.0" in {row["why"] for row in rows}


def test_status_ls_and_show_tell_the_same_run(finished):
    runs, recipe, _ = finished
    listed = json.loads(mep("--runs", runs, "ls", "--json").stdout)
    assert listed[0]["state"] == "done"
    assert listed[0]["arms"] == ["label-only", "mep"]
    run_id = listed[0]["run_id"]
    found = json.loads(mep("--runs", runs, "status", run_id, "--json").stdout)["stages"]
    assert {row["state"] for row in found} == {"done"}
    assert len(found) == N_TASKS
    shown = json.loads(mep("--runs", runs, "show", run_id, "--json").stdout)
    assert len(shown["artifacts"]) == 2 * len(stages())  # of two arms
    assert shown["recipe_file"] == str(recipe)
    for command in ("ls", "status", "show"):
        assert run_id in mep("--runs", runs, command, *([run_id] if command != "ls" else [])).stdout


@pytest.mark.parametrize("form", ["table", "md", "csv", "json", "html", "latex"])
def test_a_report_comes_in_every_format_to_the_screen_and_to_a_file(finished, tmp_path, form):
    runs, _, _ = finished
    done = mep("--runs", runs, "report", "--format", form, "--output", tmp_path / "report")
    assert done.exit_code == 0, done.output
    assert "label-only" in (tmp_path / "report").read_text()
    if form != "html":
        assert "label-only" in mep("--runs", runs, "report", "--format", form).stdout


def test_methods_lists_every_folder(finished):
    rows = json.loads(mep("methods", "--json").stdout)
    assert {"kmeans", "hdbscan", "hsv", "scratch", "pretrained", "unet", "dpmsolver++"} <= {row["kind"] for row in rows}
    assert all(row["does"] for row in rows)


def test_schema_writes_what_is_committed(tmp_path):
    assert mep("schema", "--output", tmp_path).exit_code == 0
    for name in ("recipe.schema.json", "mep.sql"):
        assert (tmp_path / name).read_text() == (REPOSITORY / "schemas" / name).read_text()


def test_the_variable_names_the_folder_of_the_runs(finished):
    runs, _, _ = finished
    done = CliRunner(env={"MEP_RUNS": str(runs)}).invoke(main, ["ls"])
    assert "tiny" in done.stdout


def wrong(settings, **changes):
    for field, value in changes.items():
        section, _, rest = field.partition("__")
        target = settings.setdefault(section, {})
        *path, last = rest.split("__")
        for name in path:
            target = target.setdefault(name, {})
        target[last] = value
    return settings


@pytest.mark.parametrize(
    ("changes", "code", "where", "message"),
    [
        ({"dataset__source__path": "nowhere"}, 2, "path: nowhere", "does not exist"),
        ({"dataset__label": "diagnosis"}, 1, "label: diagnosis", "the dataset has no column 'diagnosis'"),
        ({"clustering__method__k": 500}, 1, "k: 500", "500 clusters are asked of 30 images"),
        ({"prompts__template": "{lable}"}, 2, "template: '{lable}'", "no slot 'lable'"),
        ({"training__global_batch_size": 0}, 2, "batch_size: 0", ">= 1"),
    ],
)
def test_a_wrong_recipe_is_told_with_its_line_and_leaves_no_artifact(
    tmp_path, imagefolder, changes, code, where, message
):
    settings = wrong(tiny_settings(imagefolder), **changes)
    settings["arms"] = {}
    recipe = write_recipe(tmp_path / "wrong.yaml", settings)
    done = mep("--runs", tmp_path / "runs", "run", recipe)
    assert done.exit_code == code
    assert message in done.stderr
    line = next(n for n, text in enumerate(recipe.read_text().splitlines(), 1) if where in text)
    assert f"wrong.yaml:{line}:" in done.stderr
    assert "Traceback" not in done.output
    section = next(iter(changes)).partition("__")[0]
    assert not (tmp_path / "runs" / "store" / section).exists()


@pytest.mark.parametrize("n", [0, 1])
def test_a_folder_with_too_few_images_is_told(tmp_path, n):
    (tmp_path / "few").mkdir()
    for number in range(n):
        Image.new("RGB", (8, 8)).save(tmp_path / "few" / f"{number}.png")
    settings = tiny_settings(tmp_path / "few")
    settings["dataset"].pop("label")
    settings["prompts"]["template"] = "type {cluster}"
    settings["arms"] = {}
    done = mep("--runs", tmp_path / "runs", "run", write_recipe(tmp_path / "few.yaml", settings))
    assert done.exit_code == 1
    assert ("the dataset holds no image" if n == 0 else "one image only, 0.png") in done.stderr
    assert not (tmp_path / "runs" / "store").exists()


def test_an_image_that_does_not_decode_is_named(tmp_path, imagefolder):
    (imagefolder / "13.png").write_text("this is text")
    done = mep("--runs", tmp_path / "runs", "run", write_recipe(tmp_path / "bad.yaml", tiny_settings(imagefolder)))
    assert done.exit_code == 1
    assert "13.png does not decode" in done.stderr
    assert not (tmp_path / "runs" / "store").exists()


def test_a_command_without_any_run_says_how_to_make_one(tmp_path):
    for command in ("ls", "status", "show", "report"):
        done = mep("--runs", tmp_path / "none", command)
        assert done.exit_code == 2
        assert "mep run quickstart" in done.stderr
    assert not (tmp_path / "none").exists()


def test_there_is_nothing_to_resume_when_every_run_is_done(finished):
    runs, _, _ = finished
    done = mep("--runs", runs, "resume")
    assert done.exit_code == 2
    assert "every run is done" in done.stderr


def test_every_recipe_of_the_gallery_validates_and_opens_with_the_schema_and_its_command():
    for recipe in sorted((REPOSITORY / "recipes").glob("*.yaml")):
        text = recipe.read_text()
        assert text.startswith("# yaml-language-server: $schema=../schemas/recipe.schema.json\n"), recipe.name
        assert f"mep run recipes/{recipe.name}" in text
        assert yaml.safe_load(text)["name"] == recipe.stem


def test_several_recipes_are_checked_at_once_and_each_tells_its_own_mistakes(tmp_path):
    recipes = sorted((REPOSITORY / "recipes").glob("*.yaml"))
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("name: wrong\nextends: quickstart\ntraning: {}\n")
    done = mep("validate", recipes[0], wrong, recipes[1])
    assert done.exit_code == 2
    assert [line.partition(":")[0] for line in done.stdout.splitlines()] == [str(path) for path in recipes[:2]]
    assert f"{wrong}:\n" in done.stderr
    assert "wrong.yaml:3:1" in done.stderr
    assert "one recipe" in mep("validate", "--resolved", *recipes[:2]).stderr


def test_every_command_of_the_files_stands_in_the_help():
    files = [file.name for file in pkgutil.iter_modules(commands.__path__) if not file.name.startswith("_")]
    defined = {name for file in files for name in commands_in(file)}
    assert defined - {"rebuild"} == set(main.list_commands(None))
    assert all(command_named(name).name == name for name in main.list_commands(None))


def test_what_a_recipe_says_never_steers_the_terminal(tmp_path):
    text = (REPOSITORY / "recipes/starter.yaml").read_text()
    recipe = tmp_path / "x.yaml"
    recipe.write_text(
        text.replace('"Histology image of {label} tissue"', r'"\e[2J[red]{label}[/red]' + " very" * 80 + '"')
    )
    shown = mep("--runs", tmp_path / "runs", "plan", recipe)
    assert shown.exit_code == 0, shown.output
    assert r"\x1b[2J[red]stained[/red] very" in shown.stdout
    assert "\x1b" not in shown.output
