"""A training of the drawn run that goes on."""

import json
from datetime import UTC, datetime, timedelta

from drawn_run import RUN

from mep.machine.files import append_json_line


def training_at_work(drawn, *, n_losses, reached, arm="mep"):
    """The training of an arm, begun a minute ago, so many steps of 1000 reached after seconds; its folder."""
    artifact_id = "training/" + arm[0] * 32
    began = datetime.now(UTC) - timedelta(seconds=60)
    with drawn.store.db.write() as db:
        row = {"run_id": RUN, "artifact_id": artifact_id, "why": "first time", "state": "running"}
        db.table("attempts").insert(row | {"started_at": began.isoformat(), "arms": json.dumps([arm])})
    work = drawn.store.work_folder(artifact_id)
    work.mkdir(parents=True)
    for step in range(n_losses):
        append_json_line(work / "training.jsonl", {"step": step, "loss": 1 - step / 100})
    with (drawn.store.run_folder(RUN) / "log.txt").open("a") as log:
        for seconds, done in reached.items():
            at = (began + timedelta(seconds=seconds)).isoformat()
            log.write(f"{at} training[{arm}] {done}/1000 loss 0.5\n")
    return work
