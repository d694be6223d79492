"""A real Ray cluster of two nodes on this machine: work is done once, whichever worker or node dies."""

import signal
import threading
import time
from functools import partial
from pathlib import Path

import psutil
import pytest
from generation_parts import contents, draw, images, model  # noqa: F401  (fixtures)
from ray_clusters import ray_cluster
from square_job import Square

import mep.machine.workers
from mep.errors import DataError, EnvironmentLacks, Interrupted
from mep.machine.engines.ray import Ray
from mep.methods.samplers.ddim import Ddim

ray = pytest.importorskip("ray")


@pytest.fixture(scope="module")
def cluster():
    """Two nodes of one core each; the second one may be killed."""
    with ray_cluster(n_cpus=1) as cluster:
        cluster.second = cluster.add(num_cpus=1)
        yield cluster


@pytest.fixture
def results(cluster):
    return partial(Ray(kind="ray", address=cluster.address).map_unordered, device="auto")


def actors():
    return [process for process in psutil.process_iter(["cmdline"]) if "ray::_Actor" in str(process.info["cmdline"])]


def test_every_item_is_done_once_by_workers_of_both_nodes(results, tmp_path):
    found = list(results(Square(tmp_path, seconds=0.2), range(20), stop=lambda: None))
    assert sorted(found) == [(number, number**2) for number in range(20)]
    assert len(list(tmp_path.iterdir())) == 2


def test_an_error_of_a_worker_arrives_with_its_hint(results, tmp_path):
    with pytest.raises(DataError, match="no such number") as caught:
        list(results(Square(tmp_path, fail_on=3), range(9), stop=lambda: None))
    assert caught.value.hint == "take another"


def test_a_stop_is_heard_while_the_workers_are_busy(results, tmp_path):
    began = time.monotonic()

    def stop():
        if list(tmp_path.iterdir()):
            raise Interrupted(signal.SIGTERM)

    with pytest.raises(Interrupted):
        list(results(Square(tmp_path, seconds=60), range(9), stop=stop))
    assert time.monotonic() - began < 30


def test_a_worker_of_another_version_is_refused_with_both(results, tmp_path, monkeypatch):
    ours = mep.machine.workers.versions() | {"torch": "1.13.1"}
    monkeypatch.setattr("mep.machine.workers.versions", lambda: ours)
    with pytest.raises(EnvironmentLacks, match=r"runs torch 2\.\S+, this process runs 1\.13\.1"):
        list(results(Square(tmp_path), range(9), stop=lambda: None))


def test_a_cluster_without_room_is_told_with_what_it_has(cluster, tmp_path):
    engine = Ray(kind="ray", address=cluster.address, actors=1, cpus_per_actor=64, connect_timeout_s=1)
    with pytest.raises(EnvironmentLacks, match="for 1 s: a worker takes 64 CPU; no node has 64 CPU ") as caught:
        list(engine.map_unordered(Square(tmp_path), range(9), device="cpu", stop=lambda: None))
    assert "raise machine.engine.connect_timeout_s" in caught.value.hint


def test_an_address_that_does_not_answer_is_tried_for_a_bounded_time():
    began = time.monotonic()
    engine = Ray(kind="ray", address="127.0.0.1:9", connect_timeout_s=1.5)
    with pytest.raises(EnvironmentLacks, match=r"no Ray cluster answers at 127\.0\.0\.1:9: tried for 2 s") as caught:
        next(engine.map_unordered(Square(Path()), range(9), device="cpu", stop=lambda: None))
    assert time.monotonic() - began < 5
    assert "ray start --head --port=6379" in caught.value.hint
    assert caught.value.exit_code == 3


def test_a_dataset_is_whole_after_a_worker_and_then_a_node_were_killed_while_drawing(cluster, draw, tmp_path):
    settings = {"n": 30, "sampler": Ddim(kind="ddim", steps=15, eta=0.5)}
    journal, killed = tmp_path / "wounded" / "drawn.jsonl", []

    def drawn():
        return journal.read_bytes().count(b"\n") if journal.exists() else 0

    def kill():
        while drawn() < 8:
            time.sleep(0.02)
        victim = actors()[0]
        victim.send_signal(signal.SIGKILL)
        killed.append(drawn())
        while drawn() < 24:
            time.sleep(0.02)
        cluster.remove_node(cluster.second, allow_graceful=False)
        killed.append(drawn())

    killer = threading.Thread(target=kill)
    killer.start()
    wounded = draw(tmp_path / "wounded", engine=Ray(kind="ray", address=cluster.address), **settings)
    killer.join()
    assert 8 <= killed[0] < killed[1] < 60  # both died in the middle
    assert journal.read_bytes().count(b"\n") == 60  # every sample was committed once
    assert contents(wounded.folder) == contents(draw(tmp_path / "whole", **settings).folder)
