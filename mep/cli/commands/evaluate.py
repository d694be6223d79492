"""`mep evaluate`: folders of images beside each other, without a recipe."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from mep.cli.commands._shared import FOLDER, JSON
from mep.cli.console import listing, show_json, tell
from mep.cli.options import collected, option
from mep.errors import NotComparable, UsageError

if TYPE_CHECKING:
    from mep.registry import Method

    MethodT = TypeVar("MethodT", bound=Method)


@dataclass(frozen=True)
class EvaluateOptions:
    real: Path = option("Folder of real images, best held out from all training.", type=FOLDER, required=True)
    synthetic: tuple[Path, ...] = option("Folder to score; several are compared.", type=FOLDER, required=True)
    train: Path | None = option("Folder of training images, to look for copies.", type=FOLDER)
    extractors: tuple[str, ...] = option(
        "As in a recipe: random_conv, or '{kind: inception, weights: FILE}'. Default: efficientnet_lite0.",
        "--extractor",
        metavar="KIND",
    )
    scores: tuple[str, ...] = option(
        "As in a recipe. Default: frechet, kid, prdc; with --train memorisation.", "--score", metavar="KIND"
    )
    by: tuple[str, ...] = option("Score every value of a metadata column too: label.", metavar="COLUMN")
    group: str | None = option("Slide or patient of the real images, for honest intervals.", metavar="COLUMN")
    resolution: int | None = option(
        "Side in pixels to which both sets are brought first.", type=click.IntRange(8, 4096)
    )
    seed: int = option("Of draws and halves.", type=click.IntRange(0, 2**63 - 1), default=0)
    halves: int = option("For uncertainty; 0 is none.", type=click.IntRange(0, 1000), default=40)
    device: str = option("auto, cpu, cuda, cuda:N or mps.", default="auto")
    batch_size: int = option(None, type=click.IntRange(1, 65536), default=64)
    strict_comparable: bool = option("Exit with 5 rather than compare unlike protocols.")


@click.command("evaluate")
@collected(EvaluateOptions)
@JSON
@click.pass_obj
def evaluate_command(runs: Path, options: EvaluateOptions, as_json: bool) -> None:
    """Compare folders of synthetic images with real ones, without a recipe: FID, KID, coverage, copies.

    Features are kept in the folder `features` under --runs.
    """
    from mep.cli.screen import StepLines
    from mep.evaluation.folder import FeatureCache, open_folder
    from mep.evaluation.folders import FolderSets, evaluate_folders
    from mep.evaluation.uncertainty import EvaluationSettings
    from mep.machine.engines.local import Local
    from mep.machine.settings import DEVICES
    from mep.methods.extractors import Extractor
    from mep.methods.scores import Score
    from mep.report.tables.folders import as_table, notes

    default = ("frechet", "kid", "prdc", *(("memorisation",) if options.train else ()))
    extractors = _methods(Extractor, options.extractors or ("efficientnet_lite0",), "--extractor")
    scores = _methods(Score, options.scores or default, "--score")
    folders = [open_folder(path) for path in (options.real, *dict.fromkeys(options.synthetic))]
    training = open_folder(options.train) if options.train else None
    if not re.fullmatch(DEVICES, options.device):
        raise UsageError(f"there is no device '{options.device}'", hint="auto, cpu, cuda, cuda:N or mps")
    device = Local(kind="local", processes=1).slots(options.device)[0].device
    cache = FeatureCache(runs / "features", device, options.batch_size, StepLines)
    settings = EvaluationSettings(options.seed, options.halves, cache.device)
    sets = FolderSets(folders[0], folders[1:], training, options.by, options.group, options.resolution)
    evaluation = evaluate_folders(sets, extractors, scores, settings, cache)
    if as_json:
        rows = [{"synthetic": name} | row.row.to_json() for name, scored in evaluation.rows.items() for row in scored]
        show_json({"rows": rows, "comparisons": [comparison.to_json() for comparison in evaluation.comparisons]})
    else:
        listing().print(as_table(evaluation))
    for note in notes(evaluation, folders, training):
        tell(note)
    if options.strict_comparable:
        unlike = sorted({reason for comparison in evaluation.comparisons for reason in comparison.unlike})
        if unlike:
            raise NotComparable(f"these folders cannot be compared: they differ in {', '.join(unlike)}")


def _methods(family: type[MethodT], texts: Sequence[str], flag: str) -> list[MethodT]:
    """Methods as a recipe would write them: a kind, or a mapping in YAML with paths relative to here."""
    import yaml
    from pydantic import ValidationError

    from mep.registry import choose, members

    methods = []
    for text in texts:
        try:
            methods.append(choose(family, yaml.safe_load(text), {"folder": ".", "paths_must_exist": True}))
        except yaml.YAMLError as error:
            raise UsageError(f"{flag} '{text}' is not YAML: {error}") from error
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(step) for step in first["loc"] if step not in members(family))
            message = f"{field}: {first['msg']}" if field else first["msg"]
            hint = f"known: {', '.join(members(family))}"
            raise UsageError(f"{flag} '{text}': {message}", hint=hint) from error
    return methods
