"""From images to prompts: how fast, and in how much memory.

    python tests/bench/bench_data.py NAME [--tiles FOLDER] [--cpu] [--small]

Each prints its own figure, that of the baseline in the same process, and their ratio. The baselines are what people
do otherwise: the bare model, one image at a time through OpenCV (pip install opencv-python-headless), scikit-learn
with ten starts, captions and groups row by row in pandas, Pillow alone.
"""

import argparse
import os
import resource
import shutil
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from multiprocessing import Pool
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from PIL import Image

from mep.machine.engines.local import Local
from mep.machine.settings import ONE_PROCESS, MachineConfig
from mep.machine.work import Work

TILES = Path(__file__).parents[3] / "shared" / "data" / "pcam"


CLOCK = {"now": time.perf_counter, "small": False}


def cpu_workers(n: int) -> MachineConfig:
    return ONE_PROCESS.model_copy(update={"engine": Local(kind="local", workers=n)})


def seconds(function):
    start = CLOCK["now"]()
    function()
    return CLOCK["now"]() - start


def tell(what, ours, baseline, unit="s"):
    print(f"{what}: {ours:.4g} {unit}, baseline {baseline:.4g} {unit}, ratio {baseline / ours:.3g}", flush=True)


def peak_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def fill(folder, tiles, n):
    """n files, copies of the tiles."""
    contents = [path.read_bytes() for path in sorted(tiles.rglob("*.jpg"))]
    for number in range(n):
        (folder / f"{number:06d}.jpg").write_bytes(contents[number % len(contents)])


def embedding(tiles):
    """The job of the stage against forward passes on tensors that are ready."""
    import torch

    from mep.machine.libraries import declare_missing_operators

    declare_missing_operators()
    from transformers import ViTConfig, ViTImageProcessor, ViTModel

    from mep.artifacts.reading import Reader
    from mep.methods.embedders.transformers import Transformers
    from mep.methods.sources.imagefolder import ImageFolder
    from mep.sections.embedding import EmbeddingConfig
    from mep.stages.embedding import Embed

    torch.set_num_threads(1)
    n, batch = 192, 32
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "images").mkdir()
        fill(root / "images", tiles, n)
        sizes = {"hidden_size": 384, "num_hidden_layers": 12, "num_attention_heads": 6, "intermediate_size": 1536}
        ViTModel(ViTConfig(**sizes), add_pooling_layer=False).save_pretrained(root / "vit")
        ViTImageProcessor().save_pretrained(root / "vit")
        source = ImageFolder(kind="imagefolder", path=root / "images")
        ids = [record.id for record in source.records()]
        for dtype in ("float32", "bfloat16"):
            config = EmbeddingConfig(model=Transformers(kind="transformers", path=root / "vit", dtype=dtype))
            compute = Embed(config, partial(map, Reader(source)), batch).prepare("cpu")
            encoder = config.load("cpu")
            ready = [
                encoder.prepare(
                    [np.asarray(source.open(image_id).convert("RGB")) for image_id in ids[start : start + batch]]
                )
                for start in range(0, n, batch)
            ]
            compute(ids[:batch])
            encoder.forward(ready[0])
            whole = min(seconds(partial(compute, ids)) for _ in range(2))
            bare = min(seconds(partial(all_through, encoder, ready)) for _ in range(2))
            print(f"embedding {dtype}: {n / whole:.1f} images/s, bare forward {n / bare:.1f}, share {bare / whole:.3f}")


def all_through(encoder, ready):
    for batch in ready:
        encoder.forward(batch)


