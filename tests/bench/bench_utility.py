"""What the uncertainty of a probe costs: resamples all at once against scikit-learn one by one, and DeLong; how often
pooled intervals of readers hold the truth.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python tests/bench/bench_utility.py
"""

import time

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

from mep.statistics.classification import auprc, auroc, delong_variance, influence, resamples
from mep.statistics.intervals import over_readers

N_RESAMPLES = 200


def seconds(work):
    """The best of three, in CPU seconds."""
    taken = []
    for _ in range(3):
        started = time.process_time()
        work()
        taken.append(time.process_time() - started)
    return min(taken)


def predictions(n, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    positive = 1 / (1 + np.exp(-(labels + rng.normal(size=n))))
    return np.stack([1 - positive, positive], axis=1), labels


def at_once(metric, probabilities, labels):
    groups = np.arange(len(labels))
    return np.concatenate([metric(probabilities, labels, w) for w in resamples(groups, labels, N_RESAMPLES, 0)])


def one_by_one(metric, probabilities, labels):
    values = []
    for weights in resamples(np.arange(len(labels)), labels, N_RESAMPLES, 0):
        for counts in weights:
            rows = np.repeat(np.arange(len(labels)), counts.astype(int))
            values.append(metric(labels[rows], probabilities[rows, 1]))
    return np.array(values)


def pooled_intervals(n_studies=1500):
    """Readers and images that differ by at most as much as named, about a true share of 0.65."""
    rng = np.random.default_rng(6)
    for n_readers, n_images, readers_differ, images_differ in (
        (2, 30, 0.15, 0.15),
        (3, 16, 0.1, 0.15),
        (3, 50, 0.0, 0.0),
        (5, 40, 0.15, 0.15),
        (5, 40, 0.05, 0.3),
        (8, 100, 0.2, 0.1),
        (2, 50, 0.0, 0.3),
    ):
        held = 0
        for _ in range(n_studies):
            of_readers = rng.uniform(-readers_differ, readers_differ, (n_readers, 1))
            chance = 0.65 + of_readers + rng.uniform(-images_differ, images_differ, n_images)
            interval = over_readers(rng.random((n_readers, n_images)) < chance)
            held += interval.low <= 0.65 <= interval.high
        about = f"{n_readers} readers (±{readers_differ}) of {n_images} images (±{images_differ})"
        print(f"pooled intervals of {about}: hold the truth in {100 * held / n_studies:.1f} %")


def main():
    for n in (650, 5000, 30000):
        probabilities, labels = predictions(n)
        ours, theirs = at_once(auroc, probabilities, labels), one_by_one(roc_auc_score, probabilities, labels)
        assert np.allclose(ours, theirs, rtol=1e-9)
        for name, ours, theirs in (("auroc", auroc, roc_auc_score), ("auprc", auprc, average_precision_score)):
            fast = seconds(lambda f=ours, p=probabilities, y=labels: at_once(f, p, y))
            if name == "auprc":
                fast /= 2  # both classes in turn, scikit-learn one of them
            slow = seconds(lambda f=theirs, p=probabilities, y=labels: one_by_one(f, p, y))
            print(
                f"{name} of {N_RESAMPLES} resamples of {n}: {fast:.3f} s, scikit-learn {slow:.3f} s, {slow / fast:.1f}x"
            )
        took = seconds(lambda p=probabilities, y=labels: delong_variance(influence(p, y), y))
        print(f"DeLong's variance of {n}: {1000 * took:.2f} ms")
    pooled_intervals()


if __name__ == "__main__":
    main()
