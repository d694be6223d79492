"""Work is done once, whoever does it and whoever dies."""

import os
import signal
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from machines import FakeEngine, machine
from square_job import Square

from mep.errors import DataError, EnvironmentLacks, Interrupted
from mep.machine.engines.local import Local
from mep.machine.jobs import Job
from mep.machine.shards import Shards
from mep.machine.work import Work
from mep.machine.workers import Leases, check_versions, share_cores, versions


def results(engine, job, n=9, stop=lambda: None):
    return list(engine.map_unordered(job, range(n), device="cpu", stop=stop))


def local(processes):
    return Local(kind="local", processes=processes)


@pytest.mark.parametrize("processes", [1, 2])
def test_every_item_is_done_once(processes, tmp_path):
    found = results(local(processes), Square(tmp_path, seconds=0.1 * (processes - 1)))
    assert sorted(found) == [(number, number**2) for number in range(9)]
    assert len(list(tmp_path.iterdir())) == processes


def test_processes_are_pinned_to_cores_of_their_own(tmp_path):
    results(local(2), Square(tmp_path, seconds=0.1))
    parts = share_cores(2)
    expected = sorted(f"{list(part)} {len(part)}" for part in parts)
    assert sorted(path.read_text() for path in tmp_path.iterdir()) == expected


def test_a_worker_that_is_killed_is_replaced_and_its_item_done_by_another(tmp_path):
    found = results(local(2), Square(tmp_path, die_on=4))
    assert sorted(found) == [(number, number**2) for number in range(9)]
    assert len(list(tmp_path.glob("died*"))) == 1


def test_an_item_that_kills_every_worker_ends_the_work_with_a_hint(tmp_path):
    with pytest.raises(EnvironmentLacks, match=r"3 workers died on the same .* killed by signal 9") as caught:
        results(local(2), Square(tmp_path, die_on=4, deaths=9))
    assert "batch_size" in caught.value.hint


@pytest.mark.parametrize("processes", [1, 2])
def test_an_error_of_a_worker_arrives_with_its_hint(processes, tmp_path):
    with pytest.raises(DataError, match="no such number") as caught:
        results(local(processes), Square(tmp_path, fail_on=3))
    assert caught.value.hint == "take another"


@pytest.mark.parametrize("processes", [1, 2])
def test_a_stop_ends_the_work_and_the_workers(processes, tmp_path):
    began = time.monotonic()

    def stop():
        if time.monotonic() - began > 0.5:
            raise Interrupted(signal.SIGTERM)

    with pytest.raises(Interrupted):
        results(local(processes), Square(tmp_path, seconds=0.05), n=1000, stop=stop)
    pids = [int(path.name) for path in tmp_path.iterdir() if path.name.isdigit()]
    assert [pid for pid in pids if pid != os.getpid() and Path(f"/proc/{pid}").exists()] == []


def test_workers_hold_two_items_and_more_are_taken_only_when_one_is_done():
    taken = []
    leases = Leases(taken.append(number) or number for number in range(100))
    assert [leases.take("a"), leases.take("a"), leases.take("a"), leases.take("b")] == [(0, 0), (1, 1), None, (2, 2)]
    assert taken == [0, 1, 2]
    leases.done("a", 0)
    leases.lost("a", "died")
    assert leases.take("b") == (1, 1)  # what the dead one held comes first


@dataclass(frozen=True)
class Double(Job):
    def prepare(self, device):
        return lambda rows: 2 * np.asarray(rows)


def test_shards_of_a_job_come_back_in_order_and_are_kept(tmp_path):
    def backwards(job, items, stop):
        return reversed(list(enumerate(map(job.prepare("cpu"), items))))

    rows = Shards(
        Work(folder=tmp_path, machine=machine(engine=FakeEngine(backwards))), "rows", range(10), 4
    ).map_unordered(Double())
    assert rows.tolist() == [2 * number for number in range(10)]
    kept = Shards(Work(folder=tmp_path), "rows", range(10), 4).map(lambda rows: 1 / 0)
    assert kept.tolist() == rows.tolist()


