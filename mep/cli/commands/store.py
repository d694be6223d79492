"""Look after what is kept: check it, let it go, hand it on."""

from dataclasses import dataclass
from pathlib import Path

import click

from mep.cli.commands._shared import FILE, INPUT_FILE, JSON, RUN, open_run, open_store
from mep.cli.console import listing_or_json, show, show_json, size, tell
from mep.cli.options import collected, option
from mep.errors import UsageError


@click.command("verify")
@RUN
@JSON
@click.pass_obj
@click.pass_context
def verify_command(ctx: click.Context, runs: Path, run_id: str | None, as_json: bool) -> None:
    """Read every byte again, of a run or of the whole store, and say what has changed.

    With RUN also what the run was locked with and is otherwise now: data, models, versions of packages.
    Ends with 5 where something is not. What is damaged is made anew by the next run.
    """
    from mep.runner.verify import check_artifacts, check_database, check_lock
    from mep.store.runs import artifacts_of

    store = open_store(runs)
    problems = check_database(store)
    if run_id is None:
        n, damaged = len(store.committed()), check_artifacts(store)
    else:
        _, run_id = open_run(runs, run_id)
        names = artifacts_of(store, run_id)
        n, damaged = len(names), check_artifacts(store, names)
        problems += check_lock(store, run_id)
    problems += damaged
    listing_or_json([vars(problem) for problem in problems], ["place", "problem", "hint"], as_json)
    tell(f"{n} artifact{'s' * (n != 1)} read, {len(problems) or 'nothing'} bad")
    if problems:
        ctx.exit(5)


@click.command("gc")
@click.option(
    "--keep-last", type=click.IntRange(0, 1_000_000), metavar="N", help="Keep the newest N runs of every name."
)
@click.option("--older-than", type=click.FloatRange(0, 100_000), metavar="DAYS", help="Let go runs older than this.")
@click.option("--delete", is_flag=True, help="Remove what is listed; without it, nothing is touched.")
@JSON
@click.pass_obj
def gc_command(runs: Path, keep_last: int | None, older_than: float | None, delete: bool, as_json: bool) -> None:
    """List what can go, and with --delete remove it.

    Artifacts that no run uses, work that no run will continue, damaged artifacts; and what only those runs use that
    the rules let go. Such a run stays listed with its numbers, and running its recipe makes the rest again.
    Pinned and running runs keep everything.
    """
    from mep.store.housekeeping import collect, find_garbage

    store = open_store(runs)
    garbage = find_garbage(store, keep_last=keep_last, older_than_days=older_than)
    rows = [vars(item) | ({} if as_json else {"size": size(item.n_bytes)}) for item in garbage]
    listing_or_json(rows, ["path", "size", "why"], as_json)
    if delete:
        tell(f"freed {size(collect(store, garbage))}")
    else:
        total = size(sum(item.n_bytes for item in garbage))
        tell(f"{total} can go: add --delete" if garbage else "everything is needed")


@click.command("rm")
@click.argument("run_ids", metavar="RUN...", nargs=-1, required=True)
@click.pass_obj
def rm_command(runs: Path, run_ids: tuple[str, ...]) -> None:
    """Remove runs: their folders and what the provenance says of them. Each is named in full.

    Their artifacts stay, as other runs may use them; `mep gc --delete` removes what nothing uses.
    """
    from mep.store.housekeeping import remove_run
    from mep.store.runs import find_run

    store = open_store(runs)
    for run_id in run_ids:
        if (whole := find_run(store, run_id)["run_id"]) != run_id:
            raise UsageError(f"'{run_id}' is not a whole name", hint=f"did you mean {whole}?")
    for run_id in run_ids:
        left = remove_run(store, run_id)
        n_bytes = sum(item.n_bytes for item in left)
        tell(f"removed {run_id}" + (f"; {size(n_bytes)} can go now: mep gc --delete" if left else ""))


@click.command("pin")
@RUN
@click.option("--note", default="", help="Why it is to be kept.")
@click.option("--remove", is_flag=True, help="Let it go.")
@JSON
@click.pass_obj
def pin_command(runs: Path, run_id: str | None, note: str, remove: bool, as_json: bool) -> None:
    """Keep a run from `mep gc` and `mep rm`; without RUN, list what is pinned."""
    from mep.store import housekeeping

    if run_id is None:
        listing_or_json(housekeeping.pinned(open_store(runs)), ["run_id", "pinned_at", "note"], as_json)
        return
    store, run_id = open_run(runs, run_id)
    if remove:
        housekeeping.unpin(store, run_id)
    else:
        housekeeping.pin(store, run_id, note)
    tell(f"{run_id} is {'no longer ' * remove}pinned")


