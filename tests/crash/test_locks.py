"""Many processes, one store: work is shared, never done twice, and nobody has to unlock anything."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from trivial import N_STAGES, run_trivial

from mep.cli.main import main
from mep.errors import Interrupted, Locked
from mep.runner.verify import check_artifacts, check_database
from mep.store import Store, locks
from mep.store.runs import state_of

HOLD = (
    "import sys, time; from pathlib import Path; from mep.store import locks\n"
    "with locks.hold(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
)


def holder(path):
    """A process that holds a lock for a minute."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"held\n"
    return process


def test_eight_processes_with_overlapping_recipes_lose_nothing_and_do_nothing_twice(tmp_path):
    script = Path(__file__).with_name("trivial.py")
    arms = [[str((number + place) % 12) for place in range(4)] for number in range(8)]  # every arm in two or three
    processes = [
        subprocess.Popen([sys.executable, str(script), str(tmp_path), "0.01", *mine], stderr=subprocess.PIPE)
        for mine in arms
    ]
    errors = [process.communicate(timeout=300)[1].decode() for process in processes]
    assert [process.returncode for process in processes] == [0] * 8, errors
    store = Store(tmp_path)
    n = 5 + (N_STAGES - 5) * len({arm for mine in arms for arm in mine})  # five stages are common to all arms
    assert store.db.query("SELECT count(*) AS n FROM artifacts") == [{"n": n}]
    assert store.db.query("SELECT count(*) AS n, sum(state = 'done') AS done FROM attempts") == [{"n": n, "done": n}]
    assert store.db.query("SELECT count(*) AS n FROM uses") == [{"n": 8 * 4 * N_STAGES}]
    assert store.db.query("SELECT count(*) AS n FROM runs WHERE state = 'done'") == [{"n": 8}]
    assert check_artifacts(store) == check_database(store) == []


def test_a_process_that_may_not_wait_says_who_holds_the_stage(tmp_path):
    plan = run_trivial(tmp_path / "known", [1])
    first = plan.tasks[0]
    held = holder(tmp_path / "runs" / "locks" / f"s0-{first.fingerprint}.lock")
    store = Store(tmp_path / "runs")
    try:
        for wait_s, words in ((0, "is held by"), (0.5, "after 0.5 s of waiting")):
            with (
                pytest.raises(Locked, match=f"process {held.pid} on {socket.gethostname()}") as caught,
                locks.hold(store.lock_path(first.artifact_id), wait_s=wait_s),
            ):
                pass
            assert words in caught.value.message
        assert caught.value.exit_code == 4
    finally:
        held.kill()
        held.wait()
    run_trivial(tmp_path / "runs", [1])  # kill -9 has freed it


@pytest.mark.parametrize("arguments", [["--no-wait"], ["--wait=0.3"]])
def test_the_command_ends_with_4_where_another_process_makes_a_stage(tiny_recipe, tmp_path, arguments):
    from mep.recipe import load_recipe
    from mep.runner.plan import make_plan

    runs = tmp_path / "runs"
    first = make_plan(load_recipe(tiny_recipe), Store(runs)).tasks[0]
    held = holder(runs / "locks" / f"{first.stage.name}-{first.fingerprint}.lock")
    try:
        done = CliRunner().invoke(main, ["--runs", str(runs), "run", *arguments, str(tiny_recipe)])
    finally:
        held.kill()
        held.wait()
    assert done.exit_code == 4
    assert f"process {held.pid} on {socket.gethostname()}" in done.stderr
    [row] = Store(runs).db.query("SELECT * FROM runs")
    assert state_of(row, Store(runs)) == "failed"


def test_wait_without_seconds_leaves_the_recipe_alone(tmp_path):
    done = CliRunner().invoke(main, ["run", "--wait", str(tmp_path / "absent.yaml")])
    assert done.exit_code == 2
    assert "absent.yaml" in done.stderr


def test_a_signal_ends_the_waiting(tmp_path):
    held = holder(tmp_path / "a.lock")

    def asked():
        raise Interrupted(signal.SIGTERM)

    try:
        with pytest.raises(Interrupted), locks.hold(tmp_path / "a.lock", while_waiting=asked):
            pass
    finally:
        held.kill()
        held.wait()


def test_a_forked_worker_that_outlives_its_parent_does_not_keep_the_lock(tmp_path):
    code = (
        "import os, sys, time; from pathlib import Path; from mep.store import locks\n"
        "with locks.hold(Path(sys.argv[1])):\n"
        "    if os.fork() == 0: print('held', flush=True); time.sleep(20); os._exit(0)\n"
        "    time.sleep(60)"
    )
    path = tmp_path / "a.lock"
    process = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE)
    process.stdout.readline()
    process.kill()
    process.wait()
    assert not locks.is_held(path)


def test_a_worker_forked_behind_pythons_back_is_recognised_and_named(tmp_path):
    path = tmp_path / "a.lock"
    code = (
        "import ctypes, os, sys, time; from pathlib import Path; from mep.store import locks\n"
        "with locks.hold(Path(sys.argv[1])):\n"
        "    child = ctypes.PyDLL(None).fork()\n"
        "    if child == 0: time.sleep(60); os._exit(0)\n"
        "    print(child, flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE)
    child = int(process.stdout.readline())
    process.kill()
    process.wait()
    try:
        assert locks.is_held(path)
        with pytest.raises(Locked) as caught, locks.hold(path, wait_s=0):
            pass
        assert f"process {child} on {socket.gethostname()}, left behind by process {process.pid}" in str(caught.value)
        assert f"kill {child}" in str(caught.value)
    finally:
        os.kill(child, signal.SIGKILL)
    deadline = time.monotonic() + 5
    while locks.is_held(path) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not locks.is_held(path)
