"""What disks, clocks, memory and people do to a store: told plainly, with a next step, and nothing is lost."""

import os
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from trivial import FAILS, plan_trivial, run_trivial

from mep.cli.main import main
from mep.errors import EnvironmentLacks, IntegrityError, Interrupted, Locked
from mep.runner.verify import check_artifacts, check_database
from mep.store import Store, manifest
from mep.store.rebuild import rebuild
from mep.store.runs import find_run, state_of

SCRIPT = Path(__file__).with_name("trivial.py")
N_CORRUPTIONS = 200


def mep(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def mount(*arguments):
    done = subprocess.run(["mount", *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"this user may not mount: {done.stderr.strip()}")


@pytest.fixture
def small_disk(tmp_path):
    """A file system of three megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount("-t", "tmpfs", "-o", "size=3m", "tmpfs", folder)
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def files(store):
    return {
        path.relative_to(store.root).as_posix(): path.read_bytes()
        for path in sorted((store.root / "store").rglob("*"))
        if path.is_file() and path.name not in manifest.MARKS
    }


def test_a_full_disk_is_told_the_store_stays_whole_and_more_room_is_all_it_takes(small_disk, tmp_path):
    runs = small_disk / "runs"
    with pytest.raises(EnvironmentLacks, match="no space left") as caught:
        run_trivial(runs, range(4), n_bytes=200_000)
    assert "mep gc" in caught.value.hint
    store = Store(runs)
    assert check_database(store) == check_artifacts(store) == []
    assert state_of(find_run(store, None), store) in ("failed", "interrupted")
    subprocess.run(["mount", "-o", "remount,size=64m", small_disk], check=True)
    run_trivial(runs, range(4), n_bytes=200_000)
    assert state_of(find_run(Store(runs), None), store) == "done"
    run_trivial(tmp_path / "elsewhere", range(4), n_bytes=200_000)
    assert files(Store(runs)) == files(Store(tmp_path / "elsewhere"))


def test_a_file_larger_than_the_system_allows_is_told(tmp_path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, before[1]))
    try:
        with pytest.raises(EnvironmentLacks, match="would be larger than this system allows"):
            run_trivial(tmp_path, [1], n_bytes=3_000_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert check_artifacts(Store(tmp_path)) == []
    run_trivial(tmp_path, [1], n_bytes=3_000_000)
    assert state_of(find_run(Store(tmp_path), None), Store(tmp_path)) == "done"


def test_a_read_only_store_can_be_looked_at_but_not_run_in(tmp_path):
    runs = tmp_path / "runs"
    run_trivial(runs, [1])
    mount("--bind", runs, runs)
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", runs], check=True)
        with pytest.raises(EnvironmentLacks, match="cannot be written"):
            run_trivial(runs, [2], name="second")
        assert mep("--runs", runs, "ls").exit_code == 0
        assert mep("--runs", runs, "verify").exit_code == 0
        assert "cannot be written" in mep("--runs", runs, "db", "rebuild").stderr
    finally:
        subprocess.run(["umount", "--lazy", runs], check=True)


def flip(path, rng):
    content = bytearray(path.read_bytes())
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    path.write_bytes(content)


def flip_unnoticed(path, rng):
    """As a failing disk does it: neither size nor time tell."""
    written_at = path.stat().st_mtime_ns
    flip(path, rng)
    os.utime(path, ns=(written_at, written_at))


def truncate(path, rng):
    os.truncate(path, rng.randrange(path.stat().st_size))


def delete(path, rng):
    path.unlink()


DAMAGES = (flip, flip_unnoticed, truncate, delete)


def test_every_one_of_200_corruptions_is_found_by_verify(tmp_path):
    run_trivial(tmp_path / "runs", range(6), n_bytes=100)
    store, rng = Store(tmp_path / "runs"), random.Random(1)
    everything = sorted(path for path in (store.root / "store").rglob("*") if path.is_file())
    missed = []
    for number in range(N_CORRUPTIONS):
        path, damage = rng.choice(everything), DAMAGES[number % len(DAMAGES)]
        name = "/".join(path.relative_to(store.root / "store").parts[:2])
        status, content = path.stat(), path.read_bytes()
        damage(path, rng)
        found = check_artifacts(store, [name])
        missed += [] if found and all(one.place.startswith(name) for one in found) else [(path, damage)]
        path.write_bytes(content)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        (store.root / "store" / name / manifest.DAMAGED).unlink(missing_ok=True)
    assert missed == []
    assert check_artifacts(store) == []


def test_what_verify_finds_and_what_any_look_shows_is_made_again_by_the_next_run(tmp_path):
    run_trivial(tmp_path / "runs", range(6), n_bytes=100)
    store, rng = Store(tmp_path / "runs"), random.Random(2)
    good = files(store)
    names = store.committed()
    for number, name in enumerate(rng.sample(names, 24)):
        DAMAGES[number % 4](rng.choice(sorted((store.root / "store" / name).iterdir())), rng)
    done = mep("--runs", store.root, "verify")
    assert done.exit_code == 5
    assert "24 bad" in done.stderr
    run_trivial(store.root, range(6), name="again", n_bytes=100)
    assert files(store) == good
    assert mep("--runs", store.root, "verify").exit_code == 0

    shutil.rmtree(store.root / "store" / names[0])  # a whole artifact
    delete(store.root / "store" / names[1] / "value.json", rng)
    flip(store.root / "store" / names[2] / manifest.NAME, rng)
    run_trivial(store.root, range(6), name="once more", n_bytes=100)
    assert files(store) == good


def test_a_file_that_does_not_belong_to_an_artifact_is_told_and_nothing_is_thrown_away(tmp_path):
    run_trivial(tmp_path, [1])
    store = Store(tmp_path)
    (store.root / "store" / store.committed()[0] / "notes.txt").write_text("mine")
    [found] = check_artifacts(store)
    assert found.problem == "is not part of the artifact"
    assert store.has(store.committed()[0])


TABLES = ("runs", "arms", "parameters", "environments", "packages", "sessions", "uses", "events", "pins")
TABLES += ("artifacts", "inputs", "scores", "attempts")


def everything_in(db):
    """Every row of every table; attempts are known by their number within the run."""
    return {
        table: sorted(
            str({name: value for name, value in row.items() if name != "attempt_id"})
            for row in db.query(f"SELECT * FROM {table}")
        )
        for table in TABLES
    }


def test_a_database_made_anew_equals_the_one_that_was_there(tiny_recipe, tmp_path):
    runs = tmp_path / "runs"
    assert mep("--runs", runs, "run", tiny_recipe).exit_code == 0
    assert mep("--runs", runs, "run", tiny_recipe, "--set", "clustering.method.k=99").exit_code == 1  # a failed one
    assert mep("--runs", runs, "run", tiny_recipe, "--set", "generation.guidance=2").exit_code == 0
    first = find_run(Store(runs), None)["run_id"]
    assert mep("--runs", runs, "pin", first, "--note", "for the paper").exit_code == 0
    live = everything_in(Store(runs).db)
    assert all(live.values())

    (runs / "mep.db").unlink()
    for command in (["ls"], ["run", tiny_recipe]):
        refused = mep("--runs", runs, *command)
        assert refused.exit_code == 5
        assert "mep db rebuild" in refused.stderr
    done = mep("--runs", runs, "db", "rebuild")
    assert done.exit_code == 0, done.output
    assert "3 runs" in done.stdout
    assert everything_in(Store(runs).db) == live
    assert tables_of(runs / "mep.db") == set(TABLES) | {"file_hashes"}


def tables_of(path):
    """Whoever adds a table tells `mep db rebuild` where its rows come from, and this test."""
    with sqlite3.connect(path) as connection:
        rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
        return {name for (name,) in rows}


def test_a_damaged_database_is_told_and_made_anew_beside_the_old_one(tmp_path):
    run_trivial(tmp_path, [1])
    live = everything_in(Store(tmp_path).db)
    (tmp_path / "mep.db").write_bytes(b"this is no database" * 500)
    with pytest.raises(IntegrityError, match="is damaged") as caught:
        Store(tmp_path).db.query("SELECT * FROM runs")
    assert "mep db rebuild" in caught.value.hint
    rebuild(Store(tmp_path))
    assert everything_in(Store(tmp_path).db) == live
    assert (tmp_path / "mep.db.old").read_bytes().startswith(b"this is no database")


def test_a_row_that_was_changed_by_hand_is_found(tmp_path):
    run_trivial(tmp_path, [1])
    with sqlite3.connect(tmp_path / "mep.db") as connection:
        connection.execute("UPDATE artifacts SET n_bytes = 1 WHERE stage = 's3'")
    [found] = check_artifacts(Store(tmp_path))
    assert found.problem == "the database says otherwise about its n_bytes"
    rebuild(Store(tmp_path))
    assert check_artifacts(Store(tmp_path)) == []


def test_a_locked_database_is_told_after_a_while(tmp_path, monkeypatch):
    run_trivial(tmp_path, [1])
    monkeypatch.setattr("mep.store.database.BUSY_S", 0.2)
    browser = sqlite3.connect(tmp_path / "mep.db", isolation_level=None)
    browser.execute("BEGIN EXCLUSIVE")
    try:
        with pytest.raises(Locked, match="locked by another program") as caught:
            run_trivial(tmp_path, [2], name="second")
    finally:
        browser.rollback()
    assert caught.value.exit_code == 4


def test_a_clock_that_goes_back_an_hour_neither_hides_the_new_run_nor_gives_it_a_negative_age(tmp_path, monkeypatch):
    run_trivial(tmp_path, [1], name="first")
    monkeypatch.setattr("mep.store.journal.now", lambda: "2001-01-01T00:00:00.000Z")
    monkeypatch.setattr("mep.runner.session.now", lambda: "2001-01-01T00:00:00.000Z")
    run_trivial(tmp_path, [2], name="second")
    store = Store(tmp_path)
    last = find_run(store, None)
    assert last["run_id"] == "second"
    assert last["ended_at"] >= last["started_at"] >= find_run(store, "first")["started_at"]
    assert store.db.query("SELECT kind FROM events WHERE run_id = 'second' AND kind = 'clock'") == [{"kind": "clock"}]


@pytest.mark.parametrize(("fails", "words"), [("memory", "Unable to allocate"), ("worker", "terminated abruptly")])
def test_too_little_memory_is_told_with_what_to_lower_and_the_arm_that_failed(tmp_path, monkeypatch, fails, words):
    monkeypatch.setenv(FAILS, fails)
    with pytest.raises(EnvironmentLacks, match=f"stage s0: out of memory: .*{words}") as caught:
        run_trivial(tmp_path, [1, 2])
    assert "machine.batch_size" in caught.value.hint
    store = Store(tmp_path)
    [row] = store.db.query("SELECT state, arms, error FROM attempts")
    assert (row["state"], row["arms"]) == ("failed", '["arm1", "arm2"]')
    assert "out of memory" in row["error"]
    assert check_artifacts(store) == check_database(store) == []


def test_a_resume_says_whether_it_was_exact_and_if_not_what_was_different(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setenv(FAILS, "memory")
        for _ in range(2):  # every time, a file of unfinished work is left behind
            with pytest.raises(EnvironmentLacks):
                run_trivial(tmp_path, [1])
    run_trivial(tmp_path, [1], machine={"batch_size": 32})
    store = Store(tmp_path)
    attempts = store.db.query(
        "SELECT session, state, resume FROM attempts WHERE artifact_id LIKE 's0/%' ORDER BY number"
    )
    assert [(row["session"], row["state"], row["resume"]) for row in attempts] == [
        (1, "failed", ""),
        (2, "failed", "exact"),
        (3, "done", "not exact: machine.batch_size 64 -> 32"),
    ]
    made = store.manifest(plan_trivial(store, [1]).tasks[0].artifact_id)
    assert made["resume"] == "not exact: machine.batch_size 64 -> 32"


def terminate_while_a_stage_runs(root):
    """Send this process SIGTERM as soon as the log of a run says that a stage began."""

    def wait_and_terminate():
        deadline = time.monotonic() + 60
        while not any("starts" in log.read_text() for log in root.glob("*/log.txt")) and time.monotonic() < deadline:
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait_and_terminate, daemon=True).start()


def test_a_stage_that_does_not_look_is_left_after_a_while_and_the_run_goes_on_later(tmp_path, monkeypatch):
    monkeypatch.setattr("mep.runner.signals.GRACE_S", 0.3)
    terminate_while_a_stage_runs(tmp_path)
    started = time.monotonic()
    with pytest.raises(Interrupted) as caught:
        run_trivial(tmp_path, [1], sleep_s=30)
    assert time.monotonic() - started < 20  # the stage would sleep for 30 s
    assert caught.value.exit_code == 143
    store = Store(tmp_path)
    assert store.db.query("SELECT state FROM attempts") == [{"state": "interrupted"}]
    assert find_run(store, None)["state"] == "interrupted"
    assert plan_trivial(store, [1], sleep_s=30).tasks[0].status == "run"


def test_a_stage_that_wraps_the_interruption_was_interrupted_all_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr("mep.runner.signals.GRACE_S", 0.3)
    monkeypatch.setenv(FAILS, "wrap")
    terminate_while_a_stage_runs(tmp_path)
    with pytest.raises(Interrupted):
        run_trivial(tmp_path, [1])
    assert Store(tmp_path).db.query("SELECT state, error FROM attempts") == [{"state": "interrupted", "error": ""}]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_second_signal_stops_at_once(tmp_path, number, code):
    process = subprocess.Popen([sys.executable, str(SCRIPT), str(tmp_path), "60", "1"])
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("*/log.txt")) or "starts" not in next(tmp_path.glob("*/log.txt")).read_text():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(number)
    time.sleep(0.2)
    assert process.poll() is None
    process.send_signal(number)
    assert process.wait(timeout=2) == code
    store = Store(tmp_path)
    assert state_of(find_run(store, None), store) == "interrupted"
