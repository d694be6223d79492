"""`mep lint`: what is wrong with the images of a recipe."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mep.cli.commands._shared import JSON, RECIPE, SET
from mep.cli.console import show_json, show_rows, tell
from mep.errors import DataError, UsageError

if TYPE_CHECKING:
    from mep.machine.settings import MachineConfig
    from mep.sections.dataset import DatasetConfig
    from mep.stages.dataset.lint import Finding

SHOWN = 20
"""Findings of a check that the table shows; --json gives all."""


@click.command("lint")
@RECIPE
@SET
@click.option("--fix", type=click.Path(path_type=Path), help="Write the ids of the images to leave out, one a line.")
@click.option("--allow", multiple=True, metavar="CHECK", help="Do not fail for this check; repeatable.")
@JSON
@click.pass_context
def lint_command(
    ctx: click.Context,
    recipe: Path,
    overrides: tuple[str, ...],
    fix: Path | None,
    allow: tuple[str, ...],
    as_json: bool,
) -> None:
    """Look for what is wrong with a recipe's dataset: exit code 1 where there is something.

    RECIPE may be a folder of images: then it says what a recipe would read of it, and looks at that.
    """
    from mep.cli.folder_seen import dataset_of, show_folder
    from mep.machine.files import write_text
    from mep.machine.settings import MachineConfig
    from mep.recipe import load_recipe
    from mep.runner.run import recipe_mistake
    from mep.stages.dataset.lint import CHECKS

    if unknown := sorted(set(allow) - CHECKS.keys()):
        raise UsageError(f"there is no check '{unknown[0]}'", hint=f"checks: {', '.join(CHECKS)}")
    if recipe.is_dir():
        if overrides:
            raise UsageError("--set changes a recipe, and this is a folder", hint="leave it out, or write a recipe")
        dataset, records = dataset_of(recipe)
        datasets = [dataset]
        n_images, findings = _lint(datasets, MachineConfig())
        if not as_json:
            show_folder(recipe, dataset, records)
    else:
        loaded = load_recipe(recipe, overrides)
        datasets = list({repr(arm.dataset): arm.dataset for arm in loaded.arms.values()}.values())
        try:
            n_images, findings = _lint(datasets, loaded.machine)
        except DataError as error:
            raise recipe_mistake(error, loaded) from error
    counts = Counter(finding.check for finding in findings)
    if as_json:
        show_json([asdict(finding) for finding in findings])
    else:
        _show_findings(datasets)
        if findings:
            _show(findings, counts)
    if fix is not None:
        ids = sorted({finding.image for finding in findings if finding.excluded})
        write_text(fix, "".join(f"{image_id}\n" for image_id in ids))
        tell(f"{len(ids)} images to leave out are in {fix}; name it in the recipe: dataset: {{exclude: {fix}}}")
    text = ", ".join(f"{n} {check}{' (allowed)' * (check in allow)}" for check, n in counts.items())
    tell(f"{n_images} images: {text or 'nothing to complain about'}")
    ctx.exit(1 if counts.keys() - set(allow) else 0)


def _lint(datasets: list[DatasetConfig], machine: MachineConfig) -> tuple[int, list[Finding]]:
    """The number of images of all, and what is wrong with them."""
    import tempfile

    from mep.machine.engines.local import Local
    from mep.machine.work import Work
    from mep.stages.dataset.lint import lint

    engine = Local(kind="local", workers=machine.engine.workers)
    machine = machine.model_copy(update={"engine": engine})
    findings: dict[Finding, None] = {}
    n_images = 0
    for dataset in datasets:
        with tempfile.TemporaryDirectory() as folder:
            n, problems = lint(dataset, Work(folder=Path(folder), machine=machine))
        n_images += n
        findings |= dict.fromkeys(problems)
    return n_images, list(findings)


def _show_findings(datasets: list[DatasetConfig]) -> None:
    """How many images show each finding, where an image may show several."""
    from mep.stages.dataset.lint import finding_counts

    for dataset in datasets:
        if rows := finding_counts(dataset):
            show_rows(rows, ["finding", "images", "alone", "together with"])


def _show(findings: list[Finding], counts: Counter[str]) -> None:
    first = {check: [each for each in findings if each.check == check][:SHOWN] for check in counts}
    rows = [asdict(finding) for finding in findings if finding in first[finding.check]]
    for check, n in counts.items():
        if n > SHOWN:
            rows.append({"check": check, "detail": f"... and {n - SHOWN} more (--json shows all)"})
    show_rows(rows, ["check", "image", "detail"])
