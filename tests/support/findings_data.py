"""Pictures with several findings, or none, which can be seen in them."""

import csv

import numpy as np
from PIL import Image

FINDINGS = ("effusion", "mass", "nodule")


def draw_findings(rng, shown, size=32):
    """Grey lungs on a dark ground: an effusion fills the lower part, a mass is a large spot, a nodule a small one."""
    pixels = np.full((size, size), 60.0)
    y, x = np.mgrid[:size, :size]
    for centre in (0.3, 0.7):
        pixels[((y - size / 2) / 0.8) ** 2 + ((x - centre * size) / 0.35) ** 2 < (size / 2) ** 2] = 110
    if "effusion" in shown:
        pixels[int(0.75 * size) :] = 200
    for name, radius in (("mass", 0.16), ("nodule", 0.07)):
        if name in shown:
            cy, cx = rng.uniform(0.2, 0.6, 2) * size
            pixels[(y - cy) ** 2 + (x - cx) ** 2 < (radius * size) ** 2] = 240
    return np.clip(pixels + rng.normal(0, 6, pixels.shape), 0, 255).astype(np.uint8)


def draw_findings_folder(folder, n=72, shares=(0.4, 0.3, 0.15)):
    """JPEG files of two images a patient, and a metadata.csv that says what each shows, in both ways."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    with (folder / "metadata.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["file_name", "patient", "age", "findings", *FINDINGS])
        for number in range(n):
            there = rng.random(len(FINDINGS)) < shares
            shown = [name for name, is_there in zip(FINDINGS, there, strict=True) if is_there]
            Image.fromarray(draw_findings(rng, shown)).save(folder / f"{number:02d}.jpg", quality=95)
            row = [f"{number:02d}.jpg", f"p{number // 2}", int(rng.integers(40, 80)), "|".join(shown) or "No Finding"]
            table.writerow([*row, *there.astype(int)])
    return folder
