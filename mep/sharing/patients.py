"""What a card says of the patients behind it: what stayed behind, what was tried, and what that does not prove."""

from collections.abc import Iterator

from mep.artifacts import Images
from mep.sharing.finished import Finished
from mep.sharing.selection import FEWEST, Selection

STAYED = """\
- None of these real images is here. Nor are their file names, the table that came with them, thumbnails, features or \
folders."""
LIMITS = """\
- This does not prove that no patient can be found. A generative model can give back what it has seen, and a check in \
one feature space does not see every copy. Do not try to identify anybody. If you believe that you see a patient, tell \
who published this."""


def learned_from(images: Images | None) -> str:
    """How many real images, of how many patients or slides, the model has seen."""
    if images is None:
        return "- The model was trained on real medical images. How many patients they are from is not known here."
    train = images.train
    of = f" of {len(set(train.groups.tolist()))} groups (`{images.group}`)" if images.group else ""
    split = "" if images.group else " How many patients they are from is not known."
    return f"- The model was trained on real medical images: at most {len(train)}{of}.{split}"


def draws_from_images(shared: Finished) -> bool:
    """Whether the model is told the vector of a real image with every caption."""
    experiment = shared.arm.experiment
    of_image = getattr(experiment.training.conditioning, "vector", "") == "image"
    return of_image and getattr(experiment.generation, "vectors", "") == "trained"


def patients_part(shared: Finished, chosen: Selection) -> Iterator[str]:
    """Lines of a list: what stayed behind, what was tried, what that does not prove."""
    yield STAYED
    copied = [
        (metric.name, metric.extractor, number.shown, metric.references)
        for metric in shared.comparison.metrics
        if metric.metric == "copy_rate"
        and metric.group == "all"
        and (number := metric.arms.get(shared.label))
        and number.value is not None
    ]
    for name, extractor, shown, _ in copied[:1]:
        yield f"- {name[0].upper()}{name[1:]} in `{extractor}`: {shown}. Real held-out images have 0.01."
    for metric in shared.comparison.metrics:
        number = metric.arms.get(shared.label)
        if metric.metric.startswith("membership_") and metric.in_overview and number and number.value is not None:
            yield f"- {metric.name[0].upper()}{metric.name[1:]}: {number.shown}; 0.5 is chance."
    yield f"- {chosen.told}"
    if draws_from_images(shared):
        yield "- Each image was drawn from the vector of one training image: it is a variation of that image."
    if chosen.n_silent:
        yield (
            f"- {chosen.n_silent} of {len(chosen.captions)} captions stayed behind: they hold words from the dataset"
            f" that fewer than {FEWEST} patients share, or were not to leave."
        )
    yield LIMITS
