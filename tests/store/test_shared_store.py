"""One store, many hosts: a run is pushed and pulled through a real S3 server, whatever happens on the way."""

import json
import os
import shutil
import subprocess
import sys
from itertools import count

import fsspec
import pytest
from click.testing import CliRunner
from s3_host import s3  # noqa: F401  (fixture)
from small_runs import RUN, name_of, publish, small_run
from stores import contents

from mep.cli.main import main
from mep.errors import EnvironmentLacks, IntegrityError
from mep.store import Store, fetching, manifest
from mep.store.housekeeping import pin
from mep.store.pulling import Pull
from mep.store.pushing import Push
from mep.store.remote import Remote
from mep.store.shared import SharedStore

BUCKETS = count()


def mep(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def lab(s3):
    """The address of a new bucket, and what fsspec has to say of it."""
    name = f"lab{next(BUCKETS)}"
    return f"s3://{name}/mep", s3.bucket(name)


def pull(root, address):
    store, remote = Store(root), SharedStore(address).open()
    return store, Pull(store, remote).run(remote.runs()[-1])


def assert_verified(root):
    done = mep("--runs", root, "verify")
    assert done.exit_code == 0, done.output


def rows(store):
    tables = ("runs", "arms", "uses", "artifacts", "inputs", "events", "pins")
    return {table: store.db.query(f"SELECT * FROM {table} ORDER BY 1, 2") for table in tables}


def test_a_finished_run_is_the_same_on_another_host(lab, house, tmp_path):
    address, _ = lab
    mine = house[0]
    pushed = mep("--runs", mine.root, "push", address)
    sent = f"sent {len(rows(mine)['artifacts'])} artifacts"
    assert (pushed.exit_code, sent in pushed.stderr) == (0, True), pushed.output
    theirs = Store(tmp_path / "theirs")
    pulled = mep("--runs", theirs.root, "pull", address)
    assert (pulled.exit_code, " artifacts and the run" in pulled.stderr) == (0, True), pulled.output
    assert contents(theirs) == contents(mine)
    kept = ("uses", "artifacts", "inputs", "arms")
    assert {name: rows(theirs)[name] for name in kept} == {name: rows(mine)[name] for name in kept}
    assert_verified(theirs.root)
    assert (theirs.run_folder(theirs.db.query("SELECT run_id FROM runs")[0]["run_id"]) / "report.html").exists()
    for command, what in (("push", "all of it is in"), ("pull", "all of it is here")):
        again = mep("--runs", mine.root if command == "push" else theirs.root, command, address)
        assert what in again.stderr, again.output


@pytest.mark.parametrize("n_groups", [0, 1, 2])
def test_an_upload_that_loses_the_network_is_never_taken_for_whole_and_goes_on(
    s3, lab, tmp_path, monkeypatch, n_groups
):
    address, files = lab
    mine, sent, send = small_run(tmp_path / "mine"), [], Remote.send
    monkeypatch.setattr("mep.store.remote.MOST_FILES", 4)  # the second artifact lies in two groups

    def failing(self, group, moved):
        if len(sent) == n_groups:
            with s3.down():
                return send(self, group, moved)
        sent.append(len(group))
        return send(self, group, moved)

    with monkeypatch.context() as patch:
        patch.setattr(Remote, "send", failing)
        broken = mep("--runs", mine.root, "push", address)
    assert (broken.exit_code, "does not answer" in broken.stderr) == (3, True), broken.output
    assert "the same command goes on where it stopped" in broken.stderr
    assert SharedStore(address).open().runs() == []
    whole = SharedStore(address).open().manifests([name_of(n) for n in range(3)])
    assert len(whole) == n_groups  # those whose last file had come
    for name, content in whole.items():
        fetching.fetch(Store(tmp_path / f"other-{name[-4:]}"), SharedStore(address).open(), content, lambda n: None)
    went_on = Push(mine, SharedStore(address)).run(RUN)
    assert went_on.files == 9 - sum(sent)  # none of them twice
    theirs, _ = pull(tmp_path / "theirs", address)
    assert contents(theirs) == contents(mine)
    assert not any("tmp" in name for name in files.find(address))


def test_a_download_that_loses_the_network_leaves_nothing_half_and_goes_on(s3, lab, tmp_path, monkeypatch):
    address, _ = lab
    mine = small_run(tmp_path / "mine", n=2)
    Push(mine, SharedStore(address)).run(RUN)
    received, receive = [], Remote.receive
    monkeypatch.setattr("mep.store.remote.MOST_FILES", 1)

    def failing(self, group, moved):
        if len(received) == 3:
            with s3.down():
                return receive(self, group, moved)
        received.append(group)
        return receive(self, group, moved)

    with monkeypatch.context() as patch:
        patch.setattr(Remote, "receive", failing)
        broken = mep("--runs", tmp_path / "theirs", "pull", address)
    assert (broken.exit_code, "does not answer" in broken.stderr) == (3, True), broken.output
    assert_verified(tmp_path / "theirs")
    moved = []
    theirs = Store(tmp_path / "theirs")
    remote = SharedStore(address).open()
    with monkeypatch.context() as patch:
        patch.setattr(Remote, "receive", lambda self, group, n: (moved.extend(group), receive(self, group, n)))
        Pull(theirs, remote).run(remote.runs()[0])
    assert len(moved) == 6 - 2  # one was the run, two were files that are kept
    assert contents(theirs) == contents(mine)
    assert_verified(theirs.root)
    assert not any(path.is_file() for path in (theirs.root / "work").rglob("*"))


def test_two_hosts_that_send_the_same_artifact_with_other_bytes_leave_one_that_is_whole(lab, tmp_path, monkeypatch):
    address, _ = lab
    anna, ben = small_run(tmp_path / "anna", n=2), small_run(tmp_path / "ben", n=2, value=0.5)
    write, once = Remote.write, []

    def late(self, texts):
        if any(manifest.NAME in name for name in texts) and not once:
            once.append(True)
            Push(ben, SharedStore(address)).run(RUN)  # comes between anna's files and her manifest
        write(self, texts)

    with monkeypatch.context() as patch:
        patch.setattr(Remote, "write", late)
        Push(anna, SharedStore(address)).run(RUN)
    theirs, pulled = pull(tmp_path / "theirs", address)
    assert len(pulled.artifacts) == 2
    assert contents(theirs) in (contents(anna), contents(ben))
    assert_verified(theirs.root)


def test_two_pushes_and_then_two_pulls_at_the_same_moment_lose_nothing(lab, tmp_path):
    address, _ = lab
    mine = small_run(tmp_path / "mine")
    assert at_once([sys.executable, "-m", "mep", "--runs", mine.root, "push", address]) == [0, 0]
    theirs = Store(tmp_path / "theirs")
    codes = at_once([sys.executable, "-m", "mep", "--runs", theirs.root, "pull", address])
    assert sorted(codes) in ([0, 0], [0, 2])  # 2: the run was here already when the second one looked
    _, again = pull(theirs.root, address)
    assert (again.run, again.artifacts) == (False, [])
    assert contents(theirs) == contents(mine)
    assert rows(theirs)["uses"] == rows(mine)["uses"]
    assert_verified(theirs.root)


def at_once(command):
    """The exit codes of two processes that begin together."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    both = [subprocess.Popen(command, env=environment, stderr=subprocess.PIPE) for _ in range(2)]
    return [process.wait(timeout=120) for process in both]


@pytest.mark.parametrize("what", ["other content", "cut", "gone", "manifest"])
def test_what_is_not_as_its_name_says_is_not_taken_and_sent_again_on_demand(what, lab, tmp_path):
    address, files = lab
    mine = small_run(tmp_path / "mine", n=1)
    Push(mine, SharedStore(address)).run(RUN)
    folder = f"{address}/store/{name_of(0)}"
    [victim, *_] = sorted(
        path for path in files.ls(folder, detail=False) if path.endswith("json") == (what == "manifest")
    )
    honest = files.cat_file(victim)
    lie = {"other content": honest[:-1] + b"\x07", "cut": honest[:-1], "manifest": honest.replace(b'"n": 0', b'"n": 1')}
    files.rm(victim) if what == "gone" else files.pipe_file(victim, lie[what])
    done = mep("--runs", tmp_path / "theirs", "pull", address)
    assert (done.exit_code, "is not as it was written" in done.stderr) == (5, True), done.output
    assert f"mep push {address} RUN --again" in done.stderr
    assert f"s3://{victim}" in done.stderr
    assert Store(tmp_path / "theirs").find(name_of(0)) is None
    assert not any(path.is_file() for path in (tmp_path / "theirs" / "work").rglob("*"))
    assert mep("--runs", mine.root, "push", address, "--again").exit_code == 0
    assert contents(pull(tmp_path / "theirs", address)[0]) == contents(mine)
    assert_verified(tmp_path / "theirs")


def test_scores_that_make_no_sense_are_not_taken_though_every_digest_is_right(house, tmp_path):
    mine, shared = house[0], tmp_path / "shared"
    name = mine.db.query("SELECT artifact_id FROM artifacts WHERE stage = 'metrics'")[0]["artifact_id"]
    (mine.folder(name) / "scores.json").write_text('{"rows": 7}')
    rewrite_manifest(mine, name)
    remote = SharedStore(str(mine.root)).open()
    with pytest.raises(IntegrityError, match="is not as it was written"):
        fetching.fetch(Store(shared), remote, remote.manifests([name])[name], lambda n: None)
    assert Store(shared).committed() == []


def rewrite_manifest(store, name):
    """Make the manifest of an artifact say what its files are now."""
    content = store.manifest(name) | {"files": manifest.list_files(store.folder(name))}
    manifest.write(store.folder(name), {key: value for key, value in content.items() if key != "sha256"})


def test_a_run_that_has_gone_on_is_brought_up_to_date_and_an_older_copy_does_not_undo_that(lab, tmp_path):
    address, _ = lab
    mine = small_run(tmp_path / "mine", n=1)
    Push(mine, SharedStore(address)).run(RUN)
    older, _ = pull(tmp_path / "older", address)
    theirs, _ = pull(tmp_path / "theirs", address)
    pin(mine, RUN, "figure 2")
    assert Push(mine, SharedStore(address)).run(RUN).run
    assert pull(tmp_path / "theirs", address)[1].run
    assert [row["note"] for row in rows(theirs)["pins"]] == ["figure 2"]
    assert not Push(older, SharedStore(address)).run(RUN).run
    assert len(SharedStore(address).open().runs()) == 1
    pin(older, RUN, "mine")  # it has gone another way here
    pin(mine, RUN, "figure 3")
    assert Push(mine, SharedStore(address)).run(RUN).run
    done = mep("--runs", older.root, "pull", address)
    assert (done.exit_code, "is here already" in done.stderr) == (2, True), done.output


def test_brief_sends_and_takes_the_run_alone(lab, tmp_path):
    address, files = lab
    mine = small_run(tmp_path / "mine")
    assert mep("--runs", mine.root, "push", address, "--brief").exit_code == 0
    assert not files.exists(f"{address}/store")
    assert mep("--runs", mine.root, "push", address).exit_code == 0
    assert mep("--runs", tmp_path / "theirs", "pull", address, RUN[:8], "--brief").exit_code == 0
    theirs = Store(tmp_path / "theirs")
    assert (len(theirs.committed()), theirs.has(name_of(0))) == (3, False)
    listed = json.loads(mep("--runs", theirs.root, "pull", address, "--list", "--json").stdout)
    assert [(run["run_id"], run["state"]) for run in listed] == [(RUN, "done")]


def test_a_file_that_is_damaged_here_is_not_sent(lab, tmp_path):
    address, _ = lab
    mine = small_run(tmp_path / "mine", n=1)
    victim = next(path for path in mine.folder(name_of(0)).iterdir() if path.suffix == ".npy")
    status, content = victim.stat(), victim.read_bytes()
    victim.write_bytes(content[:-1] + b"\x07")
    os.utime(victim, ns=(status.st_atime_ns, status.st_mtime_ns))  # as a failing disk does it
    done = mep("--runs", mine.root, "push", address)
    assert (done.exit_code, "has other content" in done.stderr, "mep verify" in done.stderr) == (5, True, True)


TROUBLES = {
    "s3://nobody-has-this/mep": (3, "there is no bucket nobody-has-this"),
    "gs://lab/mep": (3, "pip install 'mep[gs]'"),
    "nowhere://lab/mep": (3, "nobody knows addresses like nowhere://lab/mep"),
    "s3://me:secret@lab/mep": (2, "no names and passwords in an address"),
    "/nowhere/at/all": (3, "there is no folder /nowhere/at/all"),
}


@pytest.mark.parametrize("address", TROUBLES)
def test_an_address_that_leads_nowhere_is_told(address, s3, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    mine = small_run(tmp_path / "mine", n=1)
    code, text = TROUBLES[address]
    for command in ("push", "pull"):
        done = mep("--runs", mine.root, command, address)
        assert (done.exit_code, text in done.stderr) == (code, True), done.output


def test_who_has_no_credentials_or_no_right_is_told(s3, lab, tmp_path, monkeypatch):
    fsspec.filesystem("s3").clear_instance_cache()
    with monkeypatch.context() as patch:
        patch.delenv("AWS_ACCESS_KEY_ID")
        patch.delenv("AWS_SECRET_ACCESS_KEY")
        done = mep("--runs", tmp_path / "theirs", "pull", lab[0])
    assert (done.exit_code, "there are no credentials" in done.stderr) == (3, True), done.output
    assert "AWS_ACCESS_KEY_ID" in done.stderr
    fsspec.filesystem("s3").clear_instance_cache()
    with monkeypatch.context() as patch:
        patch.setattr("s3fs.S3FileSystem._cat_file", lambda *a, **k: forbidden())
        done = mep("--runs", tmp_path / "theirs", "pull", lab[0])
    assert (done.exit_code, "refuses: Forbidden" in done.stderr) == (3, True), done.output


async def forbidden():
    raise PermissionError("Forbidden")


def test_a_store_of_a_newer_mep_is_left_alone(lab, tmp_path):
    address, files = lab
    files.pipe_file(f"{address}/mep-store.json", b'{"format": 99}')
    done = mep("--runs", small_run(tmp_path / "mine", n=1).root, "push", address)
    assert (done.exit_code, "is of a newer mep" in done.stderr) == (3, True), done.output


@pytest.mark.parametrize("prefix", ["", "file://"])
def test_a_folder_is_a_store_too(prefix, tmp_path):
    mine, shared = small_run(tmp_path / "mine"), tmp_path / "shared"
    shared.mkdir()
    Push(mine, SharedStore(f"{prefix}{shared}")).run(RUN)
    theirs, _ = pull(tmp_path / "theirs", f"{prefix}{shared}")
    assert contents(theirs) == contents(mine)
    assert_verified(theirs.root)
    assert not list(shared.rglob("*.tmp"))


def test_somebodys_folder_of_runs_is_read_and_never_written(tmp_path):
    mine = small_run(tmp_path / "mine", n=2)
    (mine.folder(name_of(1)) / manifest.COLLECTED).write_text("{}")
    remote = SharedStore(str(mine.root)).open()
    there = remote.manifests([name_of(0), name_of(1)])
    assert list(there) == [name_of(0)]
    theirs = Store(tmp_path / "theirs")
    fetching.fetch(theirs, remote, there[name_of(0)], lambda n: None)
    assert theirs.has(name_of(0))
    before = sorted(mine.root.rglob("*"))
    with pytest.raises(EnvironmentLacks, match="is a folder of runs"):
        Push(small_run(tmp_path / "other"), SharedStore(str(mine.root))).run(RUN)
    assert sorted(mine.root.rglob("*")) == before


def test_files_of_the_same_content_travel_once_and_memory_is_a_store_as_well(tmp_path):
    mine = small_run(tmp_path / "mine", n=1)
    folder = mine.folder(name_of(0))
    shutil.copy(next(folder.glob("*.npy")), folder / "twin.npy")
    rewrite_manifest(mine, name_of(0))
    sent = Push(mine, SharedStore("memory://lab/mep")).run(RUN)
    assert sent.files == 3  # of four
    theirs, _ = pull(tmp_path / "theirs", "memory://lab/mep")
    assert contents(theirs) == contents(mine)


def test_an_artifact_that_is_damaged_here_gives_way_to_the_one_that_comes(lab, tmp_path):
    address, _ = lab
    mine = small_run(tmp_path / "mine", n=1)
    Push(mine, SharedStore(address)).run(RUN)
    theirs = Store(tmp_path / "theirs")
    publish(theirs, 0, value=0.25)
    next(theirs.folder(name_of(0)).glob("*.npy")).write_bytes(b"spoilt")
    pull(theirs.root, address)
    assert contents(theirs) == contents(mine)
    assert_verified(theirs.root)
