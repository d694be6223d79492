"""Runs made by hand of artifacts that are vectors alone, with fingerprints as the runner gives them."""

import numpy as np

from mep.artifacts import Embeddings
from mep.store import Store
from mep.store.journal import Journal
from mep.store.manifest import fingerprint_of

RUN = "20261126-0900-small"


def ingredients(number):
    return {"stage": "embedding", "version": 1, "config": {"n": number}, "externals": [], "inputs": {}}


def name_of(number):
    return f"embedding/{fingerprint_of(ingredients(number))}"


def publish(store, number, value=0.0):
    """An artifact of three files; another value gives other bytes under the same fingerprint, as another GPU may."""
    out = store.work_folder(name_of(number)) / "out"
    out.mkdir(parents=True)
    artifact = Embeddings(["a", "b"], np.full((2, 4), number + value, np.float32))
    artifact.save(out)
    store.publish(ingredients(number), fingerprint_of(ingredients(number)), artifact, out, {"made_by": RUN})


def small_run(root, n=3, value=0.0, run_id=RUN):
    """A store with one finished run that has used n artifacts."""
    store = Store(root)
    for number in range(n):
        publish(store, number, value)
    folder = store.run_folder(run_id)
    folder.mkdir()
    (folder / "recipe.lock.yaml").write_text("of another format\n")
    row = {"run_id": run_id, "name": "small", "recipe_file": "x.yaml", "recipe_sha256": "", "state": "done"}
    row |= {"started_at": "2026-11-26T09:00:00.000Z", "ended_at": "2026-11-26T09:01:00.000Z", "host": "a", "pid": 1}
    use = {"run_id": run_id, "arm": "mep", "how": "made"}
    uses = [("uses", use | {"stage": f"embedding{n}", "artifact_id": name_of(n)}) for n in range(n)]
    first = [("runs", row | {"environment": "{}", "error": ""})]
    first += [("arms", {"run_id": run_id, "arm": "mep", "position": 0})]
    Journal(store.db, folder).write([*first, *uses])
    return store
