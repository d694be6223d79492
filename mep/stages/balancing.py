"""Balancing: which images the model is trained on, picked by (label, cluster) and never by caption."""

from mep.artifacts import Clusters, Images, TrainingSet
from mep.balancers import Balancer
from mep.config import Config
from mep.errors import DataError
from mep.registry import OneOf
from mep.stage import Work, stage


class BalancingConfig(Config):
    """What picks the training images."""

    method: OneOf[Balancer]


@stage(version=1, draws=True)
def balancing(config: BalancingConfig, images: Images, clusters: Clusters, *, work: Work) -> TrainingSet:
    """Pick the training images so that labels and clusters are represented as wanted."""
    train = images.select(clusters.ids)
    choice = config.method.pick(train.labels, clusters.labels, images.label_names, seed=work.seed)
    if len(choice.rows) == 0:
        raise DataError("balancing leaves no training image", field="balancing.method")
    picked = train.take(choice.rows)
    return TrainingSet(
        ids=picked.ids,
        labels=[picked.label_of(row) for row in range(len(picked))],
        clusters=clusters.labels[choice.rows],
        weights=choice.weights,
        shortage=choice.shortage,
    )