@dataclass(frozen=True)
class Export:
    output: Path | None = option("File to write. Default: RUN.mep.tar.gz or RUN.crate.zip here.", type=FILE)
    form: str = option(
        "bundle: for `mep import`. ro-crate: a Workflow Run RO-Crate, for archives and reviewers.",
        "--format",
        type=click.Choice(("bundle", "ro-crate")),
        default="bundle",
    )
    samples: bool = option("With the synthetic images.")
    weights: bool = option("With the models.")
    page: bool = option("A bundle with the report: it shows pictures of real images, and their names.")
    license_id: str = option("Of a crate, such as CC-BY-4.0.", "--license", default="", metavar="ID")
    publisher: str = option("Of a crate: institution or person who answers for it.", default="", metavar="NAME")


@click.command("export")
@RUN
@collected(Export)
@JSON
@click.pass_obj
def export_command(runs: Path, asked: Export, run_id: str | None, as_json: bool) -> None:
    """Write a run to one file for others.

    A bundle holds recipe, lock, log, provenance, captions and scores, for another installation of mep. A crate holds
    recipe, lock, verdict, scores, what each stage did, and a reporting checklist.

    Absolute paths, secrets, the file names of real images and the names of their groups are taken out. Real images
    stay; --page shows small pictures of some, with their names.
    """
    store, run_id = open_run(runs, run_id)
    if asked.form == "bundle":
        from mep.store.bundle import SUFFIX, Leaving, export_run

        if asked.license_id or asked.publisher:
            raise UsageError(
                "--license and --publisher are of a crate", hint="add --format ro-crate, or leave them out"
            )
        path = asked.output or Path(f"{run_id}{SUFFIX}")
        held = export_run(store, run_id, path, Leaving(asked.samples, asked.weights, asked.page))
        told = f"{len(held['whole'])} of {len(held['artifacts'])} artifacts whole"
        if held["captions_of_dataset"]:
            told += f"; {held['captions_of_dataset']} captions hold words of the dataset: read them before it leaves"
    else:
        from mep.sharing import crate
        from mep.sharing.publication import Wish

        if asked.page:
            raise UsageError("--page is of a bundle", hint="leave it out: a crate shows no real image")
        path = asked.output or Path(f"{run_id}{crate.SUFFIX}")
        wish = Wish(license_id=asked.license_id, publisher=asked.publisher)
        held = crate.export_crate(store, run_id, path, wish, samples=asked.samples, weights=asked.weights)
        told = f"{len(held['files'])} files"
    if as_json:
        show_json(held)
    else:
        show(str(path))
    tell(f"{size(held['bytes'])}, {told}")


@click.command("import")
@click.argument("file", type=INPUT_FILE)
@click.pass_obj
def import_command(runs: Path, file: Path) -> None:
    """Take in a run that `mep export` wrote.

    What came whole is reused like one's own. Everything is checked first; a file that is not as it should be leaves
    nothing behind. The page of the run is made anew from what came.
    """
    from mep.cli.commands.share import write_page
    from mep.runner.faults import explained
    from mep.store.intake import import_run

    store = open_store(runs, must_exist=False)
    with explained(store.root):
        held = import_run(store, file)
    run_id = held["run_id"]
    show(run_id)
    counts = f"{len(held['whole'])} of {len(held['artifacts'])} artifacts came whole"
    tell(f"{counts}; look at it: mep show {run_id}")
    write_page(store, run_id)


@click.group("db")
def db_command() -> None:
    """Look after the provenance: `mep db rebuild`."""


@db_command.command("rebuild")
@JSON
@click.pass_obj
def rebuild_command(runs: Path, as_json: bool) -> None:
    """Make mep.db anew from the manifests of the artifacts and the journals of the runs.

    The database that was there is kept as mep.db.old.
    """
    from mep.store import Store
    from mep.store.rebuild import rebuild

    if not runs.is_dir():
        raise UsageError(f"there is no folder {runs}", hint="name the folder of the runs: mep --runs DIR db rebuild")
    done = rebuild(Store(runs))
    if as_json:
        show_json(vars(done))
        return
    show(f"{done.n_runs} runs and {done.n_artifacts} artifacts are in the new {runs / 'mep.db'}")
    for name in done.without_journal:
        tell(f"{name} has no journal: its artifacts are there, its history is not")
    for name in done.unreadable:
        tell(f"{name} has no manifest that can be trusted: mep verify")
    if done.kept_as:
        tell(f"the database that was there: {done.kept_as}")


@click.command("doctor")
@JSON
@click.pass_obj
@click.pass_context
def doctor_command(ctx: click.Context, runs: Path, as_json: bool) -> None:
    """Look at this machine: packages, devices, disk, locks, SQLite, caches. Ends with 3 where something is bad."""
    from mep.runner.doctor import examine

    checks = list(examine(runs))
    listing_or_json([vars(check) for check in checks], ["what", "state", "found", "hint"], as_json)
    if any(check.state == "bad" for check in checks):
        ctx.exit(3)
