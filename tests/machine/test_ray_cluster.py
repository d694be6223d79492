"""A real Ray cluster that is too small at first, whose nodes then say that they have GPUs; ranks that are lost."""

import os
import signal
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
from ray_clusters import ray_cluster
from square_job import Square

from mep.errors import DataError, EnvironmentLacks, Interrupted
from mep.machine.engines.ray import Ray
from mep.machine.jobs import Job

ray = pytest.importorskip("ray")
GB = 1_000_000_000


@pytest.fixture(scope="module")
def cluster():
    """A head without cores for work; tests add nodes."""
    with pytest.MonkeyPatch.context() as patch, ray_cluster() as cluster:
        patch.setattr("mep.machine.ray_cluster.SAY_AFTER_S", 0.5)
        yield cluster


def engine(cluster, **settings):
    return Ray(kind="ray", address=cluster.address, **settings)


def test_work_says_what_it_waits_for_and_goes_on_at_a_node_that_joins(cluster, tmp_path):
    said = []

    def say(text):
        said.append(text)
        if len(said) == 1:
            cluster.add(num_cpus=2, memory=2 * GB)

    patient = engine(cluster, actors=1, cpus_per_actor=2, memory_gb=2, connect_timeout_s=60)
    found = list(patient.map_unordered(Square(tmp_path), range(3), device="cpu", stop=lambda: None, say=say))
    assert sorted(found) == [(0, 0), (1, 1), (2, 4)]
    assert said[0].startswith("for room: a worker takes 2 CPU and 2 GB of memory; no node has 2 CPU (nodes: 1; waits 5")


def test_a_gpu_that_no_node_has_is_named_and_not_what_is_there(cluster, tmp_path):
    impatient = engine(cluster, actors=1, connect_timeout_s=1)
    with pytest.raises(EnvironmentLacks, match=r"a worker takes 1 GPU and 1 CPU; no node has 1 GPU \(nodes: \d\)$"):
        list(impatient.map_unordered(Square(tmp_path), range(3), device="cuda", stop=lambda: None))


@dataclass(frozen=True)
class Meet(Job):
    """Workers note where they are; none goes on before so many are at work."""

    notes: Path
    n: int
    whole_gpu: bool = False

    def prepare(self, device):
        node, gpu = ray.get_runtime_context().get_node_id(), os.environ["CUDA_VISIBLE_DEVICES"]
        (self.notes / f"{os.getpid()}").write_text(f"{node} {gpu} {device}")
        return self.compute

    def compute(self, number):
        while len(list(self.notes.iterdir())) < self.n:
            time.sleep(0.05)
        return number


def test_parts_of_gpus_and_memory_are_shared_out_as_they_are_asked_for(cluster, tmp_path):
    small = cluster.add(num_cpus=4, num_gpus=1, memory=1 * GB)
    large = cluster.add(num_cpus=4, num_gpus=1, memory=9 * GB)
    halves = engine(cluster, gpu_share=0.5, memory_gb=1)
    list(halves.map_unordered(Meet(tmp_path, 3), range(20), device="auto", stop=lambda: None))
    places = Counter(path.read_text() for path in tmp_path.iterdir())
    assert places == {f"{small.node_id} 0 cuda": 1, f"{large.node_id} 0 cuda": 2}  # one of 1 GB; two halves of a GPU


def test_what_needs_a_whole_gpu_has_one(cluster, tmp_path):
    halves = engine(cluster, gpu_share=0.5)
    list(halves.map_unordered(Meet(tmp_path, 2, whole_gpu=True), range(20), device="auto", stop=lambda: None))
    assert sorted(Counter(path.read_text() for path in tmp_path.iterdir()).values()) == [1, 1]


@dataclass(frozen=True)
class Rank(Job):
    """Once all are at work one of the ranks dies or fails."""

    notes: Path
    deaths: int = 0
    error: Exception | None = None

    def prepare(self, device):
        return self.compute

    def compute(self, item):
        rank = os.environ["RANK"]
        (self.notes / f"rank{rank}-{os.getpid()}").touch()
        while {path.name[:5] for path in self.notes.glob("rank*")} != {"rank0", "rank1"}:
            time.sleep(0.05)
        if rank == "1" and self.error:
            raise self.error
        if rank == "1" and len(list(self.notes.glob("died*"))) < self.deaths:
            (self.notes / f"died-{os.getpid()}").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(600)  # as one that waits for what its peer has to say


@pytest.fixture
def together(cluster):
    """The engine of two ranks on one node, and what it says: of each item of a job, what comes of it."""
    said = []
    two = engine(cluster, training_processes=2, training_placement="strict_pack", connect_timeout_s=60)

    def compute(job, items=("item",), n=1):
        calls = {"device": "cpu", "look": lambda is_busy: None, "say": lambda *what: said.append(what)}
        return dict(two.map_together(job, iter(items), n, **calls))

    return compute, said


def test_a_rank_that_dies_each_time_is_given_up(together, tmp_path, monkeypatch):
    monkeypatch.setattr("mep.machine.ray_ranks.MAX_DEATHS", 2)
    given_up = together[0](Rank(tmp_path, deaths=9))[0]
    assert isinstance(given_up, EnvironmentLacks)
    assert given_up.message == "2 times, rank 1 was lost: ActorDiedError"
    assert "memory is short" in given_up.hint


@pytest.mark.parametrize("error", [DataError("no such image"), Interrupted(15)])
def test_an_error_of_a_rank_arrives_while_its_peers_wait(together, tmp_path, monkeypatch, error):
    monkeypatch.setattr("mep.machine.ray_team.SETTLE_S", 1)
    found = together[0](Rank(tmp_path, error=error))[0]
    assert (type(found), found.message) == (type(error), error.message)


@dataclass(frozen=True)
class Meeting(Job):
    """Ranks that add up over the group of their own; the first two teams wait for each other, and one loses a rank."""

    notes: Path

    def prepare(self, device):
        return self.compute

    def compute(self, item):
        import torch
        from torch import distributed

        rank = os.environ["RANK"]
        (self.notes / f"{item}-{rank}-{os.getpid()}").touch()
        while {path.name[0] for path in self.notes.iterdir()} < {"1", "2"}:
            time.sleep(0.05)
        if (item, rank) == (2, "1") and len(list(self.notes.glob("2-1-*"))) == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        distributed.init_process_group("gloo")
        total = torch.tensor(item)
        distributed.all_reduce(total)
        distributed.destroy_process_group()
        names = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
        return int(total), *(os.environ[name] for name in names)


def test_teams_meet_as_torchrun_has_it_side_by_side_and_one_that_loses_a_rank_disturbs_no_other(together, tmp_path):
    compute, said = together
    found = compute(Meeting(tmp_path), items=(1, 2, 3), n=2)
    address = ray.util.get_node_ip_address()
    assert {number: end[:-1] for number, end in found.items()} == {
        number: (2 * item, "0", "0", "2", "1", address) for number, item in enumerate((1, 2, 3))
    }
    assert len({end[-1] for end in found.values()}) == 3  # a port each
    assert Counter(path.name[0] for path in tmp_path.iterdir()) == {"1": 2, "2": 4, "3": 2}
    assert ("for 2 ranks to begin again where they can go on: rank 1 was lost: ActorDiedError", 1) in said
