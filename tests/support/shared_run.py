"""A finished run with models that diffusers loads, for tests of what others take away."""

import shutil
from types import SimpleNamespace

from click.testing import CliRunner
from drawn_run import RUN, Drawn, finished
from training_parts import Inputs

from mep.artifacts import BaseModel, Model
from mep.cli.main import main
from mep.machine.files import read_json, write_json
from mep.store import Store, manifest


def shared_run(root):
    """Two arms with four samples each and models of 16 px; the real images are `images/00.png` to `11.png`."""
    drawn = Drawn(root / "house", useful=True)
    finished(drawn)
    (root / "base").mkdir()
    drawn.inputs = Inputs(root / "base")
    for stage in ("training", "base"):
        for arm in ("label-only", "mep"):
            change(drawn.store, artifact_of(drawn, stage, arm), lambda folder: give_pipeline(drawn.inputs.base, folder))
    return drawn


def copy_of(drawn, folder):
    """The same store somewhere else, for a test that changes it."""
    shutil.copytree(drawn.store.root, folder / "runs")
    return SimpleNamespace(store=Store(folder / "runs"), root=folder)


def give_pipeline(base, folder):
    shutil.copytree(base.pipeline, folder / "pipeline", dirs_exist_ok=True)
    for path in (folder / Model.about, folder / BaseModel.about):
        if path.exists():
            write_json(path, read_json(path) | {"resolution": 16})


def change(store, artifact_id, work):
    """Let `work` change the folder of an artifact, which counts as whole afterwards."""
    folder = store.folder(artifact_id)
    work(folder)
    content = manifest.read(folder)
    content.pop("sha256")
    manifest.write(folder, content | {"files": manifest.list_files(folder)})


def artifact_of(drawn, stage, arm="mep"):
    sql = "SELECT artifact_id FROM uses WHERE run_id = ? AND stage = ? AND arm = ?"
    return drawn.store.db.query(sql, RUN, stage, arm)[0]["artifact_id"]


def mep(drawn, *arguments):
    return CliRunner().invoke(main, ["--runs", str(drawn.store.root), *map(str, arguments)])
