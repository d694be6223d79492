from pathlib import Path
from typing import Any

import click

from mep.cli.commands._shared import JSON, open_store
from mep.cli.console import show, show_json, show_rows
from mep.errors import UsageError


@click.command()
@click.argument("run_id", metavar="RUN")
@click.argument("answers", nargs=-1, required=True, type=click.Path(path_type=Path))
@JSON
@click.pass_obj
def command(runs: Path, run_id: str, answers: tuple[Path, ...], as_json: bool) -> None:
    """Score the answers of readers: sensitivity, specificity, accuracy, agreement."""
    from mep.machine.files import read_json
    from mep.reader_study.answers import read_answers
    from mep.reader_study.scoring import score
    from mep.reader_study.study import key_path
    from mep.store.runs import find_run

    store = open_store(runs, must_exist=True)
    run_id = str(find_run(store, run_id)["run_id"])
    answers_read = read_answers(answers)
    key = key_path(store, run_id, answers_read[0].study)
    if not key.exists():
        studies = sorted(path.stem for path in key.parent.glob("*.json"))
        hint = f"its studies: {', '.join(studies)}" if studies else f"make one: mep reader-study {run_id}"
        raise UsageError(f"{run_id} has no key of study {answers_read[0].study}", hint=hint)
    scored = score(answers_read, read_json(key))
    if as_json:
        show_json(scored)
    else:
        _show(scored)


def _show(scored: dict[str, Any]) -> None:
    from mep.reader_study.scoring import MEASURES

    lines = [
        {"reader": reader["reader"], "images": reader["n_images"], "p (guessing)": f"{reader['p_guessing']:.2g}"}
        | {name: _text(reader[name]) for name in MEASURES}
        for reader in scored["readers"]
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
                {
                    "arm": arm,
                    "images": scores["pooled"]["n"] // pooled["n_readers"],
                    "sensitivity": _text(scores["pooled"]),
                }
                for arm, scores in scored["arms"].items()
            ],
            ["arm", "images", "sensitivity"],
        )
    show("")
    for note in notes(scored):
        show(note)


def notes(scored: dict[str, Any]) -> list[str]:
    """What the numbers are, in sentences."""
    sentences = [f"{name.capitalize()}: {what}." for name, what in scored["definitions"].items()]
    sentences.append("Intervals of 95 %: of one reader Clopper-Pearson; of all, for readers and images like these.")
    for reader in scored["readers"]:
        if reader["n_open"]:
            sentences.append(
                f"{reader['reader']} left {reader['n_open']} of {scored['n_images']} images without an answer."
            )
    agreement = scored["agreement"]
    if agreement is None:
        sentences.append("One reader: the intervals speak of this reader alone.")
    elif agreement["value"] is None:
        sentences.append("Fleiss' kappa is not defined: the readers gave one and the same answer to every image.")
    else:
        sentences.append(f"Agreement, Fleiss' kappa: {_text(agreement)}; 1 is perfect, 0 is what chance gives.")
    return sentences


def _text(score: dict[str, Any]) -> str:
    if score["value"] is None:
        return "-"
    interval = f" ({score['low']:.2f} to {score['high']:.2f})" if score["low"] is not None else ""
    return f"{score['value']:.2f}{interval}"
