"""Contact sheets: the first samples of every prompt on one picture, kept up to date while they are drawn."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mep.stages.generation.progress import DRAWN, GenerationProgress
from mep.stages.generation.schedule import folder_name
from mep.stages.generation.worker_job import DrawnSample

if TYPE_CHECKING:
    from PIL.Image import Image

FOLDER = "__sheets__"
"""`datasets` passes over folders whose names begin with two underscores."""
COLUMNS, ROWS = 4, 4
CELL_PX, GAP_PX = 128, 2
EVERY_S = 5.0  # between two updates of the sheets


class Sheets:
    """A sheet for every prompt: its first sixteen samples in the order of their ordinals, grey where one is missing."""

    def __init__(self, progress: GenerationProgress):
        self.progress = progress
        self.folder = progress.out / FOLDER
        self.stale = {prompt.id for prompt in progress.plan.prompts}  # a kill may have left any of them behind
        self.drawn_at = time.monotonic()

    def update(self, drawn: Sequence[DrawnSample] = (), *, now: bool = False) -> None:
        """Draw the sheets that new samples have made stale, if the last time was long enough ago."""
        samples = (self.progress.plan.sample(sample.number) for sample in drawn)
        self.stale |= {sample.prompt.id for sample in samples if sample.ordinal < COLUMNS * ROWS}
        if not self.stale or not (now or time.monotonic() - self.drawn_at > EVERY_S):
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        for prompt_id in sorted(self.stale):
            self._draw_sheet(prompt_id)
        self.stale.clear()
        self.drawn_at = time.monotonic()

    def _draw_sheet(self, prompt_id: str) -> None:
        plan = self.progress.plan
        row = plan.row_of[prompt_id]
        first = int(plan.starts[row])
        paths = [
            self.progress.out / plan.sample(number).file_name if self.progress.state[number] == DRAWN else None
            for number in range(first, first + min(plan.counts[row], COLUMNS * ROWS))
        ]
        if any(paths):
            rows = [paths[start : start + COLUMNS] for start in range(0, len(paths), COLUMNS)]
            path = self.folder / f"{folder_name(prompt_id)}.jpg"
            temporary = path.with_suffix(".tmp")
            image_grid(rows).save(temporary, format="jpeg", quality=90)
            temporary.replace(path)


def image_grid(rows: list[list[Path | None]], cell_px: int = CELL_PX) -> "Image":
    """Images in rows, each brought to at most cell_px a side; grey where there is none."""
    from PIL import Image

    tiles = [[_tile(path, cell_px) for path in row] for row in rows]
    side = max((tile.size[0] for row in tiles for tile in row if tile), default=cell_px)
    step = side + GAP_PX
    sheet = Image.new("RGB", (max(map(len, tiles)) * step - GAP_PX, len(tiles) * step - GAP_PX), "white")
    for y, row in enumerate(tiles):
        for x, tile in enumerate(row):
            sheet.paste(tile or Image.new("RGB", (side, side), "lightgrey"), (x * step, y * step))
    return sheet


def labelled_grid(rows: dict[str, list[Path | None]], cell_px: int) -> "Image":
    """A grid whose rows have their names on the left."""
    from PIL import Image, ImageDraw, ImageFont

    pictures = image_grid(list(rows.values()), cell_px)
    step = (pictures.size[1] + GAP_PX) // len(rows)
    font = ImageFont.load_default(size=max(10, min(18, step // 4)))
    margin = max(int(font.getlength(name)) for name in rows) + 12
    sheet = Image.new("RGB", (margin + pictures.size[0], pictures.size[1]), "white")
    sheet.paste(pictures, (margin, 0))
    pen = ImageDraw.Draw(sheet)
    for number, name in enumerate(rows):
        pen.text((6, number * step + step / 2), name, fill="black", font=font, anchor="lm")
    return sheet


def _tile(path: Path | None, cell_px: int) -> "Image | None":
    from PIL import Image

    if path is None:
        return None
    with Image.open(path) as image:
        tile = image.convert("RGB")
    tile.thumbnail((cell_px, cell_px), Image.Resampling.LANCZOS)
    return tile
