"""Privacy of an arm whose images were made elsewhere: there is no model to ask, so only its images are looked at."""

from mep.artifacts import Assignment, Clusters, Images, Privacy, References, Samples, TrainingSet
from mep.machine.work import Work
from mep.stage import stage
from mep.stages.privacy.stage import AttackConfig, Attacks

NO_MODEL = "the images of this arm were made elsewhere, and there is no model to ask"


@stage(version=2, section="privacy")
def given_privacy(  # noqa: PLR0913  (the parameters of a stage declare what it reads)
    config: AttackConfig,
    images: Images,
    training_set: TrainingSet,
    clusters: Clusters,
    references: References,
    assignment: Assignment,
    samples: Samples,
    *,
    work: Work,
) -> Privacy:
    """Try to tell training images from held-out ones by the nearest of the synthetic images that were given."""
    attacks = Attacks.of(config, images, training_set, clusters, assignment, work)
    if attacks.possible:
        if "loss" in config.attacks:
            attacks.refuse("loss", NO_MODEL)
        if "nearest" in config.attacks:
            attacks.by_nearest(references, samples)
    return attacks.result()
