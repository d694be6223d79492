"""Our scores beside the usual packages on the same features. Run by hand, on one core or more:

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python tests/bench/bench_scores.py

Each line: features, CPU seconds of the package and of ours (best of a few), their ratio, and both values.
Needs clean-fid (with scipy below 1.18, which still has the argument of sqrtm that clean-fid passes) and prdc.
"""

import contextlib
import io
import time
import warnings
from collections.abc import Callable

import numpy as np

from mep.scores.frechet import frechet_distance
from mep.scores.prdc import prdc
from mep.torchvision_ops import declare_missing_operators


def features(n: int, d: int) -> tuple[np.ndarray, np.ndarray]:
    """Two sets with variances that fall off as those of networks do."""
    rng = np.random.default_rng(n + d)
    mixing = rng.normal(size=(d, d)) / np.arange(1, d + 1) ** 0.5
    return rng.normal(size=(n, d)) @ mixing.T, (rng.normal(size=(n, d)) + 0.05) @ mixing.T


def best(function: Callable[[], object], repeats: int) -> tuple[float, object]:
    """Fewest CPU seconds over all threads, so that a busy machine does not count against anybody; and the result."""
    seconds = []
    for _ in range(repeats):
        start = time.process_time()
        with contextlib.redirect_stdout(io.StringIO()):
            result = function()
        seconds.append(time.process_time() - start)
    return min(seconds), result


def compare(title: str, theirs: Callable[[], object], ours: Callable[[], object], repeats: int) -> None:
    ours()  # the first call also loads libraries
    (their_s, their_value), (our_s, our_value) = best(theirs, repeats), best(ours, max(repeats, 3))
    print(f"{title:32s} {their_s:8.2f} s {our_s:8.2f} s {their_s / our_s:7.1f}x   {their_value} | {our_value}")


def clean_fid(real: np.ndarray, fake: np.ndarray) -> float:
    from cleanfid.fid import frechet_distance as with_sqrtm

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        moments = real.mean(0), np.cov(real.T), fake.mean(0), np.cov(fake.T)
        return round(float(with_sqrtm(*moments)), 5)


def prdc_package(real: np.ndarray, fake: np.ndarray) -> dict[str, float]:
    from prdc import compute_prdc

    return rounded(compute_prdc(real, fake, 5))


def rounded(shares: dict[str, float]) -> dict[str, float]:
    return {name: round(float(share), 4) for name, share in shares.items()}


if __name__ == "__main__":
    declare_missing_operators()
    print(f"{'':32s} {'package':>10s} {'mep':>10s}   ratio   values")
    for n, d, repeats in ((2000, 768, 3), (500, 2048, 1)):
        real, fake = features(n, d)
        compare(
            f"clean-fid Fréchet {n}x{d}",
            lambda real=real, fake=fake: clean_fid(real, fake),
            lambda real=real, fake=fake: round(frechet_distance(real, fake), 5),
            repeats,
        )
    real, fake = features(2000, 768)
    compare(
        "prdc 2000x768, k = 5",
        lambda: prdc_package(real, fake),
        lambda: rounded(prdc(real, fake, k_pr=5, k_dc=5)),
        3,
    )
