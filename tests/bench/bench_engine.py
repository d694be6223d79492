"""What the engine costs beside the work itself: python tests/bench/bench_engine.py [quickstart-runs-folder]

Prints one line a measure. With the folder of a finished quickstart it also times running that again.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__)
sys.path[:0] = [str(HERE.parents[1] / "crash"), str(HERE.parents[2])]

from trivial import N_STAGES, run_trivial  # noqa: E402

from mep.artifacts import Samples  # noqa: E402
from mep.machine.files import fsync  # noqa: E402
from mep.store import Store  # noqa: E402

N_ARMS = 50
N_FILES = 10_000
SHARED = 5


def timed(root, name, n):
    """Milliseconds of wall time and of processor time that a stage takes."""
    wall, cpu = time.perf_counter(), time.process_time()
    run_trivial(root, range(N_ARMS), shared=SHARED, name=name)
    return (time.perf_counter() - wall) / n * 1000, (time.process_time() - cpu) / n * 1000


def overhead(root):
    """An executed and a reused stage, of stages that do nothing."""
    n = SHARED + (N_STAGES - SHARED) * N_ARMS
    for name, target in (("executed", 40), ("reused", 5)):
        wall, cpu = timed(root, name, n)
        print(f"{name} stage: {wall:.1f} ms, {cpu:.1f} ms of CPU ({n} stages of {N_ARMS} arms; target {target} ms)")


def small_files(folder):
    for number in range(N_FILES):
        path = folder / "images" / f"{number // 1000:02d}" / f"{number:06d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(2000))
    (folder / "metadata.jsonl").write_text("")
    os.sync()


def plain_copy(source, target):
    """Copy a tree and push every file to the disk."""
    started = time.perf_counter()
    shutil.copytree(source, target)
    for root, _, names in os.walk(target):
        for name in names:
            descriptor = os.open(os.path.join(root, name), os.O_RDONLY)
            os.fsync(descriptor)
            os.close(descriptor)
        fsync(Path(root))
    return time.perf_counter() - started


def publishing(root):
    """How fast an artifact of many small files is committed, beside a copy of them."""
    store, ratios = Store(root / "runs"), []
    ingredients = {"stage": "generation", "version": 1, "inputs": {}}
    for number in range(3):
        out = store.work_folder(f"generation/f{number}") / "out"
        small_files(out)
        copied = plain_copy(out, root / f"copy{number}")
        started = time.perf_counter()
        store.publish(ingredients, f"f{number}", Samples(out), out, {"made_by": "bench"})
        published = time.perf_counter() - started
        ratios.append(copied / published)
    shown = ", ".join(f"{ratio:.2f}x" for ratio in ratios)
    print(f"publishing {N_FILES} files of 2 kB: {shown} the speed of copy and fsync (target 0.5x)")


def quickstart(runs):
    """Seconds of a run in which everything is reused."""
    command = [sys.executable, "-m", "mep", "--runs", runs, "run", str(HERE.parents[2] / "recipes" / "quickstart.yaml")]
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        seconds.append(time.perf_counter() - started)
    print(f"quickstart, everything reused: {', '.join(f'{wall:.1f} s' for wall in seconds)} (target 3 s)")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        overhead(Path(folder) / "trivial")
        publishing(Path(folder))
    if len(sys.argv) > 1:
        quickstart(sys.argv[1])
