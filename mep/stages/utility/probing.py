"""What a probe is trained on, and what its predictions on real held-out images amount to."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from mep.artifacts.score_row import JsonObject
from mep.config import digest
from mep.machine.files import read_json, write_json
from mep.machine.work import Work
from mep.methods.probes import Examples, Probe
from mep.statistics import classification
from mep.statistics.classification import delong_variance
from mep.statistics.intervals import Z_95

SHARES = "auroc", "auprc", "balanced_accuracy", "sensitivity", "specificity"
BETTER = dict.fromkeys(SHARES, "higher") | {"ece": "lower"}
"""Metrics of a probe. Sensitivity and the specificity that came with it are at a cut fixed on validation images."""

FEWEST_PER_LABEL = 2
"""Images of every label that each part needs: with one, its variance is unknown."""


@dataclass(frozen=True, eq=False)
class Subset:
    """Images to train on: rows and labels, int64 (n_real + n_fake,)."""

    rows: NDArray[np.int64]
    labels: NDArray[np.int64]
    n_real: int
    n_fake: int


@dataclass(frozen=True, eq=False)
class Predictions:
    """What probes trained in one way say about the held-out images.

    probabilities   float64 (r, n, k)   of r trainings on other subsets
    cuts            float64 (r, k)      operating points, fixed on validation images
    """

    probabilities: NDArray[np.float64]
    cuts: NDArray[np.float64]
    n_real: int
    n_fake: int
    chosen: list[JsonObject]


@dataclass(frozen=True, eq=False)
class Estimate:
    """A metric with its 95 % interval; None where no resample differs, as for a probe that is always right.

    resampled       float64 (s,)    the metric on resamples of the held-out images, shared by all that is compared
    """

    value: float
    se: float | None
    low: float | None
    high: float | None
    method: str
    resampled: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class HeldOut:
    """The real images that probes are tested on.

    labels  int64 (n,)   0 to k - 1
    groups  int64 (n,)   slide or patient; images of one are not independent
    strata  int64 (n,)   of which resamples keep the shares: labels, or where there are several tasks the same for all
    n_tasks of which a number is the mean
    """

    labels: NDArray[np.int64]
    groups: NDArray[np.int64]
    strata: NDArray[np.int64]
    n_tasks: int = 1

    @property
    def independent(self) -> bool:
        return len(np.unique(self.groups)) == len(self.groups)

    @property
    def has_delong(self) -> bool:
        """Whether the variance of an AUROC has a closed form: that of one task on independent images."""
        return self.independent and self.n_tasks == 1

    def rarest(self) -> tuple[int, int]:
        """Independent units (images, or groups) of the rarest class, and of all others together."""
        units = [len(np.unique(self.groups[self.labels == c])) for c in np.unique(self.labels)]
        rarest = int(np.argmin(units))
        return units[rarest], len(np.unique(self.groups[self.labels != np.unique(self.labels)[rarest]]))


def train_and_predict(
    probe: Probe, name: str, subsets: Iterable[Subset], validation: Examples, heldout: Examples, work: Work
) -> Predictions:
    """Train a probe on each subset; what each predicts is kept, so that an interruption loses one at most."""
    n_classes = int(max(validation.labels.max(), heldout.labels.max())) + 1
    probabilities, cuts, chosen, sizes = [], [], [], (0, 0)
    for number, subset in enumerate(subsets):
        kept = work.folder / "predictions" / f"{digest(name)[:16]}-{number}.json"
        if not kept.exists():
            work.stop_if_asked()
            seed = work.seed_for("probe", name, number)
            train = Examples(validation.read, subset.rows, subset.labels)
            fitted = probe.fit(train, validation, n_classes, seed=seed, work=work)
            cut = classification.cuts_at(fitted.predict(validation), validation.labels).tolist()
            probability = fitted.predict(heldout).tolist()
            write_json(kept, {"cuts": cut, "chosen": fitted.chosen, "probabilities": probability})
        result = read_json(kept)
        cuts.append(result["cuts"])
        probabilities.append(result["probabilities"])
        chosen.append(result["chosen"])
        sizes = (subset.n_real, subset.n_fake)
    return Predictions(np.array(probabilities), np.array(cuts), *sizes, chosen)


def nested_order(labels: NDArray[np.int64], groups: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """A random order of images of which every beginning has the labels in proportion and, cut ends aside, whole groups.

    labels, groups, returned    int64 (n,)
    """
    rank = rng.permutation(groups.max() + 1)[groups]
    place = np.empty(len(labels))
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        rows = rows[np.lexsort((rng.random(len(rows)), rank[rows]))]
        place[rows] = (np.arange(len(rows)) + rng.random()) / len(rows)
    return np.argsort(place, kind="stable")


def shortage(labels: NDArray[np.int64], names: list[str], part: str) -> str:
    """Why a part cannot serve: the label of which it has too few images; empty where it can."""
    counts = np.bincount(labels[labels >= 0], minlength=len(names))
    for name, count in zip(names, counts.tolist(), strict=True):
        if count < FEWEST_PER_LABEL:
            images = f"{count or 'no'} {part} image{'s' * (count > 1)}"
            return f"there {'is' if count < 2 else 'are'} {images} labelled '{name}', {FEWEST_PER_LABEL} are needed"
    return ""


def measure(
    trained: Mapping[str, Predictions], heldout: HeldOut, n_resamples: int, seed: int
) -> dict[str, dict[str, Estimate]]:
    """Every metric of every way of training: name -> metric -> estimate, the mean over its trainings.

    All are measured on the same resamples, so that differences between them can be taken resample by resample.
    """
    ones, labels = np.ones((1, len(heldout.labels))), heldout.labels
    drawn: dict[str, list[NDArray[np.float64]]] = {name: [] for name in trained}
    for weights in classification.resamples(heldout.groups, heldout.strata, n_resamples, seed):
        for name, predictions in trained.items():
            drawn[name].append(_metrics(predictions, labels, weights))
    estimates: dict[str, dict[str, Estimate]] = {}
    for name, predictions in trained.items():
        values, resampled = _metrics(predictions, labels, ones)[:, 0], np.concatenate(drawn[name], axis=1)
        estimates[name] = {
            metric: _by_bootstrap(metric, float(value), row, heldout)
            for metric, value, row in zip(BETTER, values, resampled, strict=True)
        }
        estimates[name]["auroc"] = _area(predictions, estimates[name]["auroc"], heldout)
    return estimates


def mean_over_tasks(of_tasks: Sequence[dict[str, Estimate]], heldout: HeldOut) -> dict[str, Estimate]:
    """The mean of every metric over several tasks, from the resamples that these share."""
    means = {}
    for metric in BETTER:
        estimates = [of_task[metric] for of_task in of_tasks]
        value = float(np.mean([estimate.value for estimate in estimates]))
        resampled = np.mean([estimate.resampled for estimate in estimates], axis=0)
        means[metric] = _by_bootstrap(metric, value, resampled, heldout)
    return means | {"auroc": _within(means["auroc"], heldout)}


def difference(
    first: tuple[Predictions, Estimate], second: tuple[Predictions, Estimate], heldout: HeldOut
) -> tuple[Estimate, float | None]:
    """AUROC of the first minus the second on the same held-out images, and the p-value of none.

    Independent images: DeLong's variance of the difference; groups, and means over tasks: resample by resample.
    """
    from scipy.stats import norm

    value = first[1].value - second[1].value
    resampled = first[1].resampled - second[1].resampled
    if heldout.has_delong:
        influences = mean_influence(first[0], heldout.labels) - mean_influence(second[0], heldout.labels)
        se, method = np.sqrt(delong_variance(influences, heldout.labels)), "paired DeLong"
        low, high = value - Z_95 * se, value + Z_95 * se
    else:
        kind = "bootstrap" if heldout.independent else "group bootstrap"
        se, method = np.nanstd(resampled, ddof=1), f"paired {kind}, percentiles"
        low, high = np.nanquantile(resampled, [0.025, 0.975])
    if not se > 0:
        return Estimate(value, None, None, None, method, resampled), None
    p = float(2 * norm.sf(abs(value) / se))
    return Estimate(value, float(se), float(low), float(high), method, resampled), p


def mean_influence(predictions: Predictions, labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """float64 (n,), of the mean area over all trainings."""
    influences = [classification.influence(probabilities, labels) for probabilities in predictions.probabilities]
    return np.asarray(np.mean(influences, axis=0))


def _metrics(predictions: Predictions, labels: NDArray[np.int64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """float64 (metrics, s), the mean over trainings."""
    rows = []
    for probabilities, cuts in zip(predictions.probabilities, predictions.cuts, strict=True):
        at_cuts = partial(classification.sensitivity, cuts=cuts), partial(classification.specificity, cuts=cuts)
        free_of_cuts = classification.auroc, classification.auprc, classification.balanced_accuracy
        functions = *free_of_cuts, *at_cuts, classification.calibration_error
        rows.append([function(probabilities, labels, weights) for function in functions])
    return np.asarray(np.mean(rows, axis=0))


def _by_bootstrap(metric: str, value: float, resampled: NDArray[np.float64], heldout: HeldOut) -> Estimate:
    finite = resampled[np.isfinite(resampled)]
    se = float(finite.std(ddof=1)) if len(finite) > 1 else 0.0
    if not se > 1e-12:
        return Estimate(value, None, None, None, "none: every resample gives the same", resampled)
    kind = "bootstrap" if heldout.independent else "group bootstrap"
    if metric == "ece":  # a mean of absolute values: resamples lie above it, so that their percentiles may miss it
        low, high = max(value - Z_95 * se, 0.0), min(value + Z_95 * se, 1.0)
        return Estimate(value, se, low, high, f"{kind}, normal", resampled)
    low, high = np.quantile(finite, [0.025, 0.975])
    return Estimate(value, se, float(low), float(high), f"{kind}, percentiles", resampled)


def _area(predictions: Predictions, drawn: Estimate, heldout: HeldOut) -> Estimate:
    """The AUROC with the interval that suits it: DeLong in the logit, bootstrap of groups, Newcombe at the ends."""
    value, se, low, high, method = drawn.value, drawn.se, drawn.low, drawn.high, drawn.method
    if heldout.has_delong:
        se = float(np.sqrt(delong_variance(mean_influence(predictions, heldout.labels), heldout.labels)))
        method = "DeLong, logit"
        if se > 1e-12 and 0 < value < 1:
            low, high = classification.logit_interval(value, se, Z_95)
    return _within(Estimate(value, se, low, high, method, drawn.resampled), heldout)


def _within(area: Estimate, heldout: HeldOut) -> Estimate:
    """The area; with an interval that also holds at its ends, where resamples or DeLong's variance show no spread."""
    if area.se and area.se > 1e-12 and 0 < area.value < 1:
        return area
    low, high = classification.score_interval(area.value, *heldout.rarest(), Z_95)
    return Estimate(area.value, None, low, high, "Newcombe 2006, method 5", area.resampled)
