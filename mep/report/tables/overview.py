"""Which metrics lead: the headline, those of an overview, and what each of them asks."""

from collections.abc import Iterable

from mep.report.data.arms import Key
from mep.report.wording import ATTACK_ENDS, ATTACKS

GROUPS = {
    "quality": ("Quality", "do they look like real images that the model has never seen?"),
    "variety": ("Variety", "do they show everything that real images show?"),
    "copies": ("Copies", "are they new, or do they repeat training images?"),
    "prompts": ("Prompts", "do they show what their captions ask for?"),
    "usefulness": ("Usefulness", "does a classifier that learns from them work on real images?"),
    "opinion": ("Second opinion", "does the answer hang on the features?"),
    "dataset": ("Dataset", "how far is it from real images in their natural mix?"),
    "other": ("Other", "what else was measured"),
}
"""Group of metrics -> its title, and what it asks; in the order of a table."""

OF_TRAINING_IMAGES = [f"{attack}{end}" for attack in ATTACKS for end in ATTACK_ENDS]
"""Metrics of attacks, which compare no generated images but training images with held-out ones."""
MEMBERS = {
    "quality": (
        *("kid", "fd", "fid", "cmmd", "precision", "density", "fd_excess", "fid_excess", "fd_infinity", "fd_null"),
        *("kid_subsets", "kid_subsets_std", "mmd_rbf"),
    ),
    "variety": ("recall", "coverage", "vendi"),
    "copies": (
        *("copy_rate", "authenticity", "nn_ratio", "nn_distance", "ct", "fd_gap", "fid_gap", "kid_gap"),
        *OF_TRAINING_IMAGES,
    ),
    "prompts": ("label_adherence", "finding_adherence", "finding_auroc", "cluster_adherence"),
    "usefulness": ("auroc", "auroc_gap", "auroc_gain", "accuracy", "balanced_accuracy", "ece"),
}
"""Group -> its metrics, the one to look at first in front."""
GROUP_OF = {metric: group for group, metrics in MEMBERS.items() for metric in metrics}

OVERVIEW = (
    *("kid", "fd", "fid", "cmmd", "precision", "density", "recall", "coverage", "copy_rate"),
    *("label_adherence", "finding_auroc", "cluster_adherence", "auroc", "auroc_gap"),
)
"""Metrics of a table that nobody chose columns for; the others are a --columns away."""
HEADLINES = ("kid", "fid", "fd")
"""What the verdict speaks of: the first of these that there is."""
ON_ONE_SCREEN = ("kid", "recall", "copy_rate", "label_adherence", "auroc", "cluster_adherence", "fd", "fid")
"""What the end of a run shows, the first the most important: a small screen leaves out the last."""
DISTANCES = ("kid", "fd", "fid")
"""What is shown of the dataset as it is, where the matched images lead."""


def headline_of(keys: Iterable[Key]) -> Key | None:
    """What the verdict speaks of: the kernel distance in the first extractor, to matched images where there are some.

    Without one it is a Fréchet distance, then the first number of all images; None where there is none.
    """
    whole = [key for key in keys if key[2] == "all"]
    for metric in HEADLINES:
        named = [key for key in whole if key[1] == metric and key[3] in ("matched", "heldout")]
        first = [key for key in named if key[0] == named[0][0]]
        if first:
            return next((key for key in first if key[3] == "matched"), first[0])
    return whole[0] if whole else None


def group_of(key: Key, keys: Iterable[Key]) -> str:
    """The group that a metric stands in, among all that there are."""
    extractor, metric, group, reference = key
    if metric not in GROUP_OF:
        return "other"
    if reference == "train":
        return "copies"
    alike = [other for other in keys if other[1] == metric and other[2] == group and other[3] != "train"]
    if alike and alike[0][0] != extractor:
        return "opinion"
    is_led = reference == "heldout" and any(other[3] == "matched" for other in alike if other[0] == extractor)
    return "dataset" if is_led else GROUP_OF[metric]


def overview_of(keys: Iterable[Key]) -> frozenset[Key]:
    """The metrics that a table shows where nobody chose any."""
    keys = list(keys)
    firsts = {metric: extractor for extractor, metric, *_ in reversed(keys)}
    chosen = set()
    for key in keys:
        extractor, metric, group, reference = key
        if group != "all" or metric not in OVERVIEW or (reference == "train" and metric != "copy_rate"):
            continue
        of = group_of(key, keys)
        leads = headline_of(other for other in keys if other[0] == extractor) == key
        if (
            (of == "opinion" and leads)
            or (of == "dataset" and metric in DISTANCES)
            or (of not in ("opinion", "dataset") and firsts[metric] == extractor)
        ):
            chosen.add(key)
    return frozenset(chosen)
