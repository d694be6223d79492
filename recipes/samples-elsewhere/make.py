"""How the images in this folder were made: `python make.py` writes them again. Any program may stand in its place.

Tiles of each label are described by 48 principal components; new ones come from a Gaussian of their mean and variances.
"""

import json
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.decomposition import PCA

from mep.methods.sources.sample import Sample

HERE = Path(__file__).parent
N = 24


def main() -> None:
    source = Sample(kind="sample", tile_px=48, stride_px=16)
    train = [record for record in source.records() if record.split == "train"]
    rows = []
    for label in ("stained", "unstained"):
        ids = [record.id for record in train if record.metadata["stain"] == label]
        tiles = np.stack([np.asarray(source.open(name)).ravel() for name in ids]).astype(float)
        pca = PCA(48, random_state=0).fit(tiles)
        codes = np.random.default_rng(0).normal(size=(N, 48)) * np.sqrt(pca.explained_variance_)
        for number, pixels in enumerate(pca.inverse_transform(codes).clip(0, 255).astype(np.uint8)):
            name = f"{label}-{number:02d}.png"
            Image.fromarray(pixels.reshape(48, 48, 3)).save(HERE / name, optimize=True)
            rows.append({"file_name": name, "stain": label})
    (HERE / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


if __name__ == "__main__":
    main()
