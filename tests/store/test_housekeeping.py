"""Where a file comes from, what may go, and how a run travels."""

import errno
import io
import json
import re
import shutil
import tarfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from mep.artifacts.base import load_table
from mep.cli.main import main
from mep.errors import UsageError
from mep.machine.files import read_json, read_json_lines, write_json
from mep.runner.why import why
from mep.store import Store, locks, manifest
from mep.store.nameless import CLOSEST
from mep.store.runs import find_run
from mep.store.scrub import REMOVED, scrub


def mep(*arguments, **environment):
    return CliRunner(env=environment).invoke(main, [str(argument) for argument in arguments])


def chain_of(runs, path):
    done = mep("--runs", runs, "why", path, "--json")
    assert done.exit_code == 0, done.output
    return {link["what"]: link for link in json.loads(done.stdout)}


def sample_of(runs):
    """A generated image of the arm with clusters, and its row."""
    for path in sorted((runs / "store" / "generation").glob("*/metadata.jsonl")):
        for row in read_json_lines(path):
            if row["cluster"] is not None:
                return path.parent / row["file_name"], row
    raise AssertionError("no image has a cluster")


def test_why_tells_the_whole_chain_of_a_synthetic_image(original, tmp_path):
    runs, recipe = original
    path, row = sample_of(runs)
    chain = chain_of(runs, path)
    assert chain["file"]["facts"]["content"] == "as it was written"
    assert chain["sample"]["facts"]["seed"] == row["seed"]
    assert chain["prompt"]["facts"] | {"captions": ""} == {
        "text": row["text"],
        "label": row["label"],
        "cluster": row["cluster"],
        "captions": "",
    }
    assert chain["cluster"]["name"] == str(row["cluster"])
    assert re.fullmatch(r"\d\d\.png", chain["cluster"]["facts"]["nearest its centre"][0])
    assert chain["training"]["facts"]["steps"] == 6
    assert chain["clustering"]["facts"]["method.k"] == 2
    assert chain["dataset"]["facts"]["content of imagefolder"]
    assert chain["run"]["facts"]["recipe"] == str(recipe)
    assert chain["run"]["facts"]["arms"] == "mep"
    copy = shutil.copy(path, tmp_path / "figure.png")
    assert chain_of(runs, copy)["sample"] == chain["sample"]


def test_why_tells_of_metrics_reports_and_changed_files_and_knows_what_is_not_its_own(house, tmp_path):
    store, _ = house
    scores = next((store.root / "store" / "metrics").rglob("scores.json"))
    assert {"metrics", "references", "generation", "training", "run"} <= chain_of(store.root, scores).keys()
    page = next(store.root.glob("*/report.html"))
    assert chain_of(store.root, page)["dataset"]["facts"]["arms"] == "label-only, mep"
    scores.write_text("[]")
    assert chain_of(store.root, scores)["file"]["facts"]["content"] == "changed since it was written"
    (tmp_path / "other.png").write_bytes(b"mine")
    with pytest.raises(UsageError, match="is not a file that mep wrote"):
        why(store, tmp_path / "other.png")


def test_gc_lists_and_only_on_demand_removes_what_no_run_needs(house):
    store, recipe = house
    assert "everything is needed" in mep("--runs", store.root, "gc").stderr
    assert mep("--runs", store.root, "run", recipe, "--set", "training.steps=4").exit_code == 0
    second = find_run(store, None)["run_id"]
    assert mep("--runs", store.root, "rm", second[:15]).exit_code == 2  # not named in full
    assert "can go now" in mep("--runs", store.root, "rm", second).stderr
    listed = json.loads(mep("--runs", store.root, "gc", "--json").stdout)
    assert {row["path"].split("/")[1] for row in listed} >= {"training", "generation", "metrics"}
    assert all((store.root / row["path"]).exists() for row in listed)
    assert mep("--runs", store.root, "gc", "--delete").exit_code == 0
    assert not any((store.root / row["path"]).exists() for row in listed)
    assert mep("--runs", store.root, "verify").exit_code == 0
    planned = json.loads(mep("--runs", store.root, "plan", recipe, "--json").stdout)
    assert {row["status"] for row in planned["stages"]} == {"reuse"}


