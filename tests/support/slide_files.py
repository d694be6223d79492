"""Whole-slide images that tifffile writes, of the tissue that ships with scikit-image."""

import numpy as np


def tissue_slide(width=1400, height=1100):
    """RGB (h, w, 3): real tissue of 512 px twice, in the left upper and right lower part, on a pale ground."""
    import skimage.data

    rng = np.random.default_rng(0)
    ground = np.clip(rng.normal(243, 1.5, (height, width, 3)), 0, 255).astype(np.uint8)
    tissue = skimage.data.immunohistochemistry()
    ground[40:552, 60:572] = tissue
    ground[-512:, -512:] = tissue[::-1]
    return ground


def write_slide(path, pixels, um_per_px=0.5, levels=3, ome=False):
    """A pyramid of JPEG tiles (of OME-TIFF without loss), half as large on each level; um_per_px None is not told."""
    import tifffile

    path.parent.mkdir(parents=True, exist_ok=True)
    pyramid = [pixels]
    for _ in range(levels - 1):
        last = pyramid[-1][: pyramid[-1].shape[0] // 2 * 2, : pyramid[-1].shape[1] // 2 * 2].astype(np.uint16)
        pyramid.append(((last[::2, ::2] + last[1::2, ::2] + last[::2, 1::2] + last[1::2, 1::2]) // 4).astype(np.uint8))
    how = {"tile": (256, 256), "photometric": "rgb", "compression": "deflate" if ome else "jpeg"}
    if not ome:
        how["compressionargs"] = {"level": 95}
    if ome:
        scale = (
            {"PhysicalSizeX": um_per_px, "PhysicalSizeY": um_per_px, "axes": "YXS"} if um_per_px else {"axes": "YXS"}
        )
        with tifffile.TiffWriter(path, ome=True) as file:
            file.write(pixels, subifds=levels - 1, metadata=scale, **how)
            for level in pyramid[1:]:
                file.write(level, subfiletype=1, **how)
        return path
    told = (
        f"Aperio Image Library v1|AppMag = {10 / um_per_px:g}|MPP = {um_per_px}"
        if um_per_px
        else "Aperio Image Library"
    )
    with tifffile.TiffWriter(path) as file:
        for level in pyramid:
            file.write(level, description=told, metadata=None, **how)
    return path


def draw_slide_folder(folder):
    """Three slides of real tissue, of three formats."""
    for number, name in enumerate(("a.svs", "b.svs", "c.ome.tif")):
        write_slide(folder / name, np.roll(tissue_slide(900, 800), 7 * number, 1), ome=name.endswith(".ome.tif"))
