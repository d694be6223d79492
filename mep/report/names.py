"""What tables call things: metrics, references, extractors, flags."""

NAMES = {
    "fd": "Fréchet distance",
    "kid": "kernel distance",
    "precision": "precision",
    "recall": "recall",
    "density": "density",
    "coverage": "coverage",
}
"""Metric -> its long name."""

SCALES = {"kid": 1000}
"""Metric -> factor in tables."""

ARROWS = {"lower": "↓", "higher": "↑"}

MEASURED = "samples"
REFERENCES = {"train": "real training images", "floor": "autoencoder floor"}
"""Subjects that are no arm's images -> what tables call them."""

EXTRACTORS = {
    "random_conv": "a network with seeded random weights, after Naeem et al. 2020 (arXiv:2002.09797). Its distances "
    "are not comparable with published FID values, which is why the metric is called fd and not fid",
    "handcrafted": "histograms of colour and texture. Its distances are not comparable with published FID values, "
    "which is why the metric is called fd and not fid",
}
"""Extractor -> what a reader of its numbers has to know."""

FLAGS = {
    "rank_deficient": "as many feature dimensions as images or more: the Fréchet distance then tells more about the "
    "number of images than about the images",
    "too_few_images": "too few images for this score, and an honest gap is better than a wrong number",
}
"""Flag of a number -> what it means."""