def hsv(tiles, workers=2):
    """Nine features and verdicts of 20,000 tiles by as many processes; the baseline judges row by row, rule by rule."""
    import pandas as pd

    from mep.artifacts import Images
    from mep.methods.detectors.hsv import NAMES, Hsv
    from mep.methods.sources.imagefolder import ImageFolder

    n, detector = 20_000, Hsv(kind="hsv")
    rules = {name: getattr(detector, f"min_{name}") for name in NAMES if hasattr(detector, f"min_{name}")}

    def theirs(pool, paths):
        frame = pd.DataFrame(pool.map(per_image, paths, chunksize=100), columns=NAMES)
        for name, floor in rules.items():
            frame[f"keep_{name}"] = frame.apply(lambda row, name=name, floor=floor: row[name] >= floor, axis=1)
        frame["keep"] = frame.apply(lambda row: all(row[f"keep_{name}"] for name in rules), axis=1)

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "images").mkdir()
        fill(root / "images", tiles, n)
        source = ImageFolder(kind="imagefolder", path=root / "images")
        ids = [record.id for record in source.records()]
        labels, sizes = np.full(n, -1, np.int64), np.full((n, 2), 96)
        images = Images(ids, labels, [], np.zeros(n, np.int8), [""] * n, sizes, {}, source)
        paths, nothing, train = (
            [str(root / "images" / image_id) for image_id in ids],
            np.zeros((n, 1)),
            np.ones(n, bool),
        )
        with Pool(workers) as pool:
            pool.map(per_image, paths[:100])
            baseline = seconds(lambda: theirs(pool, paths))
        work = Work(folder=root / "work", machine=cpu_workers(workers))
        ours = seconds(lambda: detector.inspect(images, nothing, train, work))
    tell("hsv, an image", ours / n * 1e3, baseline / n * 1e3, "ms")


def features(tiles):
    """The features in one process, with decoding and without, compiled and not, against OpenCV; and decoding alone."""
    from mep.imaging.pixels import as_rgb, to_rgb
    from mep.methods.detectors._compiled_counts import compiled_counts
    from mep.methods.detectors._pixel_counts import counts_of
    from mep.methods.detectors.hsv import features

    paths = [str(path) for path in sorted(tiles.rglob("*.jpg"))] * 6
    compiled, pixels = compiled_counts(), [to_rgb(Image.open(path)) for path in paths]
    images = [Image.fromarray(array) for array in pixels]
    ways = {
        "with decoding": lambda: features([counts_of(as_rgb(Image.open(path))) for path in paths]),
        "with decoding, compiled": lambda: features([compiled(to_rgb(Image.open(path))) for path in paths]),
        "alone": lambda: features([counts_of(image) for image in images]),
        "alone, compiled": lambda: features([compiled(array) for array in pixels]),
    }
    theirs = {
        "with decoding": lambda: [opencv_features(as_rgb(Image.open(path))) for path in paths],
        "alone": lambda: [opencv_features(image) for image in images],
    }
    decoding = min(seconds(lambda: [as_rgb(Image.open(path)) for path in paths]) for _ in range(3))
    for name, ours in ways.items():
        baseline = theirs[name.removesuffix(", compiled")]
        ours()
        ours_s, theirs_s = (min(seconds(way) for _ in range(3)) for way in (ours, baseline))
        tell(f"features {name}, an image", ours_s / len(paths) * 1e3, theirs_s / len(paths) * 1e3, "ms")
    print(f"decoding alone: {decoding / len(paths) * 1e3:.3g} ms")


def edges(tiles):
    """The edge view against OpenCV's Otsu and Canny, value by value, on every JPEG beside the tiles."""
    import cv2

    from mep.imaging.edges import edges as view
    from mep.imaging.pixels import to_rgb

    different = total = 0
    for path in sorted(tiles.parent.rglob("*.jpg")):
        pixels = to_rgb(Image.open(path))
        grey = np.asarray(Image.fromarray(pixels).convert("L"))
        split = cv2.threshold(grey, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)[1]
        lines = [cv2.Canny(grey, 100, 200, apertureSize=size, L2gradient=True) for size in (3, 7)]
        different += int((view(pixels) != np.stack([split, *lines], 2)).sum())
        total += pixels.size
    print(f"{different} of {total:,} values differ from OpenCV's")


def per_image(path):
    return opencv_features(Image.open(path).convert("RGB"))


def opencv_features(image):
    """The published system's features of an image, as it computes them: NumPy over arrays and OpenCV's contours."""
    import cv2

    hue, saturation, value = (np.asarray(channel, dtype=float) for channel in image.convert("HSV").split())
    grey = np.asarray(image.convert("L"))
    _, bright = cv2.threshold(grey, 150, 255, cv2.THRESH_BINARY)
    contours, _ = cv2.findContours(bright, cv2.RETR_TREE, cv2.CHAIN_APPROX_NONE)
    statistics = [f(channel) for channel in (value, saturation) for f in (np.mean, np.median, np.std)]
    return [*statistics, np.std(hue), cv2.Laplacian(grey, cv2.CV_64F).var(), len(contours)]


