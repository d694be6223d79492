"""One documented way from any image file to uint8 RGB.

EXIF rotation is applied. 16-bit and 32-bit grey is scaled from its full range to 0-255 (never clipped), grey is
repeated into three channels, transparency is laid over white, palettes and CMYK go through Pillow's conversion.
"""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL.Image import Image

WINDOW_16_BIT = 65535
"""White in a 16-bit grey image."""


def to_rgb(image: "Image") -> NDArray[np.uint8]:
    """Pixels (h, w, 3) of a Pillow image."""
    from PIL import Image, ImageOps

    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):
        grey = np.asarray(image).astype(np.float64)
        image = Image.fromarray(np.round(grey.clip(0, WINDOW_16_BIT) * (255 / WINDOW_16_BIT)).astype(np.uint8))
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        layered = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layered.size, "white"), layered)
    return np.array(image.convert("RGB"), dtype=np.uint8)


def square(pixels: NDArray[np.uint8], size_px: int) -> NDArray[np.uint8]:
    """Shorter side resized to size_px (bicubic, anti-aliased), then the centre cropped: (size_px, size_px, 3)."""
    from PIL import Image

    height, width = pixels.shape[:2]
    if (height, width) == (size_px, size_px):
        return pixels
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
