"""Utility: what a classifier that learned from generated images knows about real ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field, field_validator

import mep
from mep.artifacts import Ceiling, Images, Samples, Utility
from mep.extraction import features_of
from mep.pixels import square
from mep.probes import Examples, Inputs
from mep.probing import BETTER, Estimate, HeldOut, Predictions, Subset, difference, measure, train_and_predict
from mep.stage import Work, stage
from mep.stages.ceiling import CeilingConfig

if TYPE_CHECKING:
    from numpy.typing import NDArray

ALONE = "all"
"""Group of the rows that tell of synthetic images alone; the other groups are mixtures with real ones."""


class UtilityConfig(CeilingConfig):
    """What generated images teach a classifier that is tested on real ones."""

    ratios: tuple[float, ...] = ()
    """Synthetic images added to every real one. Empty: all that there are."""
    margin: float = Field(0.05, gt=0, lt=0.5)
    """AUROC that training on synthetic images instead of real ones may lose and still be called non-inferior; to be
    named before the result is seen."""
    resamples: int = Field(1000, ge=100, le=100_000)
    """Bootstrap resamples of the held-out images, by group where the dataset names groups."""

    @field_validator("ratios")
    @classmethod
    def _positive(cls, ratios: tuple[float, ...]) -> tuple[float, ...]:
        if any(not 0 < ratio <= 1000 for ratio in ratios):
            raise ValueError("every ratio is above 0 and at most 1000")
        return tuple(sorted(set(ratios)))


@dataclass(frozen=True)
class Mixture:
    """A share of the real training images with synthetic ones; `ratio` of them to each real one, None for all."""

    share: float
    ratio: float | None

    @property
    def group(self) -> str:
        added = "all synthetic" if self.ratio is None else f"{self.ratio:g} synthetic to each"
        return f"{100 * self.share:g} % real + {added}"


@stage(version=1)
def utility(config: UtilityConfig, images: Images, ceiling: Ceiling, samples: Samples, *, work: Work) -> Utility:
    """Train the probe on synthetic images, alone and beside real ones; test it on real held-out images.

    Rows are as in `metrics`. subject: samples (trained on synthetic images), train (on the real images only), matched
    (on as many real images: fewer of them, or the same ones again). group: all (synthetic images alone) or the mixture.
    n_real counts held-out images, n_fake synthetic training images, n_train_real real ones. Beside the metrics of
    `mep.probing`, auroc_gap is synthetic minus real training, auroc_gain a mixture minus as many real images.
    """
    rows = _Rows(config, images, ceiling)
    if ceiling.reason:
        rows.skip(ceiling.reason)
        return rows.as_artifact()
    heldout = np.flatnonzero(images.heldout)
    tested = HeldOut(images.labels[heldout], images.groups[heldout])
    found, refusals = _train(config, images, ceiling, samples, replace(work, seed=ceiling.about["seed"]))
    estimates = measure(found, tested, config.resamples, ceiling.about["seed"])
    rows.add_all(found, estimates, refusals, tested)
    return rows.as_artifact()


def _train(
    config: UtilityConfig, images: Images, ceiling: Ceiling, samples: Samples, work: Work
) -> tuple[dict[str, Predictions], dict[str, str]]:
    """(subject/group -> predictions, subject/group -> why there are none)."""
    read, labels, made = _pool(config, images, ceiling, samples, work)
    watched = Examples(read, ceiling.validation, labels[ceiling.validation])
    heldout = np.flatnonzero(images.heldout)
    tested = Examples(read, heldout, labels[heldout])
    found, refusals = dict(_of_real(config, ceiling)), {}
    planned = list(_planned(config, ceiling, labels, made))
    for number, (name, subsets) in enumerate(planned):
        why = subsets if isinstance(subsets, str) else _lacking(subsets, images.label_names)
        if why or isinstance(subsets, str):
            refusals[name] = why
        else:
            found[name] = train_and_predict(config.probe, name, subsets, read, watched, tested, work)
        work.progress.update(number + 1, len(planned))
    return found, refusals


def _pool(
    config: UtilityConfig, images: Images, ceiling: Ceiling, samples: Samples, work: Work
) -> tuple[Inputs, NDArray[np.int64], NDArray[np.int64]]:
    """Inputs and labels of real images followed by samples, and the rows of labelled samples in random order."""
    listed, n, size = samples.rows, len(images), ceiling.about["eval_resolution"]
    number = {name: place for place, name in enumerate(images.label_names)}
    labels = np.r_[images.labels, [number.get(row["label"], -1) for row in listed]].astype(np.int64)
    made = np.flatnonzero(labels[n:] >= 0) + n
    rng = np.random.default_rng([ceiling.about["seed"], len(made)])

    def pixels(rows: Any) -> NDArray[np.uint8]:
        return np.stack([square(samples.read(listed[row]), size) for row in rows])

    if config.probe.sees == "features":
        drawn = features_of("features", pixels, len(listed), config.extractor.load(work.device), work)
        table = np.concatenate([ceiling.features, drawn])
        return lambda rows: table[rows], labels, rng.permutation(made)

    def read(rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        return np.stack([pixels([row - n])[0] if row >= n else images.read_square(int(row), size) for row in rows])

    return read, labels, rng.permutation(made)


def _of_real(config: UtilityConfig, ceiling: Ceiling) -> Iterator[tuple[str, Predictions]]:
    """Probes trained on real images only, from the stage before."""
    n = ceiling.order.shape[1]
    for share, probabilities in ceiling.probabilities.items():
        chosen = ceiling.about["chosen"][str(share)]
        one = Predictions(probabilities, ceiling.cuts[share], max(round(share * n), 1), 0, chosen)
        if share == 1:
            yield f"train/{ALONE}", one
        for mixture in _mixtures(config):
            if mixture.share == share:
                yield f"train/{mixture.group}", one


def _mixtures(config: UtilityConfig) -> list[Mixture]:
    return [Mixture(share, ratio) for share in config.fractions for ratio in config.ratios or (None,)]


def _planned(
    config: UtilityConfig, ceiling: Ceiling, labels: NDArray[np.int64], made: NDArray[np.int64]
) -> Iterator[tuple[str, list[Subset] | str]]:
    """subject/group -> the subsets to train on, or why there are none."""
    n_all, repeats = ceiling.order.shape[1], len(ceiling.order)
    once = range(repeats if config.probe.draws else 1)
    if not len(made):
        why = "the generated images carry no label, because their captions name none"
        yield from ((f"samples/{group}", why) for group in (ALONE, *(one.group for one in _mixtures(config))))
        return
    yield f"samples/{ALONE}", [Subset(made, labels[made], 0, len(made)) for _ in once]
    if len(made) < n_all:
        fewer = ceiling.order[:, : len(made)]
        yield f"matched/{ALONE}", [Subset(rows, labels[rows], len(made), 0) for rows in fewer]
    for one in _mixtures(config):
        n = max(round(one.share * n_all), 1)
        m = len(made) if one.ratio is None else round(one.ratio * n)
        if m > len(made):
            yield f"samples/{one.group}", f"{m} labelled synthetic images are needed, there are {len(made)}"
            continue
        draws = range(repeats) if one.share < 1 or m < len(made) else once
        mixed = [np.r_[ceiling.order[r][:n], np.roll(made, -r * m)[:m]] for r in draws]
        again = [np.resize(ceiling.order[r][:n], n + m) for r in draws]
        yield f"samples/{one.group}", [Subset(rows, labels[rows], n, m) for rows in mixed]
        yield f"matched/{one.group}", [Subset(rows, labels[rows], n + m, 0) for rows in again]


def _lacking(subsets: list[Subset], names: list[str]) -> str:
    """Which label some subset has no image of; empty where every one has all."""
    for subset in subsets:
        for number in sorted(set(range(len(names))) - set(subset.labels.tolist())):
            kind = "synthetic" if subset.n_real == 0 else "training"
            return f"among {len(subset.rows)} {kind} images none is labelled '{names[number]}'"
    return ""


class _Rows:
    """The rows of the artifact, each with its whole protocol."""

    def __init__(self, config: UtilityConfig, images: Images, ceiling: Ceiling):
        self.config, self.about = config, ceiling.about
        self.common = {
            "reference": "heldout",
            "n_real": int(images.heldout.sum()),
            "n_groups": len(np.unique(images.groups[images.heldout])),
            "grouped_by": images.group,
            "extractor": self._extractor(),
            "digest": self.about.get("digest", ""),
            "d": self.about.get("d", 0),
            "eval_resolution": self.about["eval_resolution"],
            "settings": {"probe": config.probe.dump(), "resamples": config.resamples},
            "labels": images.label_names,
            "validation_from": self.about.get("validation_from", ""),
            "seed": self.about["seed"],
            "version": mep.__version__,
        }
        self.rows: list[dict[str, Any]] = []
        self.resampled: list[NDArray[np.float64]] = []

    def _extractor(self) -> str:
        probe = self.config.probe
        return f"{probe.kind} probe" + (f" on {self.config.extractor.name}" if probe.sees == "features" else "")

    def add(self, metric: str, subject: str, group: str, found: Estimate | str, **more: Any) -> None:
        better = BETTER.get(metric, "higher")
        row = {"metric": metric, "subject": subject, "group": group, "better": better} | self.common
        if isinstance(found, str):
            row |= {"value": None, "se": None, "low": None, "high": None, "method": "", "n_fake": 0}
            row |= {"flags": ["no_utility"], "reason": found}
            self.resampled.append(np.full(self.config.resamples, np.nan))
        else:
            row |= {"value": found.value, "se": found.se, "low": found.low, "high": found.high}
            row |= {"method": found.method, "flags": [] if found.se is not None else ["no_spread"]}
            self.resampled.append(found.resampled)
        self.rows.append(row | more)

    def skip(self, reason: str) -> None:
        """One honest gap in the table; nothing at all where nothing was asked for."""
        if self.config.probe.sees != "nothing":
            self.add("auroc", "samples", ALONE, reason)

    def add_all(
        self,
        found: dict[str, Predictions],
        estimates: dict[str, dict[str, Estimate]],
        refusals: dict[str, str],
        heldout: HeldOut,
    ) -> None:
        for group in (ALONE, *(one.group for one in _mixtures(self.config))):
            for metric in BETTER:
                for subject in ("samples", "train", "matched"):
                    name = f"{subject}/{group}"
                    if name in found:
                        self.add(metric, subject, group, estimates[name][metric], **_sizes(found[name]))
                    elif name in refusals and (metric == "auroc" or group == ALONE):
                        self.add(metric, subject, group, refusals[name])
            self._compare(group, found, estimates, heldout)

    def _compare(
        self,
        group: str,
        found: dict[str, Predictions],
        estimates: dict[str, dict[str, Estimate]],
        heldout: HeldOut,
    ) -> None:
        """Synthetic images alone against real ones; a mixture against as many real images."""
        metric, other = ("auroc_gap", "train") if group == ALONE else ("auroc_gain", "matched")
        names = f"samples/{group}", f"{other}/{group}"
        if any(name not in found for name in names):
            return
        first, second = ((found[name], estimates[name]["auroc"]) for name in names)
        delta, p = difference(first, second, heldout)
        more = _sizes(found[names[0]]) | {"p": p}
        if group == ALONE:
            more |= {"margin": self.config.margin, "verdict": verdict(delta, self.config.margin)}
            more["statement"] = statement(first[1], second[1], delta, self.config.margin)
        self.add(metric, "samples", group, delta, **more)

    def as_artifact(self) -> Utility:
        spread = np.stack(self.resampled) if self.rows else np.zeros((0, self.config.resamples))
        return Utility(self.rows, spread)


def _sizes(found: Predictions) -> dict[str, Any]:
    return {
        "n_fake": found.n_fake,
        "n_train_real": found.n_real,
        "trainings": len(found.probabilities),
        "chosen": found.chosen,
    }


def verdict(delta: Estimate, margin: float) -> str:
    """superior, non-inferior, inferior (by more than the margin) or undecided, from the 95 % interval alone."""
    if delta.low is None or delta.high is None:
        return "undecided"
    if delta.low > 0:
        return "superior"
    if delta.low > -margin:
        return "non-inferior"
    return "inferior" if delta.high < -margin else "undecided"


def statement(synthetic: Estimate, real: Estimate, delta: Estimate, margin: float) -> str:
    """The comparison of training on synthetic images with training on real ones, in a sentence or two."""
    areas = f"AUROC {synthetic.value:.3f} after training on synthetic images, {real.value:.3f} on real ones"
    if delta.low is None or delta.high is None:
        return (
            f"{areas}: on these held-out images the two cannot be told apart in any resample; the task is too easy, or "
            "there are too few images, to say what synthetic images are worth."
        )
    told = f"{areas}: a difference of {delta.value:+.3f} (95 % interval {delta.low:+.3f} to {delta.high:+.3f})."
    return (
        told
        + {
            "superior": " The synthetic images are worth more.",
            "non-inferior": f" They are non-inferior: a loss of {margin:g} or more is excluded.",
            "inferior": f" They are inferior: the loss is larger than the margin of {margin:g}.",
            "undecided": f" Non-inferiority is not shown: a loss of {margin:g} is neither excluded nor certain.",
        }[verdict(delta, margin)]
    )
