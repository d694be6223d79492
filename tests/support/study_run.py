"""A finished run for reader studies, and the command line on its store."""

import numpy as np
from click.testing import CliRunner
from drawn_run import Drawn
from PIL import Image, PngImagePlugin
from small_data import draw

from mep.artifacts import HELDOUT, Images, Samples
from mep.cli.main import main
from mep.machine.files import append_json_line

ARMS = ("label-only", "mep")


def study_run(root, *, n_real=24, n_made=12, labelled=True, drawn_by=ARMS):
    """A run with labelled held-out images of 40 px from six slides and samples of 32 px of two arms."""
    drawn, rng = Drawn(root), np.random.default_rng(2)
    ids = [f"patient_{number}.png" for number in range(n_real)]
    for number, image_id in enumerate(ids):
        about = PngImagePlugin.PngInfo()
        about.add_text("Comment", "scanner 7")
        Image.fromarray(draw(rng, number % 2 == 0, 40)).save(drawn.folder / image_id, pnginfo=about)
    labels = np.arange(n_real) % 2 if labelled else np.full(n_real, -1)
    source = next(iter(drawn.recipe.arms.values())).dataset.source
    slides = {"slide": [f"s{number % 6}" for number in range(n_real)]}
    splits, digests, sizes = np.full(n_real, HELDOUT, np.int8), ["0" * 64] * n_real, np.full((n_real, 2), 40)
    names = ["benign", "tumour"] if labelled else []
    drawn.publish(Images(ids, labels, names, splits, digests, sizes, slides, source, "slide"), ARMS)
    for arm in drawn_by:
        drawn.publish(Samples(None), [arm], lambda out: fill_samples(out, n_made))
    drawn.end()
    return drawn


def fill_samples(out, n_made):
    (out / "images").mkdir()
    for row in range(n_made):
        pixels = np.full((32, 32, 3), 40 + 5 * row, np.uint8)  # flat: compressed, much shorter than real ones
        Image.fromarray(pixels).save(out / "images" / f"{row}.png")
        label = ("benign", "tumour")[row % 2]
        append_json_line(out / "metadata.jsonl", {"file_name": f"images/{row}.png", "label": label, "prompt_id": "p"})


def mep(drawn, *arguments):
    return CliRunner().invoke(main, ["--runs", str(drawn.store.root), *map(str, arguments)])
