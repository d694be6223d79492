from pathlib import Path

import click

from mep.cli.commands._shared import RUN, open_store


@click.command()
@RUN
@click.option("--arm", "arms", multiple=True, help="Arm whose images are shown; repeatable. Default: all share evenly.")
@click.option("--images", "n_images", type=click.IntRange(2), default=100, show_default=True, help="Half of them real.")
@click.option(
    "--size", "size_px", type=click.IntRange(8, 4096), help="Side in pixels. Default: that of synthetic images."
)
@click.option("--seed", type=click.IntRange(0), help="Default: drawn by the system, so that no recipe tells the order.")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="Where the page is written.")
@click.pass_obj
def command(
    runs: Path,
    run_id: str | None,
    arms: tuple[str, ...],
    n_images: int,
    size_px: int | None,
    seed: int | None,
    output: Path | None,
) -> None:
    """Write a page on which experts tell real images from synthetic ones."""
    from mep.cli.console import show, tell
    from mep.machine.files import write_json
    from mep.reader_study.page import write_page
    from mep.reader_study.study import draw, key_path, page_path
    from mep.store.runs import find_run

    store = open_store(runs, must_exist=True)
    run_id = str(find_run(store, run_id)["run_id"])
    study = draw(store, run_id, arms=arms, n_images=n_images, size_px=size_px, seed=seed)
    page, key = output or page_path(store, run_id, study.id), key_path(store, run_id, study.id)
    write_json(key, study.key())  # first, so that no page is ever without its key
    write_page(study, page)
    n_real = sum(one.truth == "real" for one in study.items)
    made = len(study.items) - n_real
    tell(
        f"{n_real} real held-out and {made} synthetic images of {study.size_px} px, {page.stat().st_size / 1e6:.1f} MB"
    )
    tell(f"key, which readers must not see: {key}")
    tell(f"send the page; with the files that come back: mep reader-score {run_id} ANSWERS...")
    show(str(page))
