"""Utility: what a classifier that learned from generated images knows about real ones."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

import mep
from mep.artifacts import Images, RealBaseline, Samples, Utility
from mep.artifacts.score_row import Counts, ProbeProtocol, ScoreProtocol, ScoreRow
from mep.artifacts.scores import part_name
from mep.evaluation.features import features_of
from mep.evaluation.space import n_groups
from mep.machine.work import Work
from mep.methods.probes import Examples, Inputs
from mep.sections.utility import UtilityConfig
from mep.stage import stage
from mep.stages.metrics import SampleSquares, protocol_of_samples
from mep.stages.utility.probing import HeldOut, Predictions, Subset, measure, train_and_predict
from mep.stages.utility.rows import Outcome, Rows, mean_outcome
from mep.stages.utility.tasks import ALONE, Task, tasks_of


@dataclass(frozen=True)
class Mixture:
    """A share of the real training images with synthetic ones; `ratio` of them to each real one, None for all."""

    share: float
    ratio: float | None

    @property
    def group(self) -> str:
        added = "all synthetic" if self.ratio is None else f"{self.ratio:g} synthetic to each"
        return f"{100 * self.share:g} % real + {added}"


@stage(version=5)
def utility(config: UtilityConfig, images: Images, ceiling: RealBaseline, samples: Samples, *, work: Work) -> Utility:
    """Train the probe on synthetic images, alone and beside real ones; test it on real held-out images.

    Rows are as `mep.stages.utility.rows` documents. subject: samples (trained on synthetic images), train (on the
    real images only), matched (on as many real images: fewer of them, or the same ones again). group: all (synthetic
    images alone) or the mixture. Beside the metrics of `mep.stages.utility.probing`, auroc_gap is synthetic
    minus real training, auroc_gain a mixture minus as many real images. Where images may show several findings these
    are means over them, and the rows of each finding, label=..., follow.
    """
    rows = Rows(_template(config, images, ceiling, samples), config.resamples, config.margin)
    if ceiling.reason:
        if config.probe.sees != "nothing":  # where nothing was asked for there is no gap to tell of
            rows.refuse("samples", ALONE, ceiling.reason)
        return Utility(rows.rows, rows.halves())
    groups, refused = _groups(config), ceiling.about.get("refused", {})
    outcomes = list(_outcomes(config, images, ceiling, samples, replace(work, seed=ceiling.about["seed"])))
    means = [mean_outcome(outcomes, list(refused), groups)] if images.findings else []
    for outcome in [*means, *outcomes]:
        for group in groups:
            rows.add_group(group, outcome)
    for finding, why in refused.items():
        rows.refuse("samples", f"label={finding}", why)
    return Utility(rows.rows, rows.halves())


def _template(config: UtilityConfig, images: Images, ceiling: RealBaseline, samples: Samples) -> ScoreRow:
    """A row with what all rows share."""
    held, probe, about = images.held_out, config.probe, ceiling.about.get("protocol", {})
    samples_protocol, flags = protocol_of_samples(samples, images.ids)
    columns = about | samples_protocol
    space = f" on normalised {about['extractor']}" if about.get("extractor") else ""
    columns["extractor"] = f"{probe.kind} probe{space}"
    columns |= {"eval_resolution": ceiling.about["eval_resolution"], "seed": ceiling.about["seed"]}
    columns["settings"] = {"probe": probe.dump(), "resamples": config.resamples}
    return ScoreRow(
        metric="",
        subject="",
        counts=Counts(len(held), 0, len(held), len(samples), n_groups(None if images.group is None else held.groups)),
        protocol=ScoreProtocol.from_json(columns),
        version=mep.__version__,
        flags=list(flags),
        probe=ProbeProtocol(images.group, images.label_names, ceiling.about.get("validation_from", "")),
    )


def _outcomes(
    config: UtilityConfig, images: Images, ceiling: RealBaseline, samples: Samples, work: Work
) -> Iterator[Outcome]:
    """What came of every task that probes can be trained for."""
    read, made = _pool(config, images, ceiling, samples, work)
    heldout, listed = np.flatnonzero(images.heldout), samples.rows
    tasks = [task for task in tasks_of(images) if task.finding not in ceiling.about.get("refused", {})]
    for number, task in enumerate(tasks):
        labels = np.r_[task.labels, task.of_samples(images, listed)].astype(np.int64)
        watched, tested = (Examples(read, rows, labels[rows]) for rows in (ceiling.validation, heldout))
        predictions, refusals = dict(_of_real(config, ceiling, task)), {}
        planned = list(_planned(config, ceiling, (task.finding, labels), made))
        for place, (name, subsets) in enumerate(planned):
            why = subsets if isinstance(subsets, str) else _lacking(subsets, task.names)
            if why or isinstance(subsets, str):
                refusals[name] = why
            else:
                training = task.called(name)
                predictions[name] = train_and_predict(config.probe, training, subsets, watched, tested, work)
            work.progress.update(number * len(planned) + place + 1, len(tasks) * len(planned))
        known = HeldOut(task.labels[heldout], images.groups[heldout], images.strata[heldout])
        estimates = measure(predictions, known, config.resamples, ceiling.about["seed"])
        yield Outcome(task, known, predictions, refusals, estimates)


def _pool(
    config: UtilityConfig, images: Images, ceiling: RealBaseline, samples: Samples, work: Work
) -> tuple[Inputs, NDArray[np.int64]]:
    """Inputs of real images followed by samples, and the rows of labelled samples in random order."""
    listed, n, size = samples.rows, len(images), ceiling.about["eval_resolution"]
    made = np.flatnonzero([row["label"] in images.label_names for row in listed]) + n
    rng = np.random.default_rng([ceiling.about["seed"], len(made)])
    pixels = SampleSquares.of(samples, size)
    if config.probe.sees == "features" and listed:
        table = np.r_[ceiling.features, features_of("features", pixels, len(listed), config.extractor, work)]
        return lambda rows: table[rows], rng.permutation(made)

    def read(rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        return np.stack([pixels([row - n])[0] if row >= n else images.read_square(int(row), size) for row in rows])

    return read, rng.permutation(made)


def _of_real(config: UtilityConfig, ceiling: RealBaseline, task: Task) -> Iterator[tuple[str, Predictions]]:
    """Probes trained on real images only, from the stage before."""
    n = ceiling.order.shape[1]
    for part, probabilities in ceiling.probabilities.items():
        finding, share = part
        if finding != task.finding:
            continue
        chosen = ceiling.about["chosen"][part_name(part)]
        predictions = Predictions(probabilities, ceiling.cuts[part], max(round(share * n), 1), 0, chosen)
        if share == 1:
            yield f"train/{ALONE}", predictions
        for mixture in _mixtures(config):
            if mixture.share == share:
                yield f"train/{mixture.group}", predictions


def _mixtures(config: UtilityConfig) -> list[Mixture]:
    return [Mixture(share, ratio) for share in config.fractions for ratio in config.ratios or (None,)]


def _groups(config: UtilityConfig) -> list[str]:
    return [ALONE, *(mixture.group for mixture in _mixtures(config))]


def _planned(
    config: UtilityConfig, ceiling: RealBaseline, task: tuple[str, NDArray[np.int64]], made: NDArray[np.int64]
) -> Iterator[tuple[str, list[Subset] | str]]:
    """subject/group -> the subsets to train on, or why there are none.

    task    the finding, and the class of every real image and sample
    """
    finding, labels = task
    n_all = ceiling.order.shape[1]
    n_once = len(ceiling.order) if config.probe.draws else 1
    if not len(made):
        why = "no generated image carries a label: there is none, or captions name none"
        yield from ((f"samples/{group}", why) for group in _groups(config))
        return
    yield f"samples/{ALONE}", [Subset(made, labels[made], 0, len(made))] * n_once
    if len(made) < n_all:
        fewer = ceiling.order[:, : len(made)]
        yield f"matched/{ALONE}", [Subset(rows, labels[rows], len(made), 0) for rows in fewer]
    for mixture in _mixtures(config):
        n = max(round(mixture.share * n_all), 1)
        if (finding, mixture.share) not in ceiling.probabilities:
            yield f"train/{mixture.group}", f"a draw of {n} real images holds none of some label"
        m = len(made) if mixture.ratio is None else round(mixture.ratio * n)
        if m > len(made):
            yield f"samples/{mixture.group}", f"{m} labelled synthetic images are needed, there are {len(made)}"
            continue
        is_whole = mixture.share == 1 and m == len(made)
        yield from _mixed(mixture.group, ceiling.order[: n_once if is_whole else None, :n], made, m, labels)


def _mixed(
    group: str, real: NDArray[np.int64], made: NDArray[np.int64], m: int, labels: NDArray[np.int64]
) -> Iterator[tuple[str, list[Subset]]]:
    """The draws of real images with m synthetic ones each, and as many real ones: the same ones again."""
    n = real.shape[1]
    mixed = [np.r_[rows, np.roll(made, -draw * m)[:m]] for draw, rows in enumerate(real)]
    again = [np.resize(rows, n + m) for rows in real]
    yield f"samples/{group}", [Subset(rows, labels[rows], n, m) for rows in mixed]
    yield f"matched/{group}", [Subset(rows, labels[rows], n + m, 0) for rows in again]


def _lacking(subsets: list[Subset], names: list[str]) -> str:
    """Which label some subset has no image of; empty where every one has all."""
    for subset in subsets:
        for number in sorted(set(range(len(names))) - set(subset.labels.tolist())):
            kind = "synthetic" if subset.n_real == 0 else "training"
            return f"among {len(subset.rows)} {kind} images none is labelled '{names[number]}'"
    return ""
