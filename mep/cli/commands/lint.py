import json
import tempfile
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import click

from mep.cli.commands._shared import JSON, RECIPE, SET, load

SHOWN = 20
"""Findings of a check that the table shows; --json gives all."""


@click.command()
@RECIPE
@SET
@click.option("--fix", type=click.Path(path_type=Path), help="Write the ids of the images to leave out, one a line.")
@click.option("--allow", multiple=True, metavar="CHECK", help="Do not fail for this check; repeatable.")
@JSON
@click.pass_context
def command(
    ctx: click.Context,
    recipe: Path,
    overrides: tuple[str, ...],
    fix: Path | None,
    allow: tuple[str, ...],
    as_json: bool,
) -> None:
    """Look for what is wrong with a recipe's dataset: exit code 1 where there is something."""
    from mep.cli.console import show, show_rows, tell
    from mep.errors import UsageError
    from mep.machine.engines.local import Local
    from mep.machine.files import write_text
    from mep.machine.work import Work
    from mep.stages.dataset.lint import CHECKS, Finding, lint

    if unknown := sorted(set(allow) - CHECKS.keys()):
        raise UsageError(f"there is no check '{unknown[0]}'", hint=f"checks: {', '.join(CHECKS)}")
    loaded = load(recipe, overrides)
    datasets = {repr(experiment.dataset): experiment.dataset for experiment in loaded.arms.values()}
    findings: dict[Finding, None] = {}
    n_images = 0
    engine = Local(kind="local", workers=loaded.machine.engine.workers)
    for dataset in datasets.values():
        with tempfile.TemporaryDirectory() as folder:
            work = Work(folder=Path(folder), machine=loaded.machine.model_copy(update={"engine": engine}))
            n, found = lint(dataset, work)
        n_images += n
        findings |= dict.fromkeys(found)
    counts = Counter(one.check for one in findings)
    if as_json:
        show(json.dumps([asdict(one) for one in findings], indent=1, ensure_ascii=False))
    elif findings:
        seen: Counter[str] = Counter()
        rows = [asdict(one) for one in findings if (seen.update([one.check]) or seen[one.check]) <= SHOWN]
        rows += [
            {"check": check, "detail": f"... and {n - SHOWN} more (--json shows all)"}
            for check, n in counts.items()
            if n > SHOWN
        ]
        show_rows(rows, ["check", "image", "detail"])
    if fix is not None:
        ids = sorted({one.image for one in findings if one.excluded})
        write_text(fix, "".join(f"{image}\n" for image in ids))
        tell(f"{len(ids)} images to leave out are in {fix}; name it in the recipe: dataset: {{exclude: {fix}}}")
    blocking = sum(n for check, n in counts.items() if check not in allow)
    text = ", ".join(f"{n} {check}{' (allowed)' * (check in allow)}" for check, n in counts.items())
    tell(f"{n_images} images: {text or 'nothing to complain about'}")
    ctx.exit(1 if blocking else 0)
