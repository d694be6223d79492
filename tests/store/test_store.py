import gc
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time

import numpy as np
import pytest

from mep.artifacts import Embeddings, Scores
from mep.artifacts.score_row import ScoreRow
from mep.config import Config
from mep.errors import IntegrityError, Locked
from mep.runner.verify import check_artifacts
from mep.store import Store, locks
from mep.store.database import Database, migrations

INGREDIENTS = {"stage": "embedding", "version": 1, "config": {}, "externals": [], "inputs": {"images": "dataset/d"}}


def vectors(n=4):
    return Embeddings([str(row) for row in range(n)], np.arange(n * 3, dtype=np.float32).reshape(n, 3))


def publish(store, fingerprint="f1", artifact=None, stage="embedding"):
    out = store.work_folder(f"{stage}/{fingerprint}") / "out"
    out.mkdir(parents=True)
    artifact = artifact or vectors()
    artifact.save(out)
    store.publish(INGREDIENTS | {"stage": stage}, fingerprint, artifact, out, {"made_by": "run-1"})


def test_what_is_published_is_loaded_and_recorded(tmp_path):
    store = Store(tmp_path)
    publish(store)
    loaded = store.load(Embeddings, "embedding/f1", Config())
    assert np.array_equal(loaded.vectors, vectors().vectors)
    row = store.db.query("SELECT * FROM artifacts")[0]
    assert (row["artifact_id"], row["n_files"], row["made_by"]) == ("embedding/f1", 3, "run-1")
    assert store.db.query("SELECT role, input_id FROM inputs") == [{"role": "images", "input_id": "dataset/d"}]
    assert not store.work_folder("embedding/f1").exists()


def test_a_file_that_a_kill_left_half_written_is_not_published(tmp_path):
    store = Store(tmp_path)
    out = store.work_folder("embedding/f1") / "out"
    out.mkdir(parents=True)
    (out / ".ids.json.123.tmp").write_text("hal")
    vectors().save(out)
    store.publish(INGREDIENTS, "f1", vectors(), out, {"made_by": "run-1"})
    assert store.has("embedding/f1")
    assert not list(store.folder("embedding/f1").rglob("*.tmp"))


def test_the_first_committer_wins(tmp_path):
    store = Store(tmp_path)
    publish(store)
    publish(store, artifact=vectors(9))
    assert len(store.load(Embeddings, "embedding/f1", Config()).ids) == 4
    assert len(store.db.query("SELECT * FROM artifacts")) == 1


def test_a_truncated_file_makes_an_artifact_absent_and_a_new_one_replaces_it(tmp_path):
    store = Store(tmp_path)
    publish(store)
    path = store.folder("embedding/f1") / "vectors.npy"
    path.write_bytes(path.read_bytes()[:-1])
    assert not store.has("embedding/f1")
    publish(store)
    assert store.has("embedding/f1")


def test_a_flipped_bit_is_found_by_content(tmp_path):
    store = Store(tmp_path)
    publish(store)
    path = store.folder("embedding/f1") / "vectors.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    written_at = path.stat().st_mtime_ns
    path.write_bytes(content)
    assert not store.has("embedding/f1")
    os.utime(path, ns=(written_at, written_at))  # as a failing disk would do it
    assert store.has("embedding/f1")
    assert "embedding/f1/vectors.npy" in [mismatch.place for mismatch in check_artifacts(store, ["embedding/f1"])]


def test_a_file_with_another_time_and_the_same_content_is_still_good(tmp_path):
    store = Store(tmp_path)
    publish(store)
    os.utime(store.folder("embedding/f1") / "vectors.npy")
    assert store.has("embedding/f1")


def test_an_artifact_committed_but_not_recorded_rolls_forward(tmp_path):
    store = Store(tmp_path)
    row = {"metric": "fd", "subject": "samples", "value": 1.5, "se": None, "better": "lower", "reference": "heldout"}
    row |= {"n_real": 2, "n_fake": 2, "extractor": "random_conv", "seed": 0}
    publish(store, "m1", Scores([ScoreRow.from_json(row)], np.zeros((1, 40))), stage="metrics")
    with store.db.write() as db:
        db.table("artifacts").delete_where()
    assert store.db.query("SELECT * FROM scores") == []
    assert Store(tmp_path).roll_forward() == ["metrics/m1"]
    assert store.db.query("SELECT metric, value FROM scores") == [{"metric": "fd", "value": 1.5}]
    assert Store(tmp_path).roll_forward() == []


def test_a_file_is_hashed_once_until_it_changes(tmp_path, monkeypatch):
    import mep.store

    path = tmp_path / "image.png"
    path.write_bytes(b"one")
    store = Store(tmp_path / "runs")
    first = store.hashes.of(path)
    store.hashes.save()
    monkeypatch.setattr(mep.store.hashes, "sha256_of", lambda path: "hashed again")
    assert Store(tmp_path / "runs").hashes.of(path) == first
    path.write_bytes(b"two!")
    assert Store(tmp_path / "runs").hashes.of(path) == "hashed again"


