"""Our scores beside the usual packages on the same features. Run by hand, on one core:

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python tests/bench/bench_scores.py frechet
    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python tests/bench/bench_scores.py pairs 10000
    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python tests/bench/bench_scores.py large 50000

frechet     Fréchet distance against clean-fid's matrix square root, from features
pairs       precision, recall, density and coverage of k = 3 and 5, KID with its error and authenticity in one pass,
            against prdc (k = 5, all four) with torch-fidelity (k = 3, precision and recall; KID), and against the bare
            products of the three tables of dot products. Each in a process of its own, for its own peak memory
large       the one pass alone on many images

CPU seconds over all threads, so that a busy machine does not count against anybody.
Needs clean-fid (with scipy below 1.18, which still has the argument of sqrtm that clean-fid passes), prdc and
torch-fidelity.
"""

import contextlib
import io
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

from mep.machine.libraries import declare_missing_operators
from mep.methods.scores.frechet import frechet_distance
from mep.methods.scores.kid import distance_of, error_of
from mep.methods.scores.prdc import shares
from mep.statistics.pairwise import compare

WIDTH = 2048


def gaussian(n: int, d: int) -> tuple[np.ndarray, np.ndarray]:
    """Two sets with variances that fall off as those of networks do."""
    rng = np.random.default_rng(n + d)
    mixing = rng.normal(size=(d, d)) / np.arange(1, d + 1) ** 0.5
    return rng.normal(size=(n, d)) @ mixing.T, (rng.normal(size=(n, d)) + 0.05) @ mixing.T


def rectified(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Two sets that are positive and mostly small, as those of Inception's last layer are; float32."""
    rng = np.random.default_rng(n)
    real, fake = (rng.standard_normal((n, WIDTH), dtype=np.float32) for _ in range(2))
    return np.maximum(0.3 * real + 0.3, 0), np.maximum(0.31 * fake + 0.3, 0)


def timed(function: Callable[[], object]) -> tuple[float, object]:
    start = time.process_time()
    with contextlib.redirect_stdout(io.StringIO()):
        result = function()
    return time.process_time() - start, result


def clean_fid(real: np.ndarray, fake: np.ndarray) -> float:
    from cleanfid.fid import frechet_distance as with_sqrtm

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        moments = real.mean(0), np.cov(real.T), fake.mean(0), np.cov(fake.T)
        return round(float(with_sqrtm(*moments)), 5)


def frechet() -> None:
    frechet_distance(*gaussian(20, 8))  # the first call also loads libraries
    for n, d in ((10_000, WIDTH), (2000, 768), (500, WIDTH)):
        real, fake = gaussian(n, d)
        (theirs, their_value), (ours, our_value) = (
            timed(lambda call=call, real=real, fake=fake: call(real, fake)) for call in (clean_fid, frechet_distance)
        )
        values = f"{their_value} | {our_value:.5f}"
        print(f"{n}x{d}: clean-fid {theirs:.2f} s, mep {ours:.2f} s: {theirs / ours:.1f}x   {values}", flush=True)


def one_pass(real: np.ndarray, fake: np.ndarray) -> str:
    pairs = compare(real, fake, ks=(3, 5))
    assert pairs.kernel is not None
    authenticity = float((pairs.nearest_squared > pairs.radii_real[1][pairs.nearest_real]).mean())
    kid = f"kid {distance_of(pairs.kernel):.7f} +- {error_of(pairs.kernel):.7f}"
    return f"{shares(pairs, 3, 5)} {kid} authenticity {authenticity:.4f}"


def packages(real: np.ndarray, fake: np.ndarray) -> str:
    import torch
    from prdc import compute_prdc
    from torch_fidelity.metric_kid import kid_features_to_metric
    from torch_fidelity.metric_prc import prc_features_to_metric

    four = compute_prdc(real, fake, 5)
    generated, held_out = torch.from_numpy(fake), torch.from_numpy(real)
    two = prc_features_to_metric(generated, held_out, verbose=False)
    return f"{four} {two} {kid_features_to_metric(generated, held_out, verbose=False)}"


def products(real: np.ndarray, fake: np.ndarray) -> str:
    """The three tables of dot products, block by block, and nothing else."""
    import torch

    for left, right in ((real, real), (fake, fake), (fake, real)):
        a, b = torch.from_numpy(left), torch.from_numpy(right)
        for i in range(0, len(a), 2048):
            for j in range(0, len(b), 2048):
                torch.mm(a[i : i + 2048], b[j : j + 2048].T)
    return "nothing"


WAYS = {"mep": one_pass, "packages": packages, "products": products}


def alone(way: str, n: int) -> None:
    """One way in this process: CPU seconds and the memory it took beyond the features."""
    declare_missing_operators()
    real, fake = rectified(n)
    with contextlib.suppress(ValueError), contextlib.redirect_stdout(io.StringIO()):
        WAYS[way](real[:1100], fake[:1100])  # libraries are loaded
    before = memory_mb("VmRSS", reset=True)
    seconds, result = timed(lambda: WAYS[way](real, fake))
    print(
        f"{way:10s} {seconds:8.2f} s {memory_mb('VmHWM') - before:8.0f} MB beyond the features   {result}", flush=True
    )


def memory_mb(name: str, *, reset: bool = False) -> float:
    """A line of /proc/self/status; `reset` lets the peak (VmHWM) begin anew."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1]) * 1024 / 1e6


if __name__ == "__main__":
    declare_missing_operators()
    what, *numbers = sys.argv[1:]
    if what == "frechet":
        frechet()
    elif what == "alone":
        alone(numbers[0], int(numbers[1]))
    else:
        for way in ("mep",) if what == "large" else WAYS:
            subprocess.run([sys.executable, __file__, "alone", way, numbers[0]], check=True)
