"""Do the captions of the quickstart steer its models? python tests/bench/quickstart_adherence.py runs

For every synthetic dataset in a store: the probability that an image asked to be stained has a higher DAB optical
density than one asked to be unstained (the area under the ROC curve; 0.5 where captions are ignored), beside the value
of the real held-out tiles.
"""

import sys
from pathlib import Path

import numpy as np
from skimage.color import rgb2hed
from sklearn.metrics import roc_auc_score

from mep.artifacts import Samples
from mep.methods.sources.sample import Sample


def dab(pixels):
    return rgb2hed(pixels)[..., 2].mean()


def main(root: str) -> None:
    source = Sample(kind="sample", tile_px=48)
    held_out = [record for record in source.records() if record.split == "heldout"]
    stained = [record.metadata["stain"] == "stained" for record in held_out]
    density = [dab(np.asarray(source.open(record.id))) for record in held_out]
    print(f"{roc_auc_score(stained, density):.3f}  real held-out tiles")
    for folder in sorted((Path(root) / "store" / "generation").iterdir()):
        samples = Samples(folder)
        rows = samples.rows
        area = roc_auc_score([row["label"] == "stained" for row in rows], [dab(samples.read(row)) for row in rows])
        print(f"{area:.3f}  {rows[0]['text']}")


if __name__ == "__main__":
    main(*sys.argv[1:])