def test_a_failed_write_changes_nothing(tmp_path):
    db = Database(tmp_path / "mep.db")
    row = {"path": "a", "size": 1, "mtime_ns": 1, "sha256": "x"}

    def write_twice():
        with db.write() as inside:
            inside.table("file_hashes").insert(row)
            inside.table("file_hashes").insert(row)

    with pytest.raises(sqlite3.IntegrityError):
        write_twice()
    assert db.query("SELECT * FROM file_hashes") == []


@pytest.mark.parametrize("version", range(1, len(migrations()) + 1))
def test_a_database_of_every_format_is_migrated_and_keeps_its_rows(tmp_path, version):
    with sqlite3.connect(tmp_path / "mep.db") as connection:
        for script in migrations()[:version]:
            connection.executescript(script)
        connection.execute(f"PRAGMA user_version = {version}")
        run = ("r", "tiny", "tiny.yaml", "0" * 64, "done", "2026-01-01T00:00:00+00:00", "host", 1, "{}")
        columns = "run_id, name, recipe_file, recipe_sha256, state, started_at, host, pid, environment"
        connection.execute(f"INSERT INTO runs ({columns}) VALUES ({', '.join('?' * len(run))})", run)
        attempt = ("r", "training/0", "first time", "done", run[5])
        connection.execute(
            "INSERT INTO attempts (run_id, artifact_id, why, state, started_at) VALUES (?, ?, ?, ?, ?)", attempt
        )
    db = Database(tmp_path / "mep.db")
    assert db.query("PRAGMA user_version") == [{"user_version": len(migrations())}]
    assert db.query(f"SELECT {columns} FROM runs") == [dict(zip(columns.split(", "), run, strict=True))]
    assert db.query("SELECT stage, state FROM stage_costs") == [{"stage": "training", "state": "done"}]
    assert db.query("PRAGMA foreign_key_check") == []


def test_a_newer_database_is_refused(tmp_path):
    Database(tmp_path / "mep.db").close()
    with sqlite3.connect(tmp_path / "mep.db") as connection:
        connection.execute(f"PRAGMA user_version = {len(migrations()) + 1}")
    with pytest.raises(IntegrityError, match="newer mep"):
        Database(tmp_path / "mep.db")


def test_two_processes_can_write_at_once(tmp_path):
    Database(tmp_path / "mep.db").close()
    code = (
        "import sys; from pathlib import Path; from mep.store.database import Database\n"
        "db = Database(Path(sys.argv[1]))\n"
        "for n in range(20):\n"
        "    with db.write() as inside: inside.table('file_hashes').insert("
        "{'path': sys.argv[2] + str(n), 'size': 1, 'mtime_ns': 1, 'sha256': 'x'})"
    )
    writers = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "mep.db"), name]) for name in "abc"]
    assert [writer.wait(timeout=60) for writer in writers] == [0, 0, 0]
    assert Database(tmp_path / "mep.db").query("SELECT count(*) AS n FROM file_hashes") == [{"n": 60}]


def test_the_schema_file_is_fresh():
    from small_data import REPOSITORY

    assert (REPOSITORY / "schemas" / "mep.sql").read_text() == "\n".join(migrations())


def test_a_lock_is_freed_by_kill_9_and_names_its_holder(tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from mep.store import locks\n"
        "with locks.hold(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    )
    path = tmp_path / "a.lock"
    process = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"held\n"
    assert locks.is_held(path)
    with pytest.raises(Locked, match=f"process {process.pid} on"), locks.hold(path, wait_s=0):
        pass
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not locks.is_held(path)
    with locks.hold(path, wait_s=0):
        assert json.loads(path.read_text())["pid"] == os.getpid()


def test_who_waits_for_a_lock_hears_who_holds_it_and_goes_on(tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from mep.store import locks\n"
        "with locks.hold(Path(sys.argv[1])): print('held', flush=True); time.sleep(0.5)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "a.lock")], stdout=subprocess.PIPE)
    process.stdout.readline()
    heard, started = [], time.monotonic()
    with locks.hold(tmp_path / "a.lock", on_wait=heard.append):
        assert time.monotonic() - started > 0.2
    assert heard == [f"process {process.pid} on {os.uname().nodename}"]
    process.wait()


def test_opening_the_database_loads_no_pandas_and_leaves_it_to_be_loaded(tmp_path):
    code = """import sys; from pathlib import Path; from mep.store.database import Database
Database(Path(sys.argv[1])); found = "pandas" in sys.modules
import pandas; print(found, hasattr(pandas, "DataFrame"))"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "mep.db")], capture_output=True, text=True)
    assert done.stdout.split() == ["False", "True"], done.stderr


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="/proc says which files are open")
def test_a_store_that_nobody_uses_any_more_has_no_file_open(tmp_path):
    def opened():
        return [path for path in map(os.path.realpath, os.scandir("/proc/self/fd")) if path.startswith(str(tmp_path))]

    gc.disable()
    try:
        store = Store(tmp_path / "runs")
        assert store.db.query("SELECT * FROM runs") == []
        assert len(opened()) == 1
        del store
        assert opened() == []
    finally:
        gc.enable()