def test_a_run_that_the_rules_let_go_keeps_its_numbers_and_can_be_made_again(house):
    store, recipe = house
    run_id = find_run(store, None)["run_id"]
    before = scores_of(store, run_id)
    weights = next((store.root / "store" / "training").rglob("*.safetensors"))
    assert mep("--runs", store.root, "pin", run_id, "--note", "figure 2").exit_code == 0
    assert "everything is needed" in mep("--runs", store.root, "gc", "--keep-last", "0").stderr
    assert "is pinned" in mep("--runs", store.root, "rm", run_id).stderr
    assert mep("--runs", store.root, "pin", "--remove", run_id).exit_code == 0

    done = mep("--runs", store.root, "gc", "--keep-last", "0", "--delete")
    assert re.search(r"freed \d", done.stderr)
    assert not weights.exists()
    assert mep("--runs", store.root, "verify").exit_code == 0
    told = mep("--runs", store.root, "report", run_id, "--format", "json")
    assert json.loads(told.stdout)["scores"]
    assert scores_of(store, run_id) == before
    assert "everything is needed" in mep("--runs", store.root, "gc", "--keep-last", "0").stderr

    assert mep("--runs", store.root, "run", recipe).exit_code == 0
    assert weights.exists()
    assert scores_of(store, find_run(store, None)["run_id"]) == before


def scores_of(store, run_id):
    return store.db.query(
        "SELECT arm, metric, subject, value FROM run_scores WHERE run_id = ? ORDER BY 1, 2, 3", run_id
    )


def test_nothing_is_collected_while_a_run_goes_on(house):
    store, _ = house
    with store.in_use(shared=True):
        (store.root / "work" / "training" / "left").mkdir(parents=True)
        done = mep("--runs", store.root, "gc", "--delete")
    assert done.exit_code == 4
    assert mep("--runs", store.root, "gc", "--delete").exit_code == 0


def test_a_running_run_is_not_removed(house):
    store, _ = house
    run_id = find_run(store, None)["run_id"]
    with locks.hold(store.run_folder(run_id) / "lock"):
        assert mep("--runs", store.root, "rm", run_id).exit_code == 4
    assert mep("--runs", store.root, "show", run_id).exit_code == 0


def members_of(path):
    with tarfile.open(path) as archive:
        return {member.name: archive.extractfile(member).read() for member in archive}


@pytest.mark.parametrize("more", [[], ["--samples", "--weights"]])
def test_an_export_holds_no_absolute_path_and_no_secret_and_is_taken_in_elsewhere(house, tmp_path, more):
    store, recipe = house
    run_id = find_run(store, None)["run_id"]
    token = "hf_" + "a1B2" * 8
    (store.run_folder(run_id) / "log.txt").open("a").write(f"using {token} and my-own-secret-word\n05.png is dark\n")
    output = tmp_path / "paper.mep.tar.gz"
    done = mep("--runs", store.root, "export", run_id, "--output", output, *more, MY_TOKEN="my-own-secret-word")
    assert done.exit_code == 0, done.output
    members = members_of(output)
    for name, content in members.items():
        for forbidden in (token, "my-own-secret-word", str(recipe.parent), str(store.root), str(Path.home())):
            assert forbidden.encode() not in content, (name, forbidden)
    assert {"run/recipe.yaml", "run/recipe.lock.yaml", "run/journal.jsonl"} <= members.keys()
    assert b"(an image) is dark" in members["run/log.txt"]
    assert "run/report.html" not in members  # it shows real images
    assert any(name.endswith(".png") for name in members) == bool(more)
    assert any(name.endswith(".safetensors") for name in members) == bool(more)
    assert not any(name.startswith("store/dataset/") and not name.endswith("manifest.json") for name in members)

    other = tmp_path / "other"
    taken = mep("--runs", other, "import", output)
    assert taken.exit_code == 0, taken.output
    assert taken.stdout.strip() == run_id
    assert mep("--runs", other, "verify").exit_code == 0
    assert Store(other).db.query("SELECT metric, value FROM run_scores ORDER BY 1, 2") == store.db.query(
        "SELECT metric, value FROM run_scores ORDER BY 1, 2"
    )
    assert mep("--runs", other, "report", run_id, "--format", "md").exit_code == 0
    drawn = mep("--runs", other, "generate", "--arm", "mep", "--prompt", "a caption", "-n", "1")
    assert drawn.exit_code == (0 if more else 2), drawn.output
    assert "Traceback" not in drawn.stderr
    assert "is here already" in mep("--runs", other, "import", output).stderr
    if more:
        assert mep("--runs", other, "run", recipe).exit_code == 0  # captions that came without names are made anew
        how = "SELECT DISTINCT how FROM uses WHERE stage IN ('training', 'generation') AND run_id != ?"
        assert Store(other).db.query(how, run_id) == [{"how": "reused"}]  # what came whole is not made again


