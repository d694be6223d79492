"""Every image read once: does it decode, what is it, and which others is it like?"""

import hashlib
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mep.errors import DataError
from mep.imaging.pixels import DEPTHS, Window, is_deep, refuse_bomb, to_rgb, upright
from mep.machine.jobs import Job
from mep.machine.shards import CPU_SHARD, Shards
from mep.machine.work import Work
from mep.methods.sources import Record, Source

if TYPE_CHECKING:
    from PIL.Image import Image

SIDE = 32  # of the grey image that a perceptual hash is made of

SCANNED = np.dtype("S64, <u8, <i4, <i4, S8, <f8, <f8, S160")
SCANNED.names = ("sha256", "phash", "width", "height", "mode", "low", "high", "error")
"""What is known of an image: sha256 of its decoded pixels, perceptual hash, size, Pillow's mode, lowest and highest
value where it is deep grey, and why it does not decode, empty where it does."""
Scanned: TypeAlias = NDArray[np.void]
"""SCANNED (n,), a row an image."""
Int64: TypeAlias = NDArray[np.int64]


def scan(source: Source, records: Sequence[Record], work: Work) -> Scanned:
    """A row of every record; resumable, and never more than a few images in memory."""
    return Shards(work, "scan", [record.id for record in records], CPU_SHARD).map_cpu(Scan(source))


def refuse_unreadable(scanned: Scanned, records: Sequence[Record]) -> None:
    """DataError: an image does not decode."""
    broken = np.flatnonzero(scanned["error"] != b"")
    if len(broken):
        more = f", nor do {len(broken) - 1} others" if len(broken) > 1 else ""
        reason = scanned["error"][broken[0]].decode(errors="replace")
        raise DataError(
            f"{records[broken[0]].id} does not decode: {reason}{more}",
            hint="see all with: mep lint RECIPE; leave them out with --fix exclude.txt",
            field="dataset.source",
        )


@dataclass(frozen=True)
class Scan(Job[Sequence[str], Scanned]):
    """Examines images by id."""

    source: Source

    def prepare(self, device: str) -> Callable[[Sequence[str]], Scanned]:
        return self.examine

    def examine(self, ids: Sequence[str]) -> Scanned:
        """SCANNED (n,)"""
        scanned, small = np.zeros(len(ids), SCANNED), np.zeros((len(ids), SIDE, SIDE), np.uint8)
        for row, image_id in enumerate(ids):
            try:
                with self.source.open(image_id) as image:
                    scanned[row], small[row] = _examine(image)
            except Exception as error:  # Pillow raises OSError, SyntaxError, ValueError and more on bad files
                text = str(error).partition(" '")[0].partition(" <")[0]  # Pillow names the file, which the reader knows
                scanned["error"][row] = (text or type(error).__name__).encode()[:160]
        readable = scanned["error"] == b""
        scanned["phash"][readable] = perceptual_hashes(small[readable])
        return scanned


def _examine(image: "Image") -> tuple[tuple[object, ...], NDArray[np.uint8]]:
    """A row of SCANNED, of which the perceptual hash is yet to be made, and what it is made of."""
    from PIL import Image

    refuse_bomb(image)
    low = high = 0.0
    mode = image.mode
    if is_deep(mode):  # the window of the dataset is not known yet: what is stored is hashed, not what will be seen
        values = np.asarray(upright(image))
        if not np.isfinite(values).all():
            raise ValueError("it holds values that are not finite")
        low, high = float(values.min()), float(values.max())
        height, width = values.shape
        content = values.tobytes()
        rgb = Image.fromarray(((values - low) * (255 / max(high - low, 1e-12))).astype(np.uint8))
    else:
        rgb = upright(image) if mode == "RGB" and "transparency" not in image.info else Image.fromarray(to_rgb(image))
        content = rgb.tobytes()
        width, height = rgb.size
    digest = hashlib.sha256(b"%dx%d:" % (width, height))
    digest.update(content)
    return (digest.hexdigest(), 0, width, height, mode.encode(), low, high, b""), shrunk(rgb)


def shrunk(image: "Image") -> NDArray[np.uint8]:
    """Grey means of 32 x 32 boxes."""
    from PIL import Image

    grey, (width, height) = image.convert("L"), image.size
    if width % SIDE or height % SIDE:
        grey = grey.resize((SIDE, SIDE), Image.Resampling.BOX)
    else:
        grey = grey.reduce((width // SIDE, height // SIDE))
    return np.frombuffer(grey.tobytes(), np.uint8).reshape(SIDE, SIDE)


def perceptual_hashes(small: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """64 bits an image that survive resizing, compression and small changes of brightness (Zauner 2010).

    small       (n, 32, 32) as `shrunk` gives them

    returns     uint64 (n,): the 8 x 8 lowest frequencies of the cosine transform, each against their median
    """
    from scipy.fft import dct

    basis = np.asarray(dct(np.eye(SIDE), axis=0, norm="ortho")[:8], dtype=np.float32)  # rows 0 to 7
    lowest = (basis @ small.astype(np.float32) @ basis.T).reshape(len(small), 64)
    bits = lowest > np.sort(lowest, axis=1)[:, 31:33].mean(axis=1, keepdims=True)  # the median
    return np.packbits(bits, axis=1).view(">u8")[:, 0].astype(np.uint64)


def full_window(scanned: Scanned) -> Window | None:
    """The window of a dataset's deep grey that clips nothing; None where no image has any.

    Whole numbers from 0 get the smallest bit depth that holds them, so that the window does not hang on one image;
    signed and fractional values their own range.
    """
    deep = scanned[np.isin(scanned["mode"], [mode for mode in np.unique(scanned["mode"]) if is_deep(mode.decode())])]
    if not len(deep):
        return None
    low, high = float(deep["low"].min()), float(deep["high"].max())
    if low < 0 or b"F" in deep["mode"]:
        return low, high
    return 0, next((float(white) for white in DEPTHS if high <= white), high)


def near_duplicates(hashes: NDArray[np.uint64], bits: int) -> Int64:
    """Number of the group of each image; two whose hashes differ in at most `bits` bits are in one, int64 (n,).

    Two such hashes agree in one of bits + 1 bands, so that only images which share a band are compared.
    """
    unique, place = np.unique(hashes, return_inverse=True)
    edges = [np.zeros((2, 0), dtype=np.int64)]
    bounds = np.linspace(0, 64, bits + 2).astype(int)
    for low, high in itertools.pairwise(bounds.tolist()):
        band = (unique >> np.uint64(low)) & np.uint64(2 ** (high - low) - 1)
        order = np.argsort(band, kind="stable")
        band, ordered = band[order], unique[order]
        for step in range(1, len(unique)):
            same = np.flatnonzero(band[step:] == band[:-step])
            if not len(same):
                break
            matches = same[np.bitwise_count(ordered[same + step] ^ ordered[same]) <= bits]
            edges.append(np.stack([order[matches], order[matches + step]]))
    left, right = np.concatenate(edges, axis=1)
    return connected(left, right, len(unique))[place]


def connected(left: Int64, right: Int64, n: int) -> Int64:
    """int64 (n,): number of the connected component of each of n nodes; edges lie between left and right."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(left), dtype=np.int8), (left, right)), (n, n))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)
