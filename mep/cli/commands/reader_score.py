import json
from pathlib import Path
from typing import Any

import click

from mep.cli.commands._shared import JSON, open_store
from mep.errors import UsageError


@click.command()
@click.argument("run_id", metavar="RUN")
@click.argument("answers", nargs=-1, required=True, type=click.Path(path_type=Path))
@JSON
@click.pass_obj
def command(runs: Path, run_id: str, answers: tuple[Path, ...], as_json: bool) -> None:
    """Score the answers of readers: sensitivity, specificity, accuracy, agreement."""
    from mep.cli.console import show
    from mep.machine.files import read_json
    from mep.reader_study.answers import read_answers
    from mep.reader_study.scoring import score
    from mep.reader_study.study import key_path
    from mep.store.runs import find_run

    store = open_store(runs, must_exist=True)
    run_id = str(find_run(store, run_id)["run_id"])
    found = read_answers(answers)
    key = key_path(store, run_id, found[0].study)
    if not key.exists():
        known = sorted(path.stem for path in key.parent.glob("*.json"))
        hint = f"its studies: {', '.join(known)}" if known else f"make one: mep reader-study {run_id}"
        raise UsageError(f"{run_id} has no key of study {found[0].study}", hint=hint)
    scored = score(found, read_json(key))
    if as_json:
        show(json.dumps(scored, indent=1, ensure_ascii=False))
    else:
        _show(scored)


def _show(scored: dict[str, Any]) -> None:
    from mep.cli.console import show, show_rows
    from mep.reader_study.scoring import MEASURES

    lines = [
        {"reader": one["reader"], "images": one["n_images"], "p (guessing)": f"{one['p_guessing']:.2g}"}
        | {name: _text(one[name]) for name in MEASURES}
        for one in scored["readers"]
    ]
    pooled = scored["pooled"]
    if pooled["n_readers"] > 1:
        lines.append(
            {"reader": f"all {pooled['n_readers']}", "images": pooled["n_images"]}
            | {name: _text(pooled[name]) for name in MEASURES}
        )
    show_rows(lines, ["reader", "images", *MEASURES, "p (guessing)"])
    if len(scored["arms"]) > 1:
        show("")
        show_rows(
            [
                {"arm": arm, "images": one["pooled"]["n"] // pooled["n_readers"], "sensitivity": _text(one["pooled"])}
                for arm, one in scored["arms"].items()
            ],
            ["arm", "images", "sensitivity"],
        )
    show("")
    for note in notes(scored):
        show(note)


def notes(scored: dict[str, Any]) -> list[str]:
    """What the numbers are, in sentences."""
    told = [f"{name.capitalize()}: {what}." for name, what in scored["definitions"].items()]
    told.append("Intervals of 95 %: of one reader Clopper-Pearson; of all, for readers and images like these.")
    for one in scored["readers"]:
        if one["n_open"]:
            told.append(f"{one['reader']} left {one['n_open']} of {scored['n_images']} images without an answer.")
    agreement = scored["agreement"]
    if agreement is None:
        told.append("One reader: the intervals speak of this reader alone.")
    elif agreement["value"] is None:
        told.append("Fleiss' kappa is not defined: the readers gave one and the same answer to every image.")
    else:
        told.append(f"Agreement, Fleiss' kappa: {_text(agreement)}; 1 is perfect, 0 is what chance gives.")
    return told


def _text(found: dict[str, Any]) -> str:
    if found["value"] is None:
        return "-"
    interval = f" ({found['low']:.2f} to {found['high']:.2f})" if found["low"] is not None else ""
    return f"{found['value']:.2f}{interval}"
