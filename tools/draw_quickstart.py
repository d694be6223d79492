"""Draw docs/quickstart.png from a finished run: python tools/draw_quickstart.py runs [RUN]

Rows: real held-out tiles; the same after the autoencoder; samples of each arm, without the controls. Tiles and samples
are picked by a seed.
"""

import sys
from itertools import filterfalse
from pathlib import Path

import numpy as np
from PIL import Image

from mep.recipe import load_recipe
from mep.recipe.controls import is_control
from mep.runner.plan import make_plan
from mep.stages.references import reconstructor
from mep.store import Store
from mep.store.runs import find_run

COLUMNS, SCALE, GAP = 12, 2, 4


def main(root: str, name: str | None = None) -> None:
    store = Store(Path(root))
    recipe = load_recipe(store.run_folder(find_run(store, name)["run_id"]) / "recipe.lock.yaml")
    plan = make_plan(recipe, store)
    rng = np.random.default_rng(0)
    rows = []
    for arm in filterfalse(is_control, recipe.arms):
        made = {
            stage: store.load(task.stage.output, task.artifact_id, task.config)
            for stage, task in plan.of_arm(arm).items()
        }
        if not rows:
            real, side = made["dataset"].held_out, made["base"].resolution
            tiles = np.stack([real.read_square(row, side) for row in rng.permutation(len(real))[:COLUMNS]])
            rows += [tiles, reconstructor(made["base"], "cpu")(tiles)]
        listed = made["generation"].rows
        picked = rng.permutation(len(listed))[:COLUMNS]
        rows.append(np.stack([made["generation"].read(listed[row]) for row in picked]))
    side = rows[0].shape[1] + GAP
    sheet = np.full((side * len(rows) - GAP, side * COLUMNS - GAP, 3), 255, dtype=np.uint8)
    for y, row in enumerate(rows):
        for x, tile in enumerate(row):
            sheet[y * side : y * side + side - GAP, x * side : x * side + side - GAP] = tile
    picture = Image.fromarray(sheet)
    larger = (picture.width * SCALE, picture.height * SCALE)
    picture.resize(larger, Image.Resampling.BICUBIC).save(
        Path(__file__).parents[1] / "docs" / "quickstart.png", optimize=True
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
