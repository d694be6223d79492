"""One way from any image file to uint8 RGB: EXIF rotation is applied, deep grey scaled by the dataset's window,
grey repeated, transparency laid over white; palettes and CMYK go through Pillow, RGB of 16 bits keeps its upper 8."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mep.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

Window = tuple[float, float]
"""The values of deep grey that become black and white."""

DEPTHS = (255, 1023, 4095, 16383, 65535)
"""White of 8, 10, 12, 14 and 16 bits: what scanners, detectors and DICOM exports use."""
ORIENTED = {"exif", "xmp", "XML:com.adobe.xmp", "Raw profile type exif", "Raw profile type xmp"}
"""Where a JPEG or a PNG may say how it is oriented."""
MOST_PIXELS = 89_478_485  # a larger image is taken for a decompression bomb; Pillow's own bound, 0.27 GB as RGB


def to_rgb(image: Image, window: Window | None = None) -> NDArray[np.uint8]:
    """Pixels (h, w, 3) of a Pillow image.

    window      of deep grey; by default the full range of 16 bits

    DataError   more pixels than any tile or radiograph has
    """
    return np.array(as_rgb(image, window), dtype=np.uint8)


def as_rgb(image: Image, window: Window | None = None) -> Image:
    """As `to_rgb`, for those who go on with Pillow: an image of mode RGB, which may be the one that was given."""
    from PIL import Image

    refuse_bomb(image)
    image = upright(image)
    if is_deep(image.mode):
        low, high = window or (0, 65535)
        share = (np.asarray(image).astype(np.float64) - low) / max(high - low, 1e-12)
        image = Image.fromarray(np.round(share.clip(0, 1) * 255).astype(np.uint8))
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        layered = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layered.size, "white"), layered)
    image.load()
    return image if image.mode == "RGB" else image.convert("RGB")


def upright(image: Image) -> Image:
    """The image as its EXIF or XMP orientation says that it is to be seen."""
    if image.format in ("JPEG", "PNG") and not image.info.keys() & ORIENTED:
        return image  # parsing what is not there takes a fifth of the time of decoding a tile
    from PIL import ImageOps

    return ImageOps.exif_transpose(image)


def refuse_bomb(image: Image) -> None:
    """Before anything is decoded: the size that the header claims."""
    refuse_size(*image.size)


def refuse_size(width: int, height: int) -> None:
    """DataError: more pixels than any tile or radiograph has."""
    if width * height > MOST_PIXELS:
        raise DataError(
            f"its header claims {width} x {height} pixels, more than {MOST_PIXELS / 1e6:.0f} million",
            hint="cut it into tiles, or take it out",
        )


def is_deep(mode: str) -> bool:
    """Has a Pillow mode more than 8 bits of grey?"""
    return mode.startswith("I") or mode == "F"


def made_square(image: Image, spacing: tuple[float, float]) -> Image:
    """An image with square pixels (bilinear), at the finer of two distances.

    spacing     between its rows and between its columns, in any unit

    DataError   more pixels than any radiograph has
    """
    from PIL import Image

    height, width = (n * distance for n, distance in zip(image.size[::-1], spacing, strict=True))
    size = round(width / min(spacing)), round(height / min(spacing))
    refuse_size(*size)
    return image if size == image.size else image.resize(size, Image.Resampling.BILINEAR)


def square(pixels: NDArray[np.uint8], size_px: int) -> NDArray[np.uint8]:
    """Shorter side resized to size_px (bicubic, anti-aliased), then the centre cropped: (size_px, size_px, 3)."""
    height, width = pixels.shape[:2]
    if (height, width) == (size_px, size_px):
        return pixels
    from PIL import Image

    scale = size_px / min(height, width)
    target = (max(size_px, round(width * scale)), max(size_px, round(height * scale)))
    resized = np.asarray(Image.fromarray(pixels).resize(target, Image.Resampling.BICUBIC))
    top, left = (resized.shape[0] - size_px) // 2, (resized.shape[1] - size_px) // 2
    return np.ascontiguousarray(resized[top : top + size_px, left : left + size_px])


def symmetry(pixels: NDArray[np.uint8], index: int) -> NDArray[np.uint8]:
    """One of the eight symmetries of the square, of (..., h, w, c): quarter turns 0-3, mirrored 4-7; 0 is none."""
    mirrored = pixels[..., ::-1, :] if index >= 4 else pixels
    return np.ascontiguousarray(np.rot90(mirrored, index % 4, axes=(-3, -2)))


SYMMETRIES = {"none": (0,), "mirror": (0, 4), "square": tuple(range(8))}
"""Named sets: `none`, `mirror` (left and right may be exchanged), `square` (tissue has no up)."""
