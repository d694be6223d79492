"""Outliers: images that should not shape a cluster or a caption."""

from mep.artifacts import TRAIN, Embeddings, Images, Inliers
from mep.errors import DataError
from mep.machine.work import Work
from mep.sections.outliers import OutliersConfig
from mep.stage import stage


@stage(version=3, draws=True)
def outliers(config: OutliersConfig, images: Images, embeddings: Embeddings, *, work: Work) -> Inliers:
    """Say which images stay, and why the others go; detectors are fitted on training images alone."""
    config.method.check(images)
    embedded = images.select(embeddings.ids)
    train = embedded.splits == TRAIN
    verdict = config.method.inspect(embedded, embeddings.vectors, train, work)
    if not verdict.mask[train].any():
        raise DataError(
            "every training image was found an outlier",
            hint="the thresholds of 'hsv' are made for H&E histology; try {kind: quantile} or {kind: none}"
            if config.method.kind != "given"
            else "leave some of them in",
            field="outliers.method",
        )
    return Inliers(embedded.ids, verdict.mask, verdict.reasons, verdict.features)
