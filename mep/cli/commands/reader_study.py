from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import click

from mep.cli.commands._shared import RUN, open_store
from mep.cli.console import show, tell
from mep.cli.options import Option, collected


@dataclass(frozen=True)
class Asked:
    """Which images the readers are shown."""

    arms: Annotated[
        tuple[str, ...],
        Option("--arm", multiple=True, help="Arm whose images are shown; repeatable. Default: all share evenly."),
    ]
    n_images: Annotated[
        int, Option("--images", type=click.IntRange(2), default=100, show_default=True, help="Half of them real.")
    ]
    size_px: Annotated[
        int | None,
        Option("--size", type=click.IntRange(8, 4096), help="Side in pixels. Default: that of synthetic images."),
    ]
    seed: Annotated[
        int | None,
        Option(
            "--seed", type=click.IntRange(0), help="Default: drawn by the system, so that no recipe tells the order."
        ),
    ]
    output: Annotated[
        Path | None,
        Option("--output", type=click.Path(path_type=Path, dir_okay=False), help="Where the page is written."),
    ]


@click.command()
@RUN
@collected(Asked)
@click.pass_obj
def command(runs: Path, asked: Asked, run_id: str | None) -> None:
    """Write a page on which experts tell real images from synthetic ones."""
    from mep.machine.files import write_json
    from mep.reader_study.page import write_page
    from mep.reader_study.study import draw, key_path, page_path
    from mep.store.runs import find_run

    store = open_store(runs, must_exist=True)
    run_id = str(find_run(store, run_id)["run_id"])
    study = draw(store, run_id, arms=asked.arms, n_images=asked.n_images, size_px=asked.size_px, seed=asked.seed)
    page, key = asked.output or page_path(store, run_id, study.id), key_path(store, run_id, study.id)
    write_json(key, study.key())  # first, so that no page is ever without its key
    write_page(study, page)
    n_real = sum(item.truth == "real" for item in study.items)
    made = len(study.items) - n_real
    tell(
        f"{n_real} real held-out and {made} synthetic images of {study.size_px} px, {page.stat().st_size / 1e6:.1f} MB"
    )
    tell(f"key, which readers must not see: {key}")
    tell(f"send the page; with the files that come back: mep reader-score {run_id} ANSWERS...")
    show(str(page))
