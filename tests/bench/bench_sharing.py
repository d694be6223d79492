"""What `mep push` and `mep pull` add to bare transfers of s3fs: reading every file once more, and manifests.

    python tests/bench/bench_sharing.py [--turns 3]

An artifact of one large file (100 MB), and one of many small ones (300 of 20 kB), to a server of moto in a process of
its own. Ours and bare take turns; the ratio is that of the medians. The server takes most of the time.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
PORT = 5599
SERVER = f"""
import time
from moto.server import ThreadedMotoServer
ThreadedMotoServer(ip_address="127.0.0.1", port={PORT}, verbose=False).start()
print("up", flush=True)
time.sleep(1e6)
"""
KEYS = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y", "AWS_DEFAULT_REGION": "us-east-1"}
SIZES = {"one file of 100 MB": [100_000_000], "300 files of 20 kB": [20_000] * 300}


def artifact(store, sizes, number):
    """Publish an artifact of files of random bytes; its id."""
    from small_runs import ingredients

    from mep.artifacts import Artifact
    from mep.store.manifest import fingerprint_of

    out = store.root / "work" / f"{number}" / "out"
    out.mkdir(parents=True)
    for place, size in enumerate(sizes):
        (out / f"{place}.bin").write_bytes(np.random.default_rng([number, place]).bytes(size))
    fingerprint = fingerprint_of(ingredients(number))
    store.publish(ingredients(number), fingerprint, Artifact(), out, {"made_by": ""})
    return f"embedding/{fingerprint}"


def timed(function, *arguments):
    """Seconds by the clock, and seconds of this process on all of its threads."""
    clock, processor = time.perf_counter(), time.process_time()
    function(*arguments)
    return time.perf_counter() - clock, time.process_time() - processor


def pull(store, remote, name):
    from mep.store.fetching import fetch

    fetch(store, remote, remote.manifests([name])[name], lambda n_bytes: None)


def measure(root, files, turns, sizes):
    from mep.store import Store
    from mep.store.pushing import Push, Sent
    from mep.store.shared import SharedStore

    spent = {name: [] for name in ("push", "put", "pull", "get")}
    for turn in range(turns):
        store = Store(root / f"mine-{turn}")
        name = artifact(store, sizes, turn)
        sources = [str(path) for path in store.folder(name).glob("*.bin")]
        targets = [f"bare/{turn}-{Path(source).name}" for source in sources]
        back = [f"{root}/bare-{turn}/{Path(source).name}" for source in sources]
        remote = SharedStore(f"s3://lab/{turn}-{len(sizes)}").open()
        push = Push(store, remote)
        sent = Sent("")
        spent["put"].append(timed(files.put, sources, targets))
        spent["push"].append(timed(push.send_artifacts, [name], sent))
        spent["get"].append(timed(files.get, targets, back))
        theirs = Store(root / f"theirs-{turn}")
        theirs.db.query("SELECT 1")
        spent["pull"].append(timed(pull, theirs, remote, name))
    return {name: [statistics.median(column) for column in zip(*both, strict=True)] for name, both in spent.items()}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--turns", type=int, default=3)
    turns = parser.parse_args().turns
    os.environ.update(KEYS | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{PORT}"})
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        while server.stdout.readline() != "up\n":
            pass
        import fsspec

        files = fsspec.filesystem("s3", use_listings_cache=False)
        for bucket in ("lab", "bare"):
            files.mkdir(bucket)
        for what, sizes in SIZES.items():
            with tempfile.TemporaryDirectory(dir="/dev/shm") as root:
                took = measure(Path(root), files, turns, sizes)
            for place, by in enumerate(("the clock", "seconds of the processor")):
                up, down = took["push"][place] / took["put"][place], took["pull"][place] / took["get"][place]
                seconds = ", ".join(f"{name} {both[place]:.2f} s" for name, both in took.items())
                print(f"{what}, by {by}: push {up:.2f} x put, pull {down:.2f} x get ({seconds})", flush=True)
    finally:
        server.kill()


if __name__ == "__main__":
    main()
