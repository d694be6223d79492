"""What a number depends on, and whether two numbers may stand in one column.

Every row of `Scores` carries its protocol. Two rows are alike when every field of `COMPARED` is the same; sampler,
guidance, steps and training are what an experiment varies, so they are recorded and not compared.
"""

from collections.abc import Mapping
from typing import Any

from mep.config import canonical_json

COMPARED = {
    "reference": "the reference set",
    "digest": "the weights of the extractor",
    "layer": "the layer of the extractor",
    "d": "the width of the features",
    "preprocessing": "the preprocessing",
    "eval_resolution": "the resolution",
    "resize": "the way of resizing",
    "image_format": "the image files",
    "dtype": "the arithmetic",
    "n_real": "the number of real images",
    "n_fake": "the number of generated images",
    "k": "the number of neighbours",
    "kernel": "the kernel",
    "settings": "the settings of the score",
    "seed": "the seed of subsets and halves",
}
"""Field of a row -> what to call it in "they differ in ...". A field that neither row has is alike."""


def unlike(row_a: Mapping[str, Any], row_b: Mapping[str, Any]) -> list[str]:
    """What keeps two numbers from being compared, in words; empty where nothing does."""
    return [
        words for name, words in COMPARED.items() if canonical_json(row_a.get(name)) != canonical_json(row_b.get(name))
    ]
