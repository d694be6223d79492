"""How the tables in this folder were made: `python make.py` writes them again. Copy it to write your own.

Each table has a row an image. The column `id` names it by its path below the dataset's folder, or by its file name.
Here a pretrained network (EfficientNet-Lite0) makes the vectors, and thresholds on two stains stand in for an expert.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from skimage.color import rgb2hed
from sklearn.decomposition import PCA

from mep.methods.extractors.efficientnet_lite0 import EfficientNetLite0
from mep.methods.sources.sample import Sample

HERE = Path(__file__).parent


def main() -> None:
    source = Sample(kind="sample", tile_px=48, stride_px=16)
    ids = [record.id for record in source.records()]
    tiles = np.stack([np.asarray(source.open(name)) for name in ids])

    features = EfficientNetLite0(kind="efficientnet_lite0").load("cpu")(tiles)
    vectors = PCA(16, random_state=0).fit_transform(features).astype(np.float32)
    pd.DataFrame({"id": ids, "vector": list(vectors)}).to_parquet(HERE / "vectors.parquet")

    stain = np.stack([rgb2hed(tile) for tile in tiles]).mean((1, 2))  # haematoxylin, eosin, DAB
    glass = (tiles.min(-1) > 200).mean((1, 2))
    brown, blue = stain[:, 2] > np.median(stain[:, 2]), stain[:, 0] > np.median(stain[:, 0])
    types = np.where(
        brown, np.where(blue, "crowded epithelium", "epithelium"), np.where(blue, "cellular stroma", "stroma")
    )
    pd.DataFrame({"id": ids, "type": types}).to_csv(HERE / "types.csv", index=False)

    amount = np.select([glass > 0.3, glass > 0.1], ["a wide lumen", "a narrow lumen"], "no lumen")
    text = [f"Immunohistochemistry of the colon: {kind}, {lumen}" for kind, lumen in zip(types, amount, strict=True)]
    pd.DataFrame({"id": ids, "text": text}).to_csv(HERE / "captions.csv", index=False)

    empty = np.flatnonzero(glass > 0.85)
    pd.DataFrame({"id": [ids[row] for row in empty], "why": "mostly glass"}).to_csv(HERE / "exclude.csv", index=False)


if __name__ == "__main__":
    main()
