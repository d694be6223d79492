"""Look at runs: which there are, how far they are, what made a file."""

import time
from pathlib import Path

import click

from mep.cli.commands._shared import INPUT_FILE, JSON, RUN, open_run, open_store
from mep.cli.console import listing, safe, show, show_json
from mep.cli.listings import show_details, show_runs, show_status


@click.command("ls")
@JSON
@click.pass_obj
def ls_command(runs: Path, as_json: bool) -> None:
    """List the runs, oldest first."""
    from mep.runner.status import all_runs

    rows = all_runs(open_store(runs))
    if as_json:
        show_json(rows)
    else:
        show_runs(rows)


@click.command("status")
@RUN
@JSON
@click.pass_obj
def status_command(runs: Path, run_id: str | None, as_json: bool) -> None:
    """Say how far a run is; without RUN, the last one."""
    from mep.runner.status import details_of, status_of

    store = open_store(runs)
    status = status_of(store, run_id)
    if as_json:
        show_json(status)
    else:
        show_status(status, details_of(store, status["run_id"]))


@click.command("watch")
@RUN
@click.option("--every", "every_s", type=click.FloatRange(0.2), default=2.0, show_default=True, help="Seconds.")
@click.option("--once", is_flag=True, help="Show it as it is now, and end.")
@JSON
@click.pass_obj
def watch_command(runs: Path, run_id: str | None, every_s: float, once: bool, as_json: bool) -> None:
    """Watch a run from another terminal: stages, time left, loss, memory; ends when the run does."""
    from mep.cli.screen import live
    from mep.report.live import as_lines, as_rich, snapshot

    store = open_store(runs)
    progress = snapshot(store, run_id)
    if as_json:
        show_json(progress.as_data())
        return
    with live() as draw:
        while True:
            draw(as_rich(progress), as_lines(progress))
            if once or progress.state != "running":
                return
            time.sleep(every_s)
            progress = snapshot(store, progress.run_id)


@click.command("show")
@RUN
@click.option("--all", "everything", is_flag=True, help="Every session, attempt, event, artifact and field.")
@JSON
@click.pass_obj
def show_command(runs: Path, run_id: str | None, everything: bool, as_json: bool) -> None:
    """Show a run: what it is, what its arms differ in, and where every stage's artifact lies."""
    from mep.runner.status import details_of

    details = details_of(open_store(runs), run_id)
    if as_json:
        show_json(details)
    else:
        show_details(details, everything=everything)


@click.command("logs")
@RUN
@click.argument("stage", required=False)
@click.option("--follow", "-f", is_flag=True, help="Go on until the run ends.")
@click.pass_obj
def logs_command(runs: Path, run_id: str | None, stage: str | None, follow: bool) -> None:
    """Print the log of a run, or of one of its stages."""
    from mep.runner.run_log import lines_of

    for line in lines_of(*open_run(runs, run_id), stage, follow=follow):
        show(line)


@click.command("why")
@click.argument("file", type=INPUT_FILE)
@JSON
@click.pass_obj
def why_command(runs: Path, file: Path, as_json: bool) -> None:
    """Say which recipe, data, cluster, prompt, checkpoint and seed made a file.

    FILE is anything that mep wrote (a synthetic image, a metric, a report), or a copy of it.
    """
    from rich.padding import Padding

    from mep.runner.why import why

    chain = why(open_store(runs), file)
    if as_json:
        show_json([vars(link) for link in chain])
        return
    console = listing()
    for link in chain:
        console.print(f"[bold]{safe(f'{link.what:<11}')}[/] {safe(link.name)}")
        facts = (
            f"[dim]{safe(fact)}[/] {safe(', '.join(map(str, value)) if isinstance(value, list) else str(value))}"
            for fact, value in link.facts.items()
        )
        console.print(Padding("; ".join(facts), (0, 0, 0, 12), expand=False))