def kmeans(tiles):
    """200,000 x 768 vectors of 60 overlapping groups, k = 33."""
    from sklearn.cluster import KMeans as Reference

    from mep.methods.clusterers.kmeans import KMeans

    rng = np.random.default_rng(0)
    n, d, rows = (40_000, 128, 4_000) if CLOCK["small"] else (200_000, 768, 20_000)
    groups = rng.normal(0, 1.5, (60, 32))
    latent = (groups[rng.integers(60, size=n)] + rng.normal(0, 1, (n, 32))).astype(np.float32)
    vectors = latent @ rng.normal(0, 1, (32, d)).astype(np.float32)
    vectors += rng.normal(0, 0.5, (n, d)).astype(np.float32)
    before = peak_mb()
    result = []
    ours = seconds(lambda: result.append(KMeans(kind="kmeans", k=33, start_rows=rows).fit(vectors, seed=18021999)))
    extra = (peak_mb() - before) * 2**20 / vectors.nbytes
    inertia = float((result[0].distances.astype(np.float64) ** 2).sum())
    reference = Reference(33, n_init=10, random_state=18021999)
    baseline = seconds(lambda: reference.fit(vectors))
    tell("kmeans", ours, baseline)
    print(f"inertia over scikit-learn's: {inertia / reference.inertia_:.5f}; memory {1 + extra:.2f} times the data")


