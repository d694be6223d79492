"""Draw docs/pipeline.svg, the way of an image through mep: python tools/draw_pipeline.py

Tiles, map, outliers, clusters and bars are computed here from the builtin sample, by the methods that a recipe names.
The generated tiles are cut from docs/quickstart.png. The intervals at the end are a sketch.
"""

from base64 import b64encode
from html import escape
from io import BytesIO
from pathlib import Path

import numpy as np
from draw_quickstart import COLUMNS, GAP, SCALE
from numpy.typing import NDArray
from PIL import Image

from mep.methods.clusterers.kmeans import KMeans
from mep.methods.detectors.knn import Knn
from mep.methods.embedders.handcrafted import Handcrafted
from mep.methods.sources.sample import Sample
from mep.report.figures.styles import STYLES

DOCS = Path(__file__).parents[1] / "docs"
WIDTH, HEIGHT = 1000, 496
PANEL, HIGH, STEP, LEFT = 168, 132, 194, 28
"""Width and height of a panel's picture, from one panel to the next, and the first one's place, in px."""
TOP, BELOW = 54, 314
"""Where the pictures of the first and of the second row begin."""
TILE = 28
N_CLUSTERS, OUTLIERS = 4, 0.06
WORDS = ("one", "two", "three", "four")
BASELINE, MEP = "a0", "a1"

CSS = """
svg{font:12.5px system-ui,-apple-system,"Segoe UI",Roboto,Helvetica,Arial,sans-serif;
--ground:#fff;--box:#f4f6f8;--edge:#d5dbe1;--ink:#1c2329;--soft:#55606a;%LIGHT%}
@media(prefers-color-scheme:dark){svg{
--ground:#14181c;--box:#1d2329;--edge:#3a444d;--ink:#eef2f5;--soft:#a9b4bd;%DARK%}}
.ground{fill:var(--ground);stroke:var(--edge)}.box{fill:var(--box);stroke:var(--edge)}text{fill:var(--soft)}
.title{font-size:15px;font-weight:650;fill:var(--ink)}.ink{fill:var(--ink)}.small{font-size:11.5px}
.middle{text-anchor:middle}.number{fill:var(--ground);font-size:11.5px;font-weight:700;text-anchor:middle}
.way{fill:none;stroke:var(--soft);stroke-width:2;marker-end:url(#head)}.aside{stroke-dasharray:5 4}
.disc,.head{fill:var(--soft)}
.dot{fill:var(--soft)}.line{stroke:var(--edge);fill:none}.cross{stroke:var(--c2);stroke-width:2;fill:none}
""" + "".join(f".a{n}{{fill:var(--c{n})}}.s{n}{{stroke:var(--c{n});fill:none;stroke-width:2}}" for n in range(6))


