"""A finished run for reader studies, and the command line on its store."""

import numpy as np
from click.testing import CliRunner
from drawn_run import Drawn
from PIL import Image, PngImagePlugin
from small_data import draw

from mep.artifacts import HELDOUT, TRAIN, Assignment, Clusters, Images, Prompts, Samples, TrainingSet
from mep.cli.main import main
from mep.machine.files import append_json_line

ARMS = ("label-only", "mep")


N_TRAIN = 8


def study_run(root, *, n_real=24, n_made=12, labelled=True, drawn_by=ARMS, cluster_names=(), found=()):
    """A run with labelled held-out images of 40 px from six slides and samples of 32 px of two arms.

    cluster_names   names of two clusters, which captions of the arm `mep` name: then there are training images as well
    found           what a namer says of them
    """
    drawn, rng = Drawn(root), np.random.default_rng(2)
    n_all = n_real + (N_TRAIN if cluster_names else 0)
    ids = [f"patient_{number}.png" for number in range(n_all)]
    for number, image_id in enumerate(ids):
        about = PngImagePlugin.PngInfo()
        about.add_text("Comment", "scanner 7")
        Image.fromarray(draw(rng, number % 2 == 0, 40)).save(drawn.folder / image_id, pnginfo=about)
    labels = np.arange(n_all) % 2 if labelled else np.full(n_all, -1)
    source = next(iter(drawn.recipe.arms.values())).dataset.source
    slides = {"slide": [f"s{number % 6}" for number in range(n_all)]}
    splits = np.where(np.arange(n_all) < n_real, HELDOUT, TRAIN).astype(np.int8)
    digests, sizes = ["0" * 64] * n_all, np.full((n_all, 2), 40)
    names = ["benign", "tumour"] if labelled else []
    drawn.publish(Images(ids, labels, names, splits, digests, sizes, slides, source, "slide"), ARMS)
    for arm in drawn_by:
        named = bool(cluster_names) and arm == "mep"
        drawn.publish(Samples(None), [arm], lambda out, named=named: fill_samples(out, n_made, named=named))
    if found:
        drawn.publish(Prompts([], {}, found=list(found)), ["mep"])
    if cluster_names:
        publish_clusters(drawn, ids, n_real, dict(enumerate(cluster_names)))
    drawn.end()
    return drawn


def publish_clusters(drawn, ids, n_real, names):
    """Two clusters, each of half of the images of each label; every seventh held-out image is in none."""
    train, of = ids[n_real:], np.arange(len(ids)) // 2 % 2
    wanted = np.where(np.arange(n_real) % 7 == 6, -1, of[:n_real])
    drawn.publish(Clusters(train, of[n_real:], np.arange(len(train), dtype=np.float32), {}), ARMS)
    trained = TrainingSet(train, ["benign"] * len(train), of[n_real:], np.ones(len(train)), [], cluster_names=names)
    drawn.publish(trained, ARMS)
    parts = {"heldout": np.stack([wanted] * 4, axis=1), "samples": np.zeros((1, 4), np.int64)}
    found = Assignment({"heldout": ids[:n_real], "samples": ["x"]}, parts, 2, ["benign", "tumour"], {"d": 3})
    drawn.publish(found, ARMS)


def fill_samples(out, n_made, *, named=False):
    (out / "images").mkdir()
    for row in range(n_made):
        pixels = np.full((32, 32, 3), 40 + 5 * row, np.uint8)  # flat: compressed, much shorter than real ones
        Image.fromarray(pixels).save(out / "images" / f"{row}.png")
        label = ("benign", "tumour")[row % 2]
        about = {"file_name": f"images/{row}.png", "label": label, "prompt_id": "p"}
        append_json_line(out / "metadata.jsonl", about | ({"cluster": row // 2 % 2} if named else {}))


def mep(drawn, *arguments):
    return CliRunner().invoke(main, ["--runs", str(drawn.store.root), *map(str, arguments)])