def captions(tiles, n=1_000_000):
    """Balancing and captions of a million records; the row by row way on a tenth of them, times ten."""
    import pandas as pd
    from num2words import num2words

    from mep.artifacts import BaseModel, Clusters, Images
    from mep.methods.balancers.uniform_per_prompt import UniformPerPrompt
    from mep.methods.bases._tokenizer import build_tokenizer
    from mep.sections.balancing import BalancingConfig
    from mep.sections.prompts import PromptsConfig
    from mep.stages.balancing import balancing
    from mep.stages.prompts.stage import prompts

    rng = np.random.default_rng(3)
    labels, frequency = rng.integers(0, 2, n), np.arange(1, 34) ** -0.3
    numbers = rng.choice(33, n, p=frequency / frequency.sum())
    ids = [f"{number:07d}.png" for number in range(n)]
    images = Images(
        ids, labels, ["healthy", "tumor"], np.zeros(n, np.int8), [""] * n, np.ones((n, 2), int), {}, source=None
    )
    clusters = Clusters(ids, numbers, np.zeros(n, np.float32), {})
    template = "Histology image of {label} tissue, morphology type {cluster:words}"
    with tempfile.TemporaryDirectory() as folder:
        pipeline, work = Path(folder) / "pipeline", Work(folder=Path(folder), seed=1)
        build_tokenizer(40).save_pretrained(pipeline / "tokenizer")
        (pipeline / "model_index.json").write_text('{"tokenizer": ["transformers", "CLIPTokenizer"]}')
        base, config = BaseModel(Path(folder)), PromptsConfig(template=template)
        method = UniformPerPrompt(kind="uniform_per_prompt", min_prompts_per_label=10)

        def both(size):
            some = images if size == n else images.take(np.arange(size))
            first = Clusters(ids[:size], numbers[:size], clusters.distances[:size], {})
            begin = CLOCK["now"]()
            chosen = balancing.function(BalancingConfig(method=method), some, first, work=work)
            middle = CLOCK["now"]()
            prompts.function(config, some, chosen, base, work=work)
            return middle - begin, CLOCK["now"]() - middle, chosen

        both(1000)  # imports
        balance_s, caption_s, chosen = both(n)
    print(
        f"balancing {balance_s:.2f} s, captions {caption_s:.2f} s, {len(chosen.ids):,} images of {len(chosen.groups)}"
    )

    def row_by_row():
        frame = pd.DataFrame(
            {"label": np.array(["healthy", "tumor"])[labels[: n // 10]], "cluster": numbers[: n // 10]}
        )
        frame["text"] = frame.apply(
            lambda row: template.replace("{label}", row.label.lower()).replace(
                "{cluster:words}", num2words(row.cluster)
            ),
            axis=1,
        )
        rank = {text: number for number, text in enumerate(sorted(frame.text.unique()))}
        frame["prompt"] = frame.text.apply(lambda text: rank[text])
        frame["class"] = frame.text.apply(lambda text: 0 if " healthy " in text else 1 if " tumor " in text else 2)
        frame["type"] = frame.text.apply(lambda text: text.split("gy type ")[1])
        counts = frame.groupby(["class", "prompt"]).size()
        size = int(counts.min())
        return pd.concat([group.sample(size, random_state=18021999) for _, group in frame.groupby("prompt")])

    tell("captions and balancing", balance_s + caption_s, 10 * seconds(row_by_row))


def scan(tiles, n=60_000, workers=2):
    """mep lint against opening and decoding the same files."""
    from mep.methods.sources.imagefolder import ImageFolder
    from mep.sections.dataset import DatasetConfig
    from mep.stages.dataset.lint import lint

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "images").mkdir()
        fill(root / "images", tiles, n)
        config = DatasetConfig(source=ImageFolder(kind="imagefolder", path=root / "images"))
        names = sorted(os.listdir(root / "images"))
        chunks = [names[start : start + 32] for start in range(0, n, 32)]

        def decode(chunk):
            for name in chunk:
                with Image.open(root / "images" / name) as image:
                    image.load()

        def alone():
            with ThreadPoolExecutor(workers) as pool:
                list(pool.map(decode, chunks))

        def ours(number):
            lint(config, Work(folder=root / f"work{number}", machine=cpu_workers(workers)))

        alone()
        ours(0)
        alone_s = min(seconds(alone) for _ in range(3))
        ours_s = min(seconds(partial(ours, number)) for number in range(1, 4))
    print(
        f"scan, hash and lint: {n / ours_s:.0f} files/s, Pillow alone {n / alone_s:.0f}, share {alone_s / ours_s:.3f}"
    )


def million(tiles, n=1_000_000):
    """A million small files: list, decode, hash, split, store, load, balance."""
    from mep.artifacts import Clusters, Images
    from mep.methods.balancers.weighted import Weighted
    from mep.methods.sources.imagefolder import ImageFolder
    from mep.sections.balancing import BalancingConfig
    from mep.sections.dataset import DatasetConfig
    from mep.stages.balancing import balancing
    from mep.stages.dataset.stage import dataset

    root = Path(tempfile.mkdtemp())
    try:
        rng = np.random.default_rng(0)
        for number in range(n):
            folder = root / "images" / f"{'ab'[number % 2]}" / f"{number // 1000:04d}"
            if number % 1000 < 2:
                folder.mkdir(parents=True, exist_ok=True)
            pixels = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"{number}.bmp")
        print(f"written; {peak_mb():.0f} MB", flush=True)
        config = DatasetConfig(source=ImageFolder(kind="imagefolder", path=root / "images"), label="label")
        work = Work(folder=root / "work", machine=cpu_workers(2))
        begin = time.perf_counter()
        images = dataset.function(config, work=work)
        print(f"dataset: {time.perf_counter() - begin:.0f} s, {peak_mb():.0f} MB, {images.facts()}", flush=True)
        images.save(work.out)
        images = Images.load(work.out, config)
        print(f"stored and loaded: {peak_mb():.0f} MB", flush=True)
        seen = images.seen
        clusters = Clusters(seen.ids, rng.integers(0, 33, len(seen)), np.zeros(len(seen), np.float32), {})
        balancing.function(BalancingConfig(method=Weighted(kind="weighted")), images, clusters, work=work)
        print(f"balanced: {peak_mb():.0f} MB of resident memory at most", flush=True)
    finally:
        shutil.rmtree(root)


if __name__ == "__main__":
    benchmarks = {
        function.__name__: function for function in (embedding, hsv, features, edges, kmeans, captions, scan, million)
    }
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("which", choices=benchmarks)
    parser.add_argument("--tiles", type=Path, default=TILES)
    parser.add_argument("--cpu", action="store_true", help="count processor time of this process, on a busy machine")
    parser.add_argument("--small", action="store_true", help="k-means of 40,000 x 128")
    chosen = parser.parse_args(sys.argv[1:])
    CLOCK.update(now=time.process_time if chosen.cpu else time.perf_counter, small=chosen.small)
    benchmarks[chosen.which](chosen.tiles)
