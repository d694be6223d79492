"""Metrics: generated against held-out images, with uncertainty and protocol."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

import mep
from mep.artifacts import References, Samples, Scores
from mep.pixels import square
from mep.registry import OneOf
from mep.scores import Score
from mep.scores.frechet import Frechet
from mep.scores.kid import Kid
from mep.scores.prdc import Prdc
from mep.stage import Work, stage
from mep.stages.references import ReadBatch, ReferencesConfig, features_of
from mep.uncertainty import halves, standard_error

N_HALVES = 40
"""Random halves of the delete-half jackknife."""


class MetricsConfig(ReferencesConfig):
    """What is measured, and in which feature spaces."""

    scores: tuple[OneOf[Score], ...] = Field(
        (Frechet(kind="frechet"), Kid(kind="kid"), Prdc(kind="prdc")), min_length=1
    )
    """Comparisons of generated with held-out images."""


@stage(version=1, draws=True)
def metrics(config: MetricsConfig, references: References, samples: Samples, *, work: Work) -> Scores:
    """Score generated against held-out images, beside what real images and reconstructions reach.

    All sets are subsampled, seeded, to the size of the smallest. Every row holds: metric, subject (samples; train:
    real training images; floor: reconstructions of the held-out images), value (None where there are too few images),
    se (delete-half jackknife), better, reference, n_real, n_fake, extractor and its digest, d, eval_resolution,
    settings of the score, seed, version, flags.
    """
    rows: list[dict[str, Any]] = []
    spread: list[NDArray[np.float64]] = []
    listed = samples.rows
    for extractor in config.extractors:
        protocol = references.protocol[extractor.name]
        size = protocol["eval_resolution"]
        sets = references.features[extractor.name]
        made = features_of(
            f"{extractor.name}-samples",
            _reader(samples, listed, size),
            len(listed),
            extractor.load(work.device),
            work,
        )
        n = min(len(sets["heldout"]), len(sets["train"]), len(made))
        keep = work.rng("heldout").permutation(len(sets["heldout"]))[:n]
        real = sets["heldout"][keep]
        subjects = {
            "samples": made[work.rng("samples").permutation(len(made))[:n]],
            "train": sets["train"][:n],
            "floor": sets["floor"][keep],
        }
        for score in config.scores:
            for subject, fake in subjects.items():
                found = _measure(score, real, fake, work.seed)
                for metric, (value, se, half_values) in found.items():
                    flags = ["rank_deficient"] if n <= protocol["d"] else []
                    flags += ["too_few_images"] if value is None else []
                    rows.append(
                        {"metric": metric, "subject": subject, "value": value, "se": se}
                        | {"better": score.better[metric], "reference": "heldout", "group": "all"}
                        | {"n_real": len(real), "n_fake": len(fake), "extractor": extractor.name}
                        | protocol
                        | {"settings": score.dump(), "seed": work.seed, "version": mep.__version__, "flags": flags}
                    )
                    spread.append(half_values)
    return Scores(rows, np.stack(spread))


def _reader(samples: Samples, listed: list[dict[str, Any]], size: int) -> ReadBatch:
    return lambda batch: np.stack([square(samples.read(listed[row]), size) for row in batch])


def _measure(
    score: Score, real: NDArray[Any], fake: NDArray[Any], seed: int
) -> dict[str, tuple[float | None, float | None, NDArray[np.float64]]]:
    """Metric -> value, standard error, values on halves; None and nan where there are too few images."""
    n, unknown = min(len(real), len(fake)), np.full(N_HALVES, np.nan)
    if n < score.minimum():
        return dict.fromkeys(score.better, (None, None, unknown))
    values = score.measure(real, fake)
    if n // 2 < score.minimum():
        return {metric: (value, None, unknown) for metric, value in values.items()}
    found = halves(score, real, fake, n_halves=N_HALVES, seed=seed)
    return {metric: (value, standard_error(found[metric]), found[metric]) for metric, value in values.items()}
