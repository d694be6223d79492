"""A bundle from a stranger: taken in whole, or refused with nothing left behind."""

import gzip
import io
import json
import random
import tarfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from mep.cli.main import main
from mep.config import digest
from mep.store import Store
from mep.store.bundle import Leaving, export_run
from mep.store.runs import find_run

JOURNAL = "run/journal.jsonl"
VICTIM = "20200101-000000-mine"


def mep(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def bundle(original, tmp_path_factory):
    """The members of an honest bundle in their order."""
    path = tmp_path_factory.mktemp("bundle") / "run.mep.tar.gz"
    export_run(Store(original[0]), find_run(Store(original[0]), None)["run_id"], path, Leaving(page=True, names=True))
    return members_of(path)


def members_of(path):
    with tarfile.open(path) as archive:
        return {member.name: archive.extractfile(member).read() for member in archive}


def packed(path, members):
    """A bundle of members; one whose content is a TarInfo is written as it is."""
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            member = content if isinstance(content, tarfile.TarInfo) else tarfile.TarInfo(name)
            if isinstance(content, bytes):
                member.size = len(content)
            archive.addfile(member, io.BytesIO(content if isinstance(content, bytes) else b""))
    return path


@pytest.fixture
def mine(tmp_path):
    """A store with a run of one's own, that nobody may write over."""
    store = Store(tmp_path / "mine")
    row = {"run_id": VICTIM, "name": "mine", "recipe_file": "x", "recipe_sha256": "", "state": "done", "host": ""}
    row |= {"started_at": "2020-01-01T00:00:00.000Z", "pid": 1, "environment": "{}", "error": ""}
    environment = {"environment_id": "e" * 16, "cpu": "my own", "n_cores": 2, "memory_gb": 1.0}
    environment |= dict.fromkeys(("mep", "python", "platform", "gpu", "git_commit", "git_diff"), "") | {"flags": "{}"}
    store.db.put([("runs", row), ("environments", environment)])
    return store


def state_of(store):
    """Everything that an import could change: files, and rows of all tables."""
    tables = [row["name"] for row in store.db.query("SELECT name FROM sqlite_master WHERE type = 'table'")]
    files = sorted(path.relative_to(store.root).as_posix() for path in store.root.rglob("*") if path.is_file())
    kept = [name for name in files if not name.startswith(("locks/", "mep.db"))]
    return kept, {table: store.db.query(f"SELECT * FROM {table}") for table in tables}


def edited(members, name, change):
    """The members with the JSON of one changed, its digest made to fit where it is a manifest."""
    content = json.loads(members[name])
    change(content)
    if name.endswith("manifest.json"):
        content["sha256"] = digest({key: value for key, value in content.items() if key != "sha256"})
    return members | {name: json.dumps(content).encode()}


def with_row(members, table, **columns):
    return members | {JOURNAL: members[JOURNAL] + json.dumps({table: columns}).encode() + b"\n"}


def run_of(members):
    return json.loads(members["export.json"])["run_id"]


def first(members, ending):
    return next(name for name in members if name.endswith(ending))


def linked(kind, target):
    member = tarfile.TarInfo("run/log.txt")
    member.type, member.linkname = kind, target
    return member


VICTIM_ROW = {"run_id": VICTIM, "name": "x", "recipe_file": "", "recipe_sha256": "", "state": "failed", "host": ""}
VICTIM_ROW |= {"started_at": "", "ended_at": None, "pid": 1, "environment": "{}", "error": "overwritten"}
HOSTILE = {
    "a row of another run": lambda m: with_row(m, "events", run_id=VICTIM, number=1, at="", kind="", message=""),
    "a whole row of another run": lambda m: with_row(m, "runs", **VICTIM_ROW),
    "an attempt by its number in the database": lambda m: with_row(m, "attempts", run_id=run_of(m), attempt_id=1),
    "a table that no run writes": lambda m: with_row(m, "file_hashes", path="/etc/passwd", size=1),
    "an unknown table": lambda m: with_row(m, "sqlite_master", name="x"),
    "SQL in the place of a column": lambda m: with_row(m, "runs", **{"run_id) VALUES ('x'); --": 1}),
    "a list in the place of a value": lambda m: with_row(m, "pins", run_id=run_of(m), note=["x"]),
    "a row that the table refuses": lambda m: with_row(m, "pins", run_id=run_of(m), note="no time"),
    "a number beyond 64 bits": lambda m: with_row(m, "events", run_id=run_of(m), number=2**70),
    "a time that is none": lambda m: with_row(m, "runs", run_id=run_of(m), started_at="yesterday"),
    "JSON that is none": lambda m: with_row(m, "attempts", run_id=run_of(m), number=1, arms="mep"),
    "a row that is no mapping": lambda m: m | {JOURNAL: m[JOURNAL] + b'{"runs": [1]}\n'},
    "a path for an artifact": lambda m: with_row(
        m, "uses", run_id=run_of(m), arm="mep", stage="metrics", artifact_id="../../../etc", how="made"
    ),
    "an arm that its recipe does not have": lambda m: with_row(m, "arms", run_id=run_of(m), arm="<b>", position=9),
    "the run called store": lambda m: edited(m, "export.json", lambda held: held.update(run_id="store")),
    "a run that climbs": lambda m: edited(m, "export.json", lambda held: held.update(run_id="../x")),
    "an artifact that climbs": lambda m: edited(m, "export.json", lambda held: held["artifacts"].append("../x")),
    "artifacts that are none": lambda m: edited(m, "export.json", lambda held: held.update(artifacts=7)),
    "a file beside the run": lambda m: m | {"run/evil.py": b"x"},
    "a file beside the artifacts": lambda m: m | {f"{first(m, 'manifest.json').rpartition('/')[0]}/evil.py": b"x"},
    "a file somewhere else": lambda m: m | {"../../evil.py": b"x"},
    "a link": lambda m: m | {"run/log.txt": linked(tarfile.SYMTYPE, "/etc/passwd")},
    "a hard link": lambda m: m | {"run/log.txt": linked(tarfile.LNKTYPE, "export.json")},
    "a device": lambda m: m | {"run/log.txt": linked(tarfile.CHRTYPE, "")},
    "other content": lambda m: m | {first(m, "scores.json"): m[first(m, "scores.json")].replace(b"0", b"1")},
    "no journal": lambda m: {name: content for name, content in m.items() if name != JOURNAL},
    "an artifact is missing": lambda m: {name: m[name] for name in m if name != first(m, "scores.json")},
    "half a manifest": lambda m: m | {first(m, "manifest.json"): m[first(m, "manifest.json")][:100]},
    "a manifest without files": lambda m: edited(m, first(m, "manifest.json"), lambda c: c.update(files=[])),
    "ingredients of another artifact": lambda m: edited(
        m, first(m, "manifest.json"), lambda content: content["ingredients"].update(version=77)
    ),
    "inputs that climb": lambda m: edited(
        m, first(m, "manifest.json"), lambda content: content["ingredients"]["inputs"].update(x="../x")
    ),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_bundle_is_refused_and_leaves_nothing_behind_that_holds(what, bundle, mine, tmp_path):
    before = state_of(mine)
    done = mep("--runs", mine.root, "import", packed(tmp_path / "evil.mep.tar.gz", HOSTILE[what](bundle)))
    assert (done.exit_code, done.stdout) == (1, ""), done.output
    assert isinstance(done.exception, SystemExit)
    assert state_of(Store(mine.root)) == before
    assert mep("--runs", mine.root, "verify").exit_code == 0
    assert not (tmp_path / "evil.py").exists()


@pytest.mark.parametrize("spoil", ["cut", "text", "empty"])
def test_a_file_that_is_no_whole_export_is_refused(spoil, bundle, mine, tmp_path):
    path = packed(tmp_path / "run.mep.tar.gz", bundle)
    path.write_bytes({"cut": path.read_bytes()[:-2000], "text": b"nothing", "empty": gzip.compress(b"")}[spoil])
    before = state_of(mine)
    done = mep("--runs", mine.root, "import", path)
    assert (done.exit_code, "is not a whole export" in done.stderr) == (1, True), done.output
    assert state_of(Store(mine.root)) == before


def test_a_small_file_that_unpacks_to_a_large_one_is_stopped_before_it_is_written(bundle, mine, tmp_path, monkeypatch):
    name = first(bundle, "scores.json")
    manifest = f"{name.rpartition('/')[0]}/manifest.json"
    honest = edited(bundle, manifest, lambda c: c["files"]["scores.json"].update(bytes=300_000_000))
    path = packed(tmp_path / "bomb.mep.tar.gz", honest | {name: bytes(300_000_000)})
    assert path.stat().st_size < 2_000_000
    written = []
    monkeypatch.setattr("mep.store.unpacking.refuse_full", lambda folder, n_bytes: written.append(n_bytes))
    assert "unpacks to more than 256 MB" in mep("--runs", mine.root, "import", path).stderr
    assert max(written) < 10_000_000
    for text in ("run/log.txt", JOURNAL):
        done = mep("--runs", mine.root, "import", packed(path, bundle | {text: bytes(65_000_000)}))
        assert "65 MB of text" in done.stderr, done.output


def test_a_bundle_that_does_not_fit_on_the_disk_is_refused(bundle, mine, tmp_path, monkeypatch):
    path = packed(tmp_path / "run.mep.tar.gz", bundle)
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=100_000_001))
    done = mep("--runs", mine.root, "import", path)
    assert (done.exit_code, "are free" in done.stderr) == (3, True), done.output
    assert not (mine.root / "store").exists()


