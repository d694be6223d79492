"""What each metric asks, in one plain sentence: how its tooltip begins."""

from mep.report.tables.comparison import Metric

MEANINGS = {
    "kid": "How far the generated images lie from real ones; 0 means that they cannot be told apart on average.",
    "fd": "How far the generated images lie from real ones, by their mean and their spread.",
    "fid": "How far the generated images lie from real ones, by their mean and their spread.",
    "fd_excess": "How much further the generated images lie from held-out ones than two halves of real images do.",
    "fid_excess": "How much further the generated images lie from held-out ones than two halves of real images do.",
    "cmmd": "How far the generated images lie from real ones, in features that were learned with captions.",
    "precision": "The share of generated images that lie among the real ones.",
    "density": "How densely real images lie around the generated ones; 1 is what real images reach.",
    "recall": "The share of real images that lie among the generated ones: how much of the variety is there.",
    "coverage": "The share of real images that have a generated one beside them.",
    "vendi": "How many different images there are, so to speak.",
    "copy_rate": "The share of generated images that come suspiciously near to one training image.",
    "membership_loss": "How well somebody who has the model tells its training images from others; 0.5 is chance.",
    "membership_nearest": "How well somebody with the images alone tells training images from others; 0.5 is chance.",
    "authenticity": "The share of generated images that are no nearer to a training image than its neighbours are.",
    "cluster_adherence": "The share of images that show the type of tissue that their caption asked for.",
    "label_adherence": "The share of images that look like the label that their caption asked for.",
    "finding_adherence": "The share of images that show a finding that their caption asked for, whatever else they "
    "show: the mean over the findings.",
    "finding_auroc": "How surely images that were asked for a finding are told from the others by it: the mean over "
    "the findings, 0.5 is chance.",
    "auroc": "How well a classifier that learned from these images tells real ones apart; 1 is perfect, 0.5 chance.",
    "auroc_gap": "What a classifier loses by learning from synthetic instead of real images.",
    "auroc_gain": "What a classifier gains by learning from synthetic images beside real ones.",
    "balanced_accuracy": "The share that a classifier gets right, every label counting alike.",
    "sensitivity": "The share of positive images that a classifier finds.",
    "specificity": "The share of negative images that a classifier leaves alone.",
    "ece": "How far a classifier's confidence lies from how often it is right.",
}
SIDES = {"lower": "Lower is better.", "higher": "Higher is better."}


def meaning_of(metric: Metric) -> str:
    """One or two plain sentences."""
    name = metric.name
    asks = MEANINGS.get(metric.metric, f"{name[0].upper()}{name[1:]}.")
    return " ".join(filter(None, [asks, SIDES.get(metric.better, "")]))
