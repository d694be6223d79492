from pathlib import Path

import click

from mep.cli.commands._shared import JSON, RUN, open_store
from mep.cli.console import listing_or_json, tell


@click.command()
@RUN
@JSON
@click.pass_obj
@click.pass_context
def command(ctx: click.Context, runs: Path, run_id: str | None, as_json: bool) -> None:
    """Read every byte again, of a run or of the whole store, and say what has changed.

    With RUN also what the run was locked with and is otherwise now: data, models, versions of packages.
    Ends with 5 where something is not. What is damaged is made anew by the next run.
    """
    from mep.runner.verify import artifacts_of, check_artifacts, check_database, check_lock
    from mep.store.runs import find_run

    store = open_store(runs, must_exist=True)
    problems = check_database(store)
    if run_id is None:
        n, damaged = len(store.committed()), check_artifacts(store)
    else:
        run_id = find_run(store, run_id)["run_id"]
        names = artifacts_of(store, run_id)
        n, damaged = len(names), check_artifacts(store, names)
        problems += check_lock(store, run_id)
    problems += damaged
    listing_or_json([vars(problem) for problem in problems], ["place", "problem", "hint"], as_json)
    tell(f"{n} artifact{'s' * (n != 1)} read, {len(problems) or 'nothing'} bad")
    if problems:
        ctx.exit(5)