def test_a_worker_of_another_version_is_refused_with_both_versions():
    with pytest.raises(EnvironmentLacks, match=r"worker on node7 runs torch 1\.13, this process runs \d"):
        check_versions(versions() | {"torch": "1.13"}, "node7")


def test_a_device_that_is_not_there_is_told_before_any_work():
    with pytest.raises(EnvironmentLacks, match="torch sees 0 CUDA devices"):
        Local(kind="local").slots("cuda:1")


def test_processes_measure_what_one_does_and_only_shards_that_are_missing(imagefolder, tmp_path, monkeypatch):
    from mep.artifacts.reading import Reader
    from mep.machine import shards
    from mep.methods.detectors.hsv import MeasureFeatures
    from mep.methods.sources.imagefolder import ImageFolder
    from mep.stages.dataset.scan import Scan

    (imagefolder / "broken.png").write_bytes(b"no image")
    source = ImageFolder(kind="imagefolder", path=imagefolder)
    ids = sorted(path.name for path in imagefolder.glob("*.png"))
    measured = []

    def spy(job, items, stop):
        measured.extend(one for piece in items for one in piece)
        return Local(kind="local", workers=2).map_cpu(job, items, stop=stop)

    monkeypatch.setattr(shards, "PIECE", 3)
    here, there = (
        Work(folder=tmp_path / "1"),
        Work(folder=tmp_path / "2", machine=machine(engine=FakeEngine(map_cpu=spy))),
    )
    one = Shards(here, "scan", ids, 30).map_cpu(Scan(source))
    assert one.tolist() == Shards(there, "scan", ids, 30).map_cpu(Scan(source)).tolist()
    assert one["error"][ids.index("broken.png")] == b"cannot identify image file"
    assert len(set(one["sha256"])) == len(ids) == len(measured)
    (tmp_path / "2" / "scan" / "000000030.npy").unlink()
    measured.clear()
    assert Shards(there, "scan", ids, 30).map_cpu(Scan(source)).tolist() == one.tolist()
    assert measured == ids[30:]
    whole = [name for name in ids if name != "broken.png"]
    features = [Shards(work, "features", whole).map_cpu(MeasureFeatures(Reader(source))) for work in (here, there)]
    assert features[0].shape == (40, 9)
    assert np.array_equal(*features)


def test_two_processes_extract_and_embed_as_one_does(imagefolder, tmp_path):
    from mep.evaluation.features import Extraction
    from mep.methods.embedders.handcrafted import Handcrafted
    from mep.methods.extractors.random_conv import RandomConv
    from mep.methods.sources.imagefolder import ImageFolder
    from mep.sections.dataset import DatasetConfig
    from mep.sections.embedding import EmbeddingConfig
    from mep.stages.dataset.stage import dataset
    from mep.stages.embedding import Embed
    from mep.stages.references import Squares

    source = ImageFolder(kind="imagefolder", path=imagefolder)
    images = dataset.function(DatasetConfig(source=source, label="label"), work=Work(folder=tmp_path / "dataset"))
    job = Extraction(Squares(images, 32), RandomConv(kind="random_conv"), 4)
    works = [Work(folder=tmp_path / str(n), machine=machine(engine=local(n))) for n in (1, 2)]
    one, two = (Shards(work, "features", range(len(images)), 8).map_unordered(job) for work in works)
    assert len(one) == 40
    assert np.array_equal(one, two)
    embed = Embed(EmbeddingConfig(model=Handcrafted(kind="handcrafted")), partial(map, images.reader), 4)
    one, two = (Shards(work, "vectors", images.ids, 8).map_unordered(embed) for work in works)
    assert one.shape == (40, 78)
    assert np.array_equal(one, two)
