"""Reader studies: write a page for experts, and score their answers."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import click

from mep.cli.commands._shared import INPUT_FILE, JSON, RUN, open_run
from mep.cli.console import show, show_json, show_rows, tell
from mep.cli.options import collected, option
from mep.errors import UsageError

MORE = {"auc": "AUC", "same_answer": "same answer twice", "type_right": "type named right"}
"""What is told where readers gave it -> its heading."""


@dataclass(frozen=True)
class StudyOptions:
    arms: tuple[str, ...] = option("Arm whose images are shown; repeatable. Default: all share evenly.", "--arm")
    n_images: int = option("Half of them real.", "--images", type=click.IntRange(2, 100_000), default=100)
    size_px: int | None = option(
        "Side in pixels. Default: that of synthetic images.", "--size", type=click.IntRange(8, 4096)
    )
    n_repeated: int = option(
        "Images that come a second time: do readers agree with themselves?",
        "--repeats",
        type=click.IntRange(0, 100_000),
        default=0,
    )
    name: Literal["labels", "clusters"] | None = option(
        "Readers also name what they see: its label, or its cluster, which is shown by example.",
        "--name",
        type=click.Choice(["labels", "clusters"]),
    )
    seed: int | None = option(
        "Default: drawn by the system, so that no recipe tells the order.", type=click.IntRange(0, 2**63 - 1)
    )
    output: Path | None = option("Where the page is written.", type=click.Path(path_type=Path, dir_okay=False))


@click.command("reader-study")
@RUN
@collected(StudyOptions)
@click.pass_obj
def reader_study_command(runs: Path, options: StudyOptions, run_id: str | None) -> None:
    """Write a page on which experts tell real images from synthetic ones."""
    from mep.machine.files import write_json, write_text
    from mep.reader_study.page import page
    from mep.reader_study.study import Design, draw, key_path, page_path

    store, run_id = open_run(runs, run_id)
    chosen = {name: value for name, value in vars(options).items() if name != "output"}
    study = draw(store, run_id, Design(**chosen))
    path, key = options.output or page_path(store, run_id, study.id), key_path(store, run_id, study.id)
    write_json(key, study.key())  # first, so that no page is ever without its key
    write_text(path, page(study))
    firsts = [item for item in study.items if item.first is None]
    n_real = sum(item.truth == "real" for item in firsts)
    counts = f"{n_real} real held-out and {len(firsts) - n_real} synthetic images of {study.size_px} px"
    counts += f", {options.n_repeated} of them twice" if options.n_repeated else ""
    tell(f"{counts}, {path.stat().st_size / 1e6:.1f} MB")
    tell(f"key, which readers must not see: {key}")
    tell(f"send the page; with the files that come back: mep reader-score {run_id} ANSWERS...")
    show(str(path))


@click.command("reader-score")
@click.argument("run_id", metavar="RUN")
@click.argument("answers", nargs=-1, required=True, type=INPUT_FILE)
@JSON
@click.pass_obj
def reader_score_command(runs: Path, run_id: str, answers: tuple[Path, ...], as_json: bool) -> None:
    """Score the answers of readers: sensitivity, specificity, accuracy, agreement."""
    from mep.machine.files import read_json
    from mep.reader_study.answers import read_answers
    from mep.reader_study.scoring import score
    from mep.reader_study.study import key_path

    store, run_id = open_run(runs, run_id)
    answers_read = read_answers(answers)
    key = key_path(store, run_id, answers_read[0].study)
    if not key.exists():
        studies = sorted(path.stem for path in key.parent.glob("*.json"))
        hint = f"its studies: {', '.join(studies)}" if studies else f"make one: mep reader-study {run_id}"
        raise UsageError(f"{run_id} has no key of study {answers_read[0].study}", hint=hint)
    scored = score(answers_read, read_json(key))
    if as_json:
        show_json(scored)
        return
    _show_scores(scored)
    show("")
    for note in notes(scored):
        show(note)


def _show_scores(scored: dict[str, Any]) -> None:
    from mep.reader_study.scoring import MEASURES

    rows = []
    more = {name: title for name, title in MORE.items() if any(reader[name]["n"] for reader in scored["readers"])}
    asked = {name: name for name in MEASURES} | more
    for reader in scored["readers"]:
        rows.append({"reader": reader["reader"], "images": reader["n_images"]})
        rows[-1] |= {title: _text(reader[name]) for name, title in asked.items()}
        rows[-1] |= {"p (guessing)": f"{reader['p_guessing']:.2g}"}
    pooled = scored["pooled"]
    n = pooled["n_readers"]
    if n > 1:
        rows.append({"reader": f"all {n}", "images": pooled["n_images"]})
        rows[-1] |= {title: _text(pooled[name]) for name, title in asked.items() if name in pooled}
    show_rows(rows, ["reader", "images", *asked.values(), "p (guessing)"])
    if len(scored["arms"]) > 1:
        show("")
        arms = {arm: scores["pooled"] for arm, scores in scored["arms"].items()}
        rows = [{"arm": arm, "images": item["n"] // n, "sensitivity": _text(item)} for arm, item in arms.items()]
        show_rows(rows, ["arm", "images", "sensitivity"])
    if scored["types"] and scored["types"]["right"]:
        show("")
        named = scored["types"]["right"]
        rows = [{"images of": of, "images": one["n"] // n, "type named right": _text(one)} for of, one in named.items()]
        show_rows(rows, ["images of", "images", "type named right"])


def notes(scored: dict[str, Any]) -> list[str]:
    """What the numbers are, in sentences."""
    sentences = [f"{name.capitalize()}: {what}." for name, what in scored["definitions"].items()]
    if scored["pooled"]["auc"]["n"]:
        sentences.append("AUC: area under the ROC curve of five steps of confidence; 0.5 is guessing.")
    sentences.append(
        "Intervals of 95 %: of one reader Clopper-Pearson, of an AUC DeLong; of all, for readers and images like "
        "these, of an AUC after Obuchowski and Rockette."
    )
    for reader in scored["readers"]:
        if reader["n_open"]:
            share = f"{reader['n_open']} of {scored['n_images']}"
            sentences.append(f"{reader['reader']} left {share} images without an answer.")
    if scored["types"]:
        sentences.append("Type named right: of a synthetic image the type that its caption asked for.")
        if (alike := scored["types"]["agreement"]) and alike["value"] is not None:
            sentences.append(f"Agreement on types, Fleiss' kappa: {_text(alike)}.")
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