def test_the_page_is_made_anew_and_the_log_cannot_steer_the_terminal(bundle, mine, tmp_path):
    hostile = bundle | {"run/report.html": b"<script>steal()</script>", "run/log.txt": b"\x1b[2Jcleared\n"}
    assert mep("--runs", mine.root, "import", packed(tmp_path / "run.mep.tar.gz", hostile)).exit_code == 0
    page = (mine.run_folder(run_of(bundle)) / "report.html").read_text()
    assert "steal()" not in page
    assert "label-only" in page
    assert mep("--runs", mine.root, "logs", run_of(bundle)).stdout == "\\x1b[2Jcleared\n"


def test_an_environment_that_is_known_here_is_not_written_over(bundle, mine, tmp_path):
    row = mine.db.query("SELECT * FROM environments")[0] | {"cpu": "somebody else's"}
    path = packed(tmp_path / "run.mep.tar.gz", with_row(bundle, "environments", **row))
    assert mep("--runs", mine.root, "import", path).exit_code == 0
    cpus = Store(mine.root).db.query("SELECT cpu FROM environments WHERE environment_id = ?", "e" * 16)
    assert cpus == [{"cpu": "my own"}]


def test_an_import_that_fails_at_its_last_step_is_taken_back_and_one_that_was_killed_there_is_finished(
    bundle, mine, tmp_path, monkeypatch
):
    path, before = packed(tmp_path / "run.mep.tar.gz", bundle), state_of(mine)
    with monkeypatch.context() as patch:
        patch.setattr("mep.store.database.Database.put", lambda *entries: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            CliRunner().invoke(main, ["--runs", str(mine.root), "import", str(path)], catch_exceptions=False)
    assert state_of(Store(mine.root)) == before
    with monkeypatch.context() as patch:  # a kill leaves what has got its place
        patch.setattr("mep.store.database.Database.put", lambda *entries: 1 / 0)
        patch.setattr("mep.store.intake.reversed", lambda moved: (), raising=False)
        assert isinstance(mep("--runs", mine.root, "import", path).exception, ZeroDivisionError)
    assert mep("--runs", mine.root, "verify").exit_code == 0
    assert mep("--runs", mine.root, "import", path).exit_code == 0
    assert mep("--runs", mine.root, "verify").exit_code == 0
    assert mep("--runs", mine.root, "report", run_of(bundle), "--format", "md").exit_code == 0


def mutated(rng, value):
    """JSON with one value in it replaced by a strange one."""
    if isinstance(value, dict | list) and value and rng.random() < 0.9:
        key = rng.choice(list(value)) if isinstance(value, dict) else rng.randrange(len(value))
        value[key] = mutated(rng, value[key])
        return value
    return rng.choice([None, -1, 2**70, 0.5, "", "../x", "<b>", [], {}, [1], {"a": 1}, "\x00", True, "é" * 99])


@pytest.mark.parametrize("seed", range(16))
def test_whatever_value_of_a_bundle_is_changed_it_is_taken_or_refused_in_words(seed, bundle, mine, tmp_path):
    rng = random.Random(seed)
    name = rng.choice([name for name in bundle if name.endswith((".json", ".jsonl"))])
    lines = bundle[name].decode().split("\n")[:-1] if name.endswith("l") else [bundle[name].decode()]
    place = rng.randrange(len(lines))
    changed = mutated(rng, json.loads(lines[place]))
    if name.endswith("manifest.json") and isinstance(changed, dict):
        changed["sha256"] = digest({key: value for key, value in changed.items() if key != "sha256"})
    lines[place] = json.dumps(changed)
    content = ("\n".join(lines) + "\n").encode()
    before = state_of(mine)
    done = mep("--runs", mine.root, "import", packed(tmp_path / "run.mep.tar.gz", bundle | {name: content}))
    assert isinstance(done.exception, SystemExit | None), (name, changed, done.exception)
    if done.exit_code:
        assert state_of(Store(mine.root)) == before, (name, changed)
    assert mep("--runs", mine.root, "verify").exit_code == 0, (name, changed)


def test_a_bundle_of_the_first_version_is_taken_in_and_its_lock_is_still_a_recipe(tmp_path):
    # quickstart of mep 0.2.0 with six steps, as its `mep export` wrote it, without its page and its probes
    done = mep("--runs", tmp_path, "import", Path(__file__).with_name("bundles") / "of-0.2.0.mep.tar.gz")
    assert done.exit_code == 0, done.output
    run_id = done.stdout.strip()
    assert mep("--runs", tmp_path, "verify").exit_code == 0
    report = json.loads(mep("--runs", tmp_path, "report", run_id, "--format", "json").stdout)
    assert report["arms"] == ["label-only", "mep"]
    assert len(report["scores"]) > 50
    assert mep("validate", tmp_path / run_id / "recipe.lock.yaml").exit_code == 0
