"""A run whose stages are jobs of a real Slurm on this host: stopped, killed, cancelled, without its controller."""

import json
import shutil
import signal

import pytest
from click.testing import CliRunner
from slurm_host import SlurmHost, lacks
from small_data import draw_imagefolder, tiny_settings, write_recipe
from stores import assert_whole, attempts, contents

from mep.cli.main import main
from mep.errors import EnvironmentLacks, Interrupted, Locked, StageFailed
from mep.machine import slurm
from mep.machine.slurm import SlurmConfig
from mep.machine.work import NullProgress
from mep.recipe import load_recipe
from mep.runner.callback import RunCallback
from mep.runner.run import resume, run
from mep.runner.slurm_jobs import job_in
from mep.runner.verify import check_artifacts, check_database
from mep.store import Store

WHY_NOT = lacks()
STEPS = 60
TRAINING = "training"


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    if WHY_NOT:
        pytest.skip(WHY_NOT)
    host = SlurmHost(tmp_path_factory.mktemp("slurm"))
    if why_not := host.start_all():
        pytest.skip(why_not)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in host.environment.items():
            patch.setenv(name, value)
        patch.setattr("mep.runner.slurm_jobs.POLL_S", 0.3)
        patch.setattr("mep.runner.slurm_jobs.GRACE_S", 2.0)
        yield host
    host.close()


@pytest.fixture(scope="module")
def scene(host, tmp_path_factory):
    """A recipe of two arms that are jobs, and the store of a run that nobody disturbed."""
    root = tmp_path_factory.mktemp("jobs")
    settings = tiny_settings(draw_imagefolder(root / "images"), training_steps=STEPS)
    settings["machine"] |= {"slurm": {"cpus": 1}, "checkpoint_every_s": 0.1}
    settings["utility"] = {"probe": "none"}
    recipe, store = write_recipe(root / "tiny.yaml", settings), Store(root / "runs")
    run(load_recipe(recipe), store)
    return recipe, store


def jobs_of(store, task):
    """Ids of the jobs that the logs name for a task."""
    lines = [line for path in store.root.glob("*/log.txt") for line in path.read_text().splitlines()]
    return {line.split("Slurm job ")[1].split(":")[0] for line in lines if f"{task} Slurm job" in line}


def stopped(store):
    return store.db.query("SELECT run_id FROM runs WHERE state != 'done'")[0]["run_id"]


class When(RunCallback):
    """Does something once the training of an arm has come to a step."""

    def __init__(self, what, arm="mep", step=1):
        self.what, self.arm, self.step, self.is_done = what, arm, step, False

    def started(self, task):
        return self.Heard(self, task) if (task.stage.name, task.arms) == (TRAINING, [self.arm]) else NullProgress()

    class Heard:
        def __init__(self, when, task):
            self.when, self.task = when, task

        def update(self, done, total, note=""):
            if total == STEPS and done >= self.when.step and not self.when.is_done:
                self.when.is_done = True
                self.when.what(self.task)


@pytest.fixture
def store(scene, tmp_path):
    """The store of the calm run, in which one arm is still to be trained, drawn and measured."""
    _, calm = scene
    store = Store(shutil.copytree(calm.root, tmp_path / "runs"))
    for row in calm.db.query("SELECT stage, artifact_id FROM uses WHERE arm = 'mep'"):
        if row["stage"] in (TRAINING, "generation", "metrics"):
            shutil.rmtree(store.folder(row["artifact_id"]))
    return store


def test_every_arm_is_a_job_and_leaves_what_a_run_of_this_process_leaves(scene, tmp_path):
    recipe, calm = scene
    assert all(jobs_of(calm, f"training[{arm}]") for arm in ("label-only", "mep"))
    assert all(row["peak_memory_mb"] > 100 for row in attempts(calm, TRAINING))
    assert [json.loads(row["machine"])["threads"] for row in attempts(calm, TRAINING)] == ["1", "1"]
    assert check_artifacts(calm) == check_database(calm) == []
    here = Store(tmp_path)
    run(load_recipe(recipe, ["machine.slurm=null"]), here)
    assert contents(here) == contents(calm)


