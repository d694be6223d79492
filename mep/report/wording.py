"""What tables call things: metrics, references, extractors, flags."""

NAMES = {
    "fd": "Fréchet distance",
    "fid": "Fréchet inception distance",
    "fd_excess": "Fréchet distance beyond that of real images",
    "fid_excess": "Fréchet inception distance beyond that of real images",
    "kid": "kernel distance",
    "copy_rate": "share of near copies",
    "cluster_adherence": "share of images in the cluster of their caption",
    "label_adherence": "share of images that look like their label",
    "finding_adherence": "share of images that show the finding of their caption",
    "finding_auroc": "AUROC of telling images that were asked for a finding from the others",
    "auroc": "AUROC of a classifier trained on synthetic images",
    "auroc_gap": "AUROC lost by training on synthetic instead of real images",
    "ece": "expected calibration error",
    "precision": "precision",
    "recall": "recall",
    "density": "density",
    "coverage": "coverage",
    "fd_null": "Fréchet distance of real images",
    "fd_gap": "Fréchet distance, held-out beyond training images",
    "fd_infinity": "Fréchet distance of endless sets",
    "kid_gap": "kernel distance, held-out beyond training images",
    "kid_subsets": "kernel distance over subsets",
    "kid_subsets_std": "spread of the kernel distance over subsets",
    "cmmd": "CLIP mean discrepancy",
    "mmd_rbf": "mean discrepancy",
    "vendi": "Vendi score",
    "authenticity": "authenticity",
    "nn_ratio": "nearest over second-nearest training image",
    "nn_distance": "distance to the nearest training image",
    "ct": "C_T, below 0 nearer to training than held-out images are",
}
"""Metric -> its long name."""
ATTACKS = {
    "membership_loss": "by the model's loss",
    "membership_calibrated": "by what its loss has gained over the base's",
    "membership_nearest": "by the nearest synthetic image",
}
"""Metric of an attack -> how it goes about it."""
ATTACK_ENDS = {
    "": "AUROC of telling training from held-out images {how}",
    "_excess": "AUROC of telling them apart {how}, beyond that of unseen images",
    "_tpr10": "share of training images found {how} at 10 % false alarms",
    "_tpr1": "share of training images found {how} at 1 % false alarms",
}
"""What follows the name of an attack's metric -> what that is."""
NAMES |= {f"{one}{end}": what.format(how=how) for one, how in ATTACKS.items() for end, what in ATTACK_ENDS.items()}

SCALES = {"kid": 1000, "kid_gap": 1000, "kid_subsets": 1000, "kid_subsets_std": 1000}
"""Metric -> factor in tables."""

SHORT = {"cluster_adherence": "right type", "label_adherence": "right label", "copy_rate": "copies"}
SHORT |= {"finding_adherence": "right finding", "finding_auroc": "finding AUROC"}
SHORT |= {"auroc": "AUROC", "auroc_gap": "AUROC gap", "auroc_gain": "AUROC gain"}
"""Metric -> what its row says, where the name is no word of the field."""

ARROWS = {"lower": "↓", "higher": "↑"}
MEASURED = "samples"
REFERENCES = {
    "train": "real training images",
    "heldout": "real held-out images",
    "floor": "autoencoder floor",
    "matched": "as many real images",
}
"""Subjects that are no arm's images -> what tables call them."""

EXTRACTORS = {
    "efficientnet_lite0": "a network trained on photographs (EfficientNet-lite0, ImageNet). It sees sharpness and "
    "morphology; its distances are not comparable with published FID values, which is why the metric is called fd",
    "random_conv": "a network with seeded random weights, after Naeem et al. 2020 (arXiv:2002.09797): a cheap second "
    "opinion, which hardly notices where blocks of an image have changed places. Its distances "
    "are not comparable with published FID values, which is why the metric is called fd and not fid",
    "membership": "the generator's own loss, which an attacker asks for who has the model. 0.5 is chance",
    "assignment": "the recipe's own embedder and clusters. It says whether images show what captions asked for, not "
    "how good they are",
    "inception": "Inception-v3 as Clean-FID has it (Parmar et al. 2022, arXiv:2104.11222)",
    "handcrafted": "histograms of colour and texture. Its distances are not comparable with published FID values, "
    "which is why the metric is called fd and not fid",
}
"""Extractor -> what a reader of its numbers has to know."""

FLAGS = {
    "rank_deficient": "as many feature dimensions as images or more: the Fréchet distance then tells more about the "
    "number of images than about the images",
    "groups_left_out": "some groups are too small and left out",
    "few_groups": "fewer than ten slides or patients: the error is itself a guess",
    "unlike_formats": "real and generated images are stored in unlike formats, one of them lossy",
    "some_refused": "some generated images were black, constant or not finite, and left out",
    "no_utility": "no classifier could be trained",
    "no_spread": "no uncertainty can be given",
    "unlike_channels": "grey images on one side, colour on the other",
    "too_few_images": "too few images for this score, and an honest gap is better than a wrong number",
}
"""Flag of a number -> what it means."""

SILENT_FLAGS = ("no_value",)
"""Flags of numbers that there is nothing to say about: a gap that is no lack."""
