"""Whether a resumed training is exact depends on the kernels of a GPU, too."""

import json
from types import SimpleNamespace

import pytest

from mep.runner.attempts import continued
from mep.store import Store

ID, AT = "training/" + "a" * 32, "2026-11-26T00:00:00+00:00"


@pytest.fixture
def unfinished(tmp_path):
    store = Store(tmp_path)
    work = store.work_folder(ID)
    work.mkdir(parents=True)
    (work / "checkpoint").touch()
    return store


@pytest.mark.parametrize(
    ("device", "fixed", "stage", "said"),
    [
        ("cuda", False, "training", "not exact: machine.deterministic is off, and a GPU adds up in another order"),
        ("cuda", True, "training", "exact"),
        ("cpu", False, "training", "exact"),
        ("cuda", False, "generation", "exact"),
    ],
)
def test_a_gpu_is_exact_where_its_order_is_fixed(unfinished, device, fixed, stage, said):
    traits = {"device": device, "machine.deterministic": fixed}
    with unfinished.db.write() as db:
        run = {"run_id": "r", "name": "r", "recipe_file": "", "recipe_sha256": "", "state": "failed", "started_at": AT}
        run |= {"host": "here", "pid": 1, "environment": "{}"}
        db.table("runs").insert(run)
        began = {
            "run_id": "r",
            "artifact_id": ID,
            "why": "",
            "state": "failed",
            "started_at": "2026-11-26T00:00:00+00:00",
        }
        db.table("attempts").insert(began | {"machine": json.dumps(traits)})
    task = SimpleNamespace(artifact_id=ID, stage=SimpleNamespace(name=stage))
    assert continued(unfinished, task, traits).startswith(said)
