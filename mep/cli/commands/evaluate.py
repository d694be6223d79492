import json
import re
from pathlib import Path
from typing import Any

import click

from mep.cli.commands._shared import JSON

FOLDER = click.Path(path_type=Path, file_okay=False)


@click.command()
@click.option("--real", type=FOLDER, required=True, help="Folder of real images, best held out from all training.")
@click.option("--synthetic", type=FOLDER, required=True, multiple=True, help="Folder to score; several are compared.")
@click.option("--train", type=FOLDER, help="Folder of training images, to look for copies.")
@click.option(
    "--extractor",
    "extractors",
    multiple=True,
    metavar="KIND",
    help="As in a recipe: random_conv, or '{kind: inception, weights: FILE}'. Default: inception.",
)
@click.option(
    "--score",
    "scores",
    multiple=True,
    metavar="KIND",
    help="As in a recipe. Default: frechet, kid, prdc; with --train memorisation.",
)
@click.option("--by", multiple=True, metavar="COLUMN", help="Score every value of a metadata column too: label.")
@click.option("--group", metavar="COLUMN", help="Slide or patient of the real images, for honest intervals.")
@click.option("--resolution", type=click.IntRange(8, 4096), help="Side in pixels to which both sets are brought first.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of draws and halves.")
@click.option("--halves", type=click.IntRange(0), default=40, show_default=True, help="For uncertainty; 0 is none.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:N or mps.")
@click.option("--batch-size", type=click.IntRange(1), default=64, show_default=True)
@click.option("--strict-comparable", is_flag=True, help="Exit with 5 rather than compare unlike protocols.")
@JSON
@click.pass_obj
def command(
    runs: Path,
    real: Path,
    synthetic: tuple[Path, ...],
    train: Path | None,
    extractors: tuple[str, ...],
    scores: tuple[str, ...],
    by: tuple[str, ...],
    group: str | None,
    resolution: int | None,
    seed: int,
    halves: int,
    device: str,
    batch_size: int,
    strict_comparable: bool,
    as_json: bool,
) -> None:
    """Compare folders of synthetic images with real ones, without a recipe: FID, KID, coverage, copies.

    Features are kept in the folder `features` under --runs.
    """
    from mep.cli.console import StepLines, listing, show, tell
    from mep.errors import UsageError
    from mep.evaluation.folders import Machine, evaluate_folders, open_folder
    from mep.machine.engines.local import Local
    from mep.machine.settings import DEVICES
    from mep.methods.extractors import Extractor
    from mep.methods.scores import Score
    from mep.report.tables.folders import as_table, notes

    chosen = _methods(Extractor, extractors or ("inception",), "--extractor")
    default = ("frechet", "kid", "prdc", *(("memorisation",) if train else ()))
    measured = _methods(Score, scores or default, "--score")
    folders = [open_folder(path) for path in (real, *dict.fromkeys(synthetic))]
    training = open_folder(train) if train else None
    if not re.fullmatch(DEVICES, device):
        raise UsageError(f"there is no device '{device}'", hint="auto, cpu, cuda, cuda:N or mps")
    place = Local(kind="local", processes=1).slots(device)[0].device
    machine = Machine(runs / "features", place, batch_size, StepLines)
    found = evaluate_folders(
        folders[0], folders[1:], training, chosen, measured, machine,
        by=by, group=group, size_px=resolution, seed=seed, n_halves=halves,
    )  # fmt: skip
    if as_json:
        rows = [{"synthetic": name} | row.row.to_json() for name, own in found.rows.items() for row in own]
        show(json.dumps({"rows": rows, "comparisons": found.comparisons}, indent=1, ensure_ascii=False))
    else:
        listing().print(as_table(found))
    for note in notes(found, folders, training):
        tell(note)
    if strict_comparable:
        _refuse_unlike(found.comparisons)


def _methods(family: Any, texts: tuple[str, ...], option: str) -> list[Any]:
    """Methods as a recipe would write them: a kind, or a mapping in YAML with paths relative to here."""
    import yaml
    from pydantic import TypeAdapter, ValidationError

    from mep.errors import UsageError
    from mep.registry import OneOf, members

    found = []
    for text in texts:
        try:
            adapter: TypeAdapter[Any] = TypeAdapter(OneOf[family])
            found.append(
                adapter.validate_python(yaml.safe_load(text), context={"folder": ".", "paths_must_exist": True})
            )
        except yaml.YAMLError as error:
            raise UsageError(f"{option} '{text}' is not YAML: {error}") from error
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"] if part not in members(family))
            told = f"{field}: {first['msg']}" if field else first["msg"]
            hint = f"known: {', '.join(members(family))}"
            raise UsageError(f"{option} '{text}': {told}", hint=hint) from error
    return found


def _refuse_unlike(comparisons: list[dict[str, Any]]) -> None:
    from mep.errors import NotComparable

    unlike = sorted({reason for one in comparisons for reason in one.get("unlike", ())})
    if unlike:
        raise NotComparable(f"these folders cannot be compared: they differ in {', '.join(unlike)}")
