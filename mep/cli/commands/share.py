"""Share runs with other hosts: `mep push` and `mep pull`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mep.cli.commands._shared import open_store
from mep.cli.console import listing_or_json, show_json, size, tell
from mep.cli.options import collected, option
from mep.cli.types import StoreAddress
from mep.errors import Interrupted

if TYPE_CHECKING:
    from mep.store import Store


@dataclass(frozen=True)
class PushOptions:
    every: bool = option("Every run.", "--all")
    brief: bool = option("Scores, captions, report and provenance alone, as of mep export.")
    again: bool = option("Send what is there as well: repairs a store.")
    as_json: bool = option("Print JSON.", "--json")


@dataclass(frozen=True)
class PullOptions:
    every: bool = option("Every run.", "--all")
    brief: bool = option("Scores, captions and provenance alone; mep run --store gets the rest.")
    only_list: bool = option("Say which runs are there, and take none.", "--list")
    as_json: bool = option("Print JSON.", "--json")


ADDRESS = click.argument("address", type=StoreAddress())
RUNS = click.argument("names", metavar="[RUN]...", nargs=-1)


@click.command("push")
@ADDRESS
@RUNS
@collected(PushOptions)
@click.pass_obj
def push_command(runs: Path, options: PushOptions, address: str, names: tuple[str, ...]) -> None:
    """Send runs and their artifacts to a store that others can reach; without RUN, the last run.

    ADDRESS is s3://bucket/folder, gs://bucket/folder, or a folder. What is there already is not sent again. Latents
    and lists of images go along: whoever reads the store can see the images.
    """
    from mep.store.pushing import Push
    from mep.store.runs import find_run
    from mep.store.shared import SharedStore

    store = open_store(runs)
    if options.every:
        names = tuple(row["run_id"] for row in store.db.query("SELECT run_id FROM runs ORDER BY started_at, run_id"))
    run_ids = [find_run(store, name)["run_id"] for name in names or (None,)]
    done = []
    with _to_go_on(store):
        push = Push(store, SharedStore(address), options.brief, options.again, _progress("sent"))
        for run_id in run_ids:
            sent = push.run(run_id)
            done.append(asdict(sent))
            what = [f"{len(sent.artifacts)} artifacts, {size(sent.bytes)}"] if sent.artifacts else []
            what += ["the run"] if sent.run else []
            tell(f"{run_id}: " + (f"sent {' and '.join(what)}" if what else f"all of it is in {address}"))
            if sent.left_out:
                tell(f"{len(sent.left_out)} artifacts were collected or are damaged here, and were not sent")
    if options.as_json:
        show_json(done)


@click.command("pull")
@ADDRESS
@RUNS
@collected(PullOptions)
@click.pass_obj
def pull_command(runs: Path, options: PullOptions, address: str, names: tuple[str, ...]) -> None:
    """Take in runs that others have pushed, with their artifacts; without RUN, the last one.

    Every file is held against its digest first. What is here already stays as it is.
    """
    from mep.store.pulling import Pull, wanted_runs
    from mep.store.shared import SharedStore

    store = open_store(runs, must_exist=False)
    with _to_go_on(store):
        remote = SharedStore(address).open()
        if options.only_list:
            rows = [asdict(run) | ({} if options.as_json else {"size": size(run.bytes)}) for run in remote.runs()]
            listing_or_json(rows, ["run_id", "state", "pushed_at", "size"], options.as_json)
            return
        pull, done = Pull(store, remote, options.brief, _progress("taken"), lambda text: tell(f"waits: {text}")), []
        for told in wanted_runs(remote, names, every=options.every):
            pulled = pull.run(told)
            done.append(asdict(pulled))
            what = [f"{len(pulled.artifacts)} artifacts"] if pulled.artifacts else []
            what += ["the run"] if pulled.run else []
            tell(f"{told.run_id}: " + (f"took {' and '.join(what)}" if what else "all of it is here"))
            if pulled.absent:
                tell(f"{len(pulled.absent)} artifacts are not in {address}; mep run makes them anew")
            if pulled.run:
                write_page(store, told.run_id)
    if options.as_json:
        show_json(done)


def write_page(store: Store, run_id: str) -> None:
    """The page of a run that came from elsewhere, made anew from the data."""
    from mep import report as reports
    from mep.errors import RecipeError

    page = store.run_folder(run_id) / "report.html"
    try:
        reports.write_html(reports.gather(store, [run_id]), page)
    except RecipeError as error:
        tell(f"its page cannot be made, for this mep does not read its recipe: {error.message}")
    except Exception as error:  # the data are a stranger's; the run is here all the same
        tell(f"its page cannot be made from these data: {type(error).__name__}: {error}")
    else:
        tell(f"page, made anew from what came: {page}")


def _progress(done: str) -> Callable[[int], Callable[[int], None]]:
    """A line at every quarter of the bytes that are to move, where they take a while."""
    from mep.cli.screen import StepLines

    def planned(total: int) -> Callable[[int], None]:
        lines, so_far = StepLines(done), 0

        def moved(n_bytes: int) -> None:
            nonlocal so_far
            so_far += n_bytes
            if total >= 100_000_000:
                lines.update(min(so_far, total) // 1_000_000, total // 1_000_000, "MB")

        return moved

    return planned


@contextmanager
def _to_go_on(store: Store) -> Iterator[None]:
    """Errors of this machine in words; Ctrl-C tells how to go on."""
    from mep.runner.faults import explained

    try:
        with explained(store.root):
            yield
    except KeyboardInterrupt as stop:
        interrupted = Interrupted(2)
        interrupted.hint = "the same command goes on where it stopped"
        raise interrupted from stop
