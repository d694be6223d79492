"""Outliers: images that should not shape a cluster or a caption."""

from mep.artifacts import TRAIN, Embeddings, Images, Inliers
from mep.config import Config
from mep.errors import DataError
from mep.machine.work import Work
from mep.methods.detectors import Detector
from mep.registry import OneOf
from mep.stage import stage


class OutliersConfig(Config):
    """Which detector decides."""

    method: OneOf[Detector]


@stage(version=3, draws=True)
def outliers(config: OutliersConfig, images: Images, embeddings: Embeddings, *, work: Work) -> Inliers:
    """Tell which images stay, and why the others go; what is fitted is fitted on training images."""
    seen = images.select(embeddings.ids)
    train = seen.splits == TRAIN
    verdict = config.method.inspect(seen, embeddings.vectors, train, work)
    if not verdict.mask[train].any():
        raise DataError(
            "every training image was found an outlier",
            hint="the thresholds of 'hsv' are made for H&E histology; try {kind: quantile} or {kind: none}",
            field="outliers.method",
        )
    return Inliers(seen.ids, verdict.mask, verdict.reasons, verdict.features)