class Drawing:
    """An SVG, element by element."""

    def __init__(self) -> None:
        self.parts: list[str] = []

    def add(self, element: str, **attributes: object) -> None:
        listed = " ".join(f'{name.rstrip("_").replace("_", "-")}="{value}"' for name, value in attributes.items())
        self.parts.append(f"<{element} {listed}/>")

    def text(self, x: float, y: float, words: str, kind: str = "") -> None:
        self.parts.append(f'<text x="{x:g}" y="{y:g}" class="{kind}">{escape(words)}</text>')

    def tile(self, x: float, y: float, pixels: NDArray[np.uint8], side: float = TILE) -> None:
        """A tile of uint8 pixels (h, w, 3), at twice the pixels that it takes."""
        held = BytesIO()
        Image.fromarray(pixels).resize((round(2 * side),) * 2, Image.Resampling.LANCZOS).save(held, "JPEG", quality=85)
        link = f"data:image/jpeg;base64,{b64encode(held.getvalue()).decode()}"
        self.add("image", x=f"{x:g}", y=f"{y:g}", width=side, height=side, href=link)

    def tiles(self, x: float, y: float, rows: list[NDArray[np.uint8]], across: int = 5) -> None:
        """Tiles in lines of so many, 4 px apart."""
        for place, pixels in enumerate(rows):
            self.tile(x + place % across * (TILE + 4), y + place // across * (TILE + 4), pixels)

    def panel(self, number: int, x: float, y: float, title: str, below: tuple[str, ...], width: float = PANEL) -> None:
        """Number and title, the box of the picture, and what is said below it."""
        self.add("circle", cx=x + 10, cy=y - 18, r=9.5, class_="disc")
        self.text(x + 10, y - 14, str(number), "number")
        self.text(x + 26, y - 13, title, "title")
        self.add("rect", x=x, y=y, width=width, height=HIGH, rx=7, class_="box")
        for line, words in enumerate(below):
            self.text(x, y + HIGH + 19 + 16 * line, words)

    def arrow(self, path: str, kind: str = "") -> None:
        self.add("path", d=path, class_=f"way {kind}")


class Sampled:
    """What mep's own methods make of tiles of the builtin sample."""

    def __init__(self) -> None:
        source = Sample(kind="sample", tile_px=64, stride_px=32)
        records = source.records()
        self.tiles, self.held_out = (
            [np.asarray(source.open(record.id)) for record in records if record.split == split]
            for split in ("train", "heldout")
        )
        embed = Handcrafted(kind="handcrafted").load("cpu")
        vectors = np.asarray(embed.prepare(self.tiles), dtype=np.float32)
        scores = Knn(kind="knn").scores(vectors, np.arange(len(vectors)), 0)
        self.inlier = scores <= np.quantile(scores, 1 - OUTLIERS)
        centred = vectors - vectors[self.inlier].mean(0)
        axes = np.linalg.svd(centred[self.inlier], full_matrices=False)[2][:2]
        flat = centred @ axes.T
        low, high = flat.min(0), flat.max(0)
        self.places = (flat - low) / (high - low) * (PANEL - 32, HIGH - 28) + (16, 14)
        labels = KMeans(kind="kmeans", k=N_CLUSTERS).fit(vectors[self.inlier], seed=0).labels
        by_size = np.argsort(-np.bincount(labels))
        self.labels = np.full(len(vectors), -1)
        self.labels[self.inlier] = np.argsort(by_size)[labels]

    def some(self, tiles: list[NDArray[np.uint8]], n: int, seed: int = 2) -> list[NDArray[np.uint8]]:
        return [tiles[row] for row in np.random.default_rng(seed).permutation(len(tiles))[:n]]


def generated() -> tuple[list[NDArray[np.uint8]], list[NDArray[np.uint8]]]:
    """Samples of the baseline and of the last arm in the picture of the quickstart."""
    sheet = np.asarray(Image.open(DOCS / "quickstart.png").convert("RGB"))
    step = (sheet.shape[1] // SCALE + GAP) // COLUMNS * SCALE
    side = step - GAP * SCALE
    rows = [[sheet[y : y + side, x * step : x * step + side] for x in range(COLUMNS)] for y in (2 * step, 3 * step)]
    return rows[0], rows[1]


def first_row(drawing: Drawing, sampled: Sampled) -> None:
    x = [LEFT + STEP * place for place in range(5)]
    drawing.panel(1, x[0], TOP, "Images", ("yours, with labels or without",))
    drawing.tiles(x[0] + 6, TOP + 4, sampled.some(sampled.tiles, 20))
    drawing.panel(2, x[1], TOP, "Embeddings", ("a vector for every image;", "like images lie together"))
    drawing.panel(3, x[2], TOP, "Outliers", ("odd images (×) shape", "no group"))
    drawing.panel(4, x[3], TOP, "Clusters", ("groups of like morphology,", "found without labels"))
    shown = set(np.random.default_rng(7).permutation(len(sampled.tiles))[:16])
    for row, (dx, dy) in enumerate(sampled.places):
        drawing.add("circle", cx=f"{x[1] + dx:.1f}", cy=f"{TOP + dy:.1f}", r=2.2, class_="dot", opacity=0.7)
        if sampled.inlier[row]:
            drawing.add("circle", cx=f"{x[2] + dx:.1f}", cy=f"{TOP + dy:.1f}", r=2.2, class_="dot", opacity=0.7)
            colour = f"a{sampled.labels[row] + 2}"
            drawing.add("circle", cx=f"{x[3] + dx:.1f}", cy=f"{TOP + dy:.1f}", r=2.8, class_=colour)
        else:
            where = f"M{x[2] + dx - 4:.1f},{TOP + dy - 4:.1f}l8,8m0,-8l-8,8"
            drawing.add("path", d=where, class_="cross")
    for row in sorted(shown):
        dx, dy = sampled.places[row]
        drawing.tile(round(x[1] + dx - 9), round(TOP + dy - 9), sampled.tiles[row], 18)
    drawing.panel(5, x[4], TOP, "Balanced subset", ("as many of every group;", "the same for all arms"))
    counts = np.bincount(sampled.labels[sampled.inlier])
    for place, count in enumerate(counts):
        left, tall, kept = x[4] + 14 + place * 37, 92 * count / counts.max(), 92 * counts.min() / counts.max()
        foot = TOP + HIGH - 24
        drawing.add("rect", x=left, y=f"{foot - tall:.1f}", width=29, height=f"{tall:.1f}", class_=f"s{place + 2}")
        drawing.add("rect", x=left, y=f"{foot - kept:.1f}", width=29, height=f"{kept:.1f}", class_=f"a{place + 2}")
        drawing.text(left + 14.5, foot + 16, WORDS[place], "small middle")
    for place in range(4):
        drawing.arrow(f"M{x[place] + PANEL + 3},{TOP + HIGH / 2}h14")
    drawing.arrow(f"M{x[4] + PANEL / 2},{TOP + HIGH + 44}v{BELOW - TOP - HIGH - 44 - 42}")


def second_row(drawing: Drawing, sampled: Sampled) -> None:
    """From right to left, so that the end lies under the beginning."""
    x = [LEFT + STEP * place for place in range(5)]
    drawing.panel(6, x[4], BELOW, "Captions", ("made of the label, or of", "the label and the cluster"))
    lines = (("Histology image of", "stained tissue"), ("Histology image of", "stained tissue,", "morphology type two"))
    for place, (words, top) in enumerate(zip(lines, (BELOW + 26, BELOW + 82), strict=True)):
        drawing.add("rect", x=x[4] + 12, y=top - 13, width=4, height=18 * len(words), rx=2, class_=f"a{place}")
        for line, text in enumerate(words):
            drawing.text(x[4] + 26, top + 17 * line, text, MEP if line == 2 else "ink")
    drawing.panel(7, x[3], BELOW, "Training", ("the same images and seeds;", "only the captions differ"))
    for place in (0, 1):
        middle = BELOW + 33 + 66 * place
        for bar, tall in enumerate((46, 32, 20, 12, 20, 32, 46)):
            left = x[3] + 30 + 16 * bar
            drawing.add("rect", x=left, y=middle - tall / 2, width=11, height=tall, rx=2, class_=f"a{place}")
    drawing.panel(8, x[2], BELOW, "Generation", ("as many of every label,", "from the same noise"))
    baseline, mep = generated()
    for name, kind, top, tiles in (("label-only (baseline)", BASELINE, 0, baseline), ("mep", MEP, 64, mep)):
        drawing.text(x[2] + 6, BELOW + 18 + top, name, f"{kind} small")
        drawing.tiles(x[2] + 6, BELOW + 25 + top, tiles[:5])
    comparison(drawing, sampled, baseline, mep)
    for place in (4, 3, 2):
        drawing.arrow(f"M{x[place] - 4},{BELOW + HIGH / 2}h-14")
    drawing.arrow(f"M{LEFT + 40},{TOP + HIGH + 28}v{BELOW - TOP - HIGH - 28 - 42}", "aside")
    drawing.text(LEFT + 52, TOP + HIGH + 52, "held-out images:", "ink")
    drawing.text(LEFT + 52, TOP + HIGH + 68, "set aside first, seen only here")


def comparison(
    drawing: Drawing, sampled: Sampled, baseline: list[NDArray[np.uint8]], mep: list[NDArray[np.uint8]]
) -> None:
    below = (
        "closer, more varied, no copies, as useful? With controls,",
        "intervals, and the smallest difference that could be seen",
    )
    drawing.panel(9, LEFT, BELOW, "Comparison with held-out images", below, STEP + PANEL)
    strips = (("held out", "ink", sampled.some(sampled.held_out, 5, 5)), ("label-only", BASELINE, baseline[5:10]))
    for place, (name, kind, tiles) in enumerate((*strips, ("mep", MEP, mep[5:10]))):
        top = BELOW + 10 + 40 * place
        drawing.text(LEFT + 10, top + 18, name, f"{kind} small")
        drawing.tiles(LEFT + 72, top, tiles)
    axis, wide = LEFT + 244, 104
    drawing.text(axis, BELOW + 22, "distance to real", "small")
    drawing.text(axis, BELOW + 37, "← closer", "small")
    drawing.add("path", d=f"M{axis},{BELOW + 46}v76", class_="line")
    for place, (middle, half) in enumerate(((62, 25), (45, 25))):
        at = BELOW + 64 + 40 * place
        drawing.add("path", d=f"M{axis + middle - half},{at}h{2 * half}m0,-5v10m-{2 * half},-10v10", class_=f"s{place}")
        drawing.add("circle", cx=axis + middle, cy=at, r=5, class_=f"a{place}")
    drawing.add("path", d=f"M{axis},{BELOW + 122}h{wide}", class_="line")


def main() -> None:
    drawing, sampled = Drawing(), Sampled()
    drawing.add("rect", x=0.5, y=0.5, width=WIDTH - 1, height=HEIGHT - 1, rx=10, class_="ground")
    first_row(drawing, sampled)
    second_row(drawing, sampled)
    light, dark = (
        ";".join(f"--c{n}:{getattr(style, scheme)}" for n, style in enumerate(STYLES[:6]))
        for scheme in ("light", "dark")
    )
    css = CSS.replace("%LIGHT%", light).replace("%DARK%", dark)
    said = "Images, embeddings, outliers, clusters, balanced subset, captions, training, generation, comparison"
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{said}">'
        f"<style>{css}</style><defs><marker id='head' viewBox='0 0 8 8' refX='6' refY='4' markerWidth='5' "
        "markerHeight='5' orient='auto'><path class='head' d='M0,0L8,4L0,8z'/></marker></defs>"
    )
    target = DOCS / "pipeline.svg"
    target.write_text(head + "\n".join(drawing.parts) + "</svg>\n")
    print(f"{target}: {target.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
