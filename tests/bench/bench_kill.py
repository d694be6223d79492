"""What a SIGKILL costs: python tests/bench/bench_kill.py

Kills a small real run at random times while it trains and while it generates. The time since the last checkpoint, or
since the last image was written, is what has to be done again; beside it stands the longest time between two of them.
"""

import itertools
import random
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__)
sys.path[:0] = [str(HERE.parents[1] / "support"), str(HERE.parents[1] / "crash"), str(HERE.parents[2])]

from forkserver import ForkServer  # noqa: E402
from small_data import draw_imagefolder, tiny_settings, write_recipe  # noqa: E402

from mep.store import Store  # noqa: E402

KILLS = 8
BATCH = 4


def lost_of(server, root, recipe, pattern, wait_s):
    """For every kill that hit unfinished work of a pattern: seconds since its last file, and between its files."""
    store, rng, losses, run_id = Store(root), random.Random(1), [], None
    for _ in range(KILLS):
        started = time.time()
        status, _ = server.go(root, recipe, run_id=run_id, kill_after_s=rng.uniform(*wait_s))
        at = time.time()
        if status == 0:
            raise RuntimeError("the run came to its end: make it longer")
        run_id = store.db.query("SELECT run_id FROM runs")[0]["run_id"]
        times = sorted(path.stat().st_mtime for path in (root / "work").glob(pattern))
        new = [time_s for time_s in times if time_s > started]
        if len(new) > 1:
            losses.append((at - new[-1], max(after - before for before, after in itertools.pairwise(new))))
    return losses


def tell(what, losses, unit):
    lost, share = max(lost for lost, _ in losses), max(lost / between for lost, between in losses)
    most = f"{lost:.2f} s, {share:.2f} of the time between two {unit} (target 1)"
    print(f"{what}: {len(losses)} kills lost at most {most}", flush=True)


def main():
    server = ForkServer()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        settings = tiny_settings(draw_imagefolder(root / "images"), training_steps=10**6)
        settings["arms"] = {}
        settings["machine"] |= {"checkpoint_every_s": 1.0, "batch_size": BATCH}
        recipe = write_recipe(root / "long.yaml", settings)
        tell("training", lost_of(server, root / "training", recipe, "training/*/training/*.pt", (7, 12)), "checkpoints")
        settings["training"]["steps"] = 5
        settings["generation"]["allocation"]["images"] = 20_000
        recipe = write_recipe(root / "many.yaml", settings)
        images = "generation/*/out/images/**/*.png"
        tell("generation", lost_of(server, root / "generation", recipe, images, (3, 7)), "batches")
    server.close()


if __name__ == "__main__":
    main()