def test_an_export_names_no_real_image_unless_its_page_is_asked_for(house, tmp_path):
    store, _ = house
    names = ("prompts/*/captions.parquet", f"metrics/*/{CLOSEST}")
    captions, closest = (next((store.root / "store").glob(name)) for name in names)
    near = {extractor: [{"train": "05.png", "file_name": "a.png", "ratio": 0.1}] for extractor in read_json(closest)}
    write_json(closest, near)
    content = manifest.read(closest.parent)
    manifest.write(closest.parent, content | {"files": manifest.list_files(closest.parent)})
    assert load_table(captions)["id"][0].endswith(".png")
    assert mep("--runs", store.root, "export", "--output", tmp_path / "without").exit_code == 0
    assert mep("--runs", store.root, "export", "--output", tmp_path / "with", "--page").exit_code == 0
    members = members_of(tmp_path / "without")
    for name, content in members.items():
        if name.endswith("captions.parquet"):
            assert pq.read_table(io.BytesIO(content))["id"].to_pylist()[:2] == ["0000000", "0000001"]
        if name.endswith(CLOSEST):
            assert b"05.png" not in content
    assert any(b'"ratio": 0.1' in content for name, content in members.items() if name.endswith(CLOSEST))
    assert b"real image" in members_of(tmp_path / "with")["run/report.html"]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("path: /home/ann/data/pcam", "path: pcam"),
        ("/data", "data"),
        ("~/data/x.yaml:3:7", "x.yaml:3:7"),
        ("../../../home/ann/pcam", "pcam"),
        ("image 3/4 of and/or", "image 3/4 of and/or"),
        ("https://huggingface.co/a/b", "https://huggingface.co/a/b"),
        ("stable-diffusion-v1-5/stable-diffusion-v1-5", "stable-diffusion-v1-5/stable-diffusion-v1-5"),
        ("https://me:password1@host/x", f"https://{REMOVED}@host/x"),
        ("api_key: 'abcdef123'", f"api_key: '{REMOVED}'"),
        ("text: {tokens: 160000}", "text: {tokens: 160000}"),
    ],
)
def test_paths_are_cut_and_secrets_removed(text, wanted):
    assert scrub(text) == wanted


def test_logs_tell_a_stage_from_another_and_hold_the_traceback_of_a_failure(house, monkeypatch):
    store, recipe = house
    with monkeypatch.context() as patch:
        patch.setattr("mep.stages.prompts.stage.Prompt", lambda *a, **k: 1 / 0)
        failed = mep("--runs", store.root, "run", recipe, "--set", "seed=8")
    assert failed.exit_code == 1
    lines = mep("--runs", store.root, "logs", "--follow").stdout.splitlines()
    assert any("ZeroDivisionError" in line for line in lines)
    stage = mep("--runs", store.root, "logs", find_run(store, None)["run_id"], "clustering").stdout.splitlines()
    assert stage
    assert all(" clustering[" in line or line.startswith(" ") for line in stage)
    assert "is no stage" in mep("--runs", store.root, "logs", find_run(store, None)["run_id"], "clustring").stderr
    [row] = store.db.query("SELECT stage, arms, error FROM stage_costs WHERE state = 'failed'")
    assert row["arms"] in ('["label-only"]', '["mep"]', '["label-only", "mep"]')


