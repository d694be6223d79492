"""A picture of some of the samples, for cards."""

from typing import TYPE_CHECKING

from mep.sharing.selection import Selection
from mep.stages.generation.contact_sheets import image_grid

if TYPE_CHECKING:
    from PIL.Image import Image

COLUMNS, ROWS, CELL_PX = 8, 3, 128


def some_of(chosen: Selection) -> "Image":
    """The first samples of all prompts in a grid; without names, which may be those of captions that stay behind."""
    paths = [chosen.path_of(row) for row in chosen.rows[: COLUMNS * ROWS]]
    return image_grid([list(paths[start : start + COLUMNS]) for start in range(0, len(paths), COLUMNS)], CELL_PX)
