"""The section `outliers`: which images are left out of clusters and captions."""

from mep.config import Config
from mep.methods.detectors import Detector
from mep.registry import OneOf


class OutliersConfig(Config):
    """Which detector decides."""

    method: OneOf[Detector]