def test_a_stopped_run_leaves_its_jobs_and_finds_them_again(host, scene, store):
    recipe, calm = scene

    def stop(task):
        jobs.append(job_in(store.work_folder(task.artifact_id)))
        told.append(CliRunner().invoke(main, status).output)
        signal.raise_signal(signal.SIGTERM)

    jobs, told, status = [], [], ["--runs", str(store.root), "status"]
    with pytest.raises(Interrupted):
        run(load_recipe(recipe), store, When(stop))
    assert jobs[0] in host.jobs()
    told.append(CliRunner().invoke(main, status).output)  # of a run that goes on, and of one that left its jobs
    assert [f"Slurm job {jobs[0]}: running on {host.name}" in text for text in told] == [True, True], told
    with pytest.raises(Locked, match=r"Slurm job \d+ is making it"):
        run(load_recipe(recipe, ["machine.slurm=null"]), store)
    resume(stopped(store), store)
    assert jobs_of(store, "training[mep]") == {jobs[0]} | jobs_of(calm, "training[mep]")  # it was not sent twice
    assert_whole(store, calm)


def test_a_job_that_is_requeued_goes_on_to_the_same_bytes(host, scene, store):
    recipe, calm = scene

    def requeue(task):
        job = job_in(store.work_folder(task.artifact_id))
        host.say("scontrol", "requeue", job)
        host.wait(lambda: host.say("squeue", "-h", "-j", job, "-o", "%T") == "PENDING", "the job is requeued")
        host.say("scontrol", "update", f"jobid={job}", "StartTime=now")  # else two minutes later

    when = When(requeue, step=5)
    run(load_recipe(recipe), store, when)
    assert when.is_done
    assert_whole(store, calm)


def test_a_job_that_is_told_to_end_is_sent_again(host, scene, store):
    recipe, calm = scene

    def end(task):
        jobs.append(job_in(store.work_folder(task.artifact_id)))
        host.say("scancel", "--batch", "--signal=TERM", jobs[0])

    jobs = []
    run(load_recipe(recipe), store, When(end, step=5))
    sent = jobs_of(store, "training[mep]") - jobs_of(calm, "training[mep]")
    assert len(sent) == 2
    assert jobs[0] in sent
    assert_whole(store, calm)


def test_without_its_controller_a_run_waits_for_it(host, scene, store):
    recipe, calm = scene

    def lose(task):
        host.kill("slurmctld")
        host.start("slurmctld")

    when = When(lose)
    run(load_recipe(recipe), store, when)
    assert when.is_done
    assert_whole(store, calm)


def test_a_cancelled_job_fails_its_stage_and_a_resumed_run_sends_another(host, scene, store):
    recipe, calm = scene

    def cancel(task):
        told.append(CliRunner().invoke(main, ["--runs", str(store.root), "cancel"]).output)

    told = []
    with pytest.raises(StageFailed, match=r"Slurm job \d+ was cancelled"):
        run(load_recipe(recipe), store, When(cancel))
    assert told[0].startswith("cancelled: ")
    host.wait(lambda: not host.jobs(), "the queue is empty")
    assert "has no job in Slurm" in CliRunner().invoke(main, ["--runs", str(calm.root), "cancel"]).output
    resume(stopped(store), store)
    assert_whole(store, calm)


def test_what_slurm_refuses_is_told(host, tmp_path):
    config = SlurmConfig(partition="other")
    with pytest.raises(EnvironmentLacks, match=r"sbatch refuses: .*invalid partition"):
        slurm.submit(config, ["true"], name="mep-none", log=tmp_path / "log")


def test_a_host_without_slurm_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EnvironmentLacks, match="there is no sbatch here"):
        slurm.submit(SlurmConfig(), ["true"], name="mep-none", log=tmp_path / "log")


def test_a_recipe_for_one_machine_goes_to_slurm_by_a_word(tmp_path, monkeypatch):
    settings = tiny_settings(draw_imagefolder(tmp_path / "images"))
    settings["machine"] |= {"at_once": 2}
    recipe = write_recipe(tmp_path / "tiny.yaml", settings)
    monkeypatch.setenv("PATH", str(tmp_path))
    told = CliRunner().invoke(main, ["--runs", str(tmp_path / "runs"), "run", str(recipe), "--on", "slurm"])
    assert (told.exit_code, "there is no sbatch here" in told.stderr) == (3, True), told.output