def test_show_tells_of_sessions_environment_and_attempts(original):
    runs, _ = original
    shown = json.loads(mep("--runs", runs, "show", "--json").stdout)
    [session] = shown["sessions"]
    assert session["state"] == "done"
    assert session["python"].startswith("3.")
    assert {row["package"] for row in shown["packages"]} >= {"torch", "numpy", "diffusers"}
    assert {event["kind"] for event in shown["events"]} == {"started", "done"}
    assert all(attempt["resume"] == "" and attempt["state"] == "done" for attempt in shown["attempts"])


def test_verify_of_a_run_tells_what_it_was_locked_with_and_is_otherwise_now(house, monkeypatch):
    store, _ = house
    run_id = find_run(store, None)["run_id"]
    lock = store.run_folder(run_id) / "recipe.lock.yaml"
    lock.write_text(lock.read_text().replace("../../images", str(house[1].parent / "images")))  # the store is a copy
    assert mep("--runs", store.root, "verify", run_id).exit_code == 0
    monkeypatch.setattr("mep.runner.lockfile.platform.python_version", lambda: "4.0.0")
    done = mep("--runs", store.root, "verify", run_id)
    assert done.exit_code == 5
    assert re.search(rf"{run_id} python .*is 4\.0\.0 now", done.stdout)


def test_doctor_looks_at_everything_and_fails_where_something_is_bad(original, tmp_path):
    runs, _ = original
    found = {row["what"]: row for row in json.loads(mep("--runs", runs, "doctor", "--json").stdout)}
    assert found["locks"]["state"] == found["SQLite"]["state"] == found["packages"]["state"] == "ok"
    assert found["provenance"]["found"].startswith("1 run")
    (tmp_path / "mep.db").write_bytes(b"no database" * 500)
    done = mep("--runs", tmp_path, "doctor")
    assert done.exit_code == 3
    assert "mep db rebuild" in done.stdout


@pytest.mark.parametrize(
    ("cuda", "gpus", "inside", "hint"),
    [
        ("13.0", [], True, "apptainer run --nv"),
        ("13.0", [], False, "mep run quickstart"),
        (None, [], True, "mep run quickstart"),
        ("13.0", ["NVIDIA A100"], True, "the driver must know CUDA 13.0"),
        (None, ["NVIDIA A100"], False, "install a torch with CUDA"),
    ],
)
def test_doctor_says_why_no_gpu_is_seen(monkeypatch, tmp_path, cuda, gpus, inside, hint):
    import torch

    monkeypatch.setattr(torch.version, "cuda", cuda)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr("mep.runner.doctor.gpu_names", lambda: gpus)
    monkeypatch.setattr("mep.runner.doctor.CONTAINER_MARKS", (str(tmp_path),) * inside)
    found = {row["what"]: row for row in json.loads(mep("--runs", tmp_path, "doctor", "--json").stdout)}
    assert hint in found["device"]["hint"]
    assert found["device"]["state"] == ("bad" if gpus else "warning")


def test_a_full_disk_is_told_with_the_place_that_is_full_and_leaves_no_half_file(house, tmp_path, monkeypatch):
    store, _ = house

    def full(*arguments, **more):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(tarfile.TarFile, "add", full)
        done = mep("--runs", store.root, "export", "--output", tmp_path / "small" / "run.mep.tar.gz")
    assert (done.exit_code, "no space left to write" in done.stderr, "small/run.mep" in done.stderr) == (3, True, True)
    assert list((tmp_path / "small").iterdir()) == []
    with monkeypatch.context() as patch:
        patch.setattr("mep.store.Store.record", full)
        assert mep("--runs", store.root, "db", "rebuild").exit_code == 3
    assert sorted(path.name for path in store.root.glob("mep.db*")) == ["mep.db", "mep.db-journal"]
