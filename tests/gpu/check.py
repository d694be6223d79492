"""All that needs a GPU: its tests, then timings, as a table in tests/bench/RESULTS.md.

    scripts/gpu-check                everything, on one GPU of 80 GB
    scripts/gpu-check --tests        the tests alone
    scripts/gpu-check --batch 8      timings with fewer images in a step, for less memory

Each way is measured in a process of its own: Stable Diffusion 1.5's architecture with random weights, 512 px, bf16.
Ends with 77, and changes nothing, where there is no GPU.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import torch

REPOSITORY = Path(__file__).parents[2]
RESULTS = REPOSITORY / "tests" / "bench" / "RESULTS.md"
TITLE = "## On a GPU"
SKIPPED = 77
WAYS = {"bare": "bare loop", "ours": "our step", "script": "the published script's way"}
OPTIONS = {"--compile": "compiled", "--deterministic": "deterministic"}
TRAINED = [("bare",), ("ours",), ("script",), ("ours", "--deterministic"), ("bare", "--compile"), ("ours", "--compile")]


def measured(command: list[str]) -> dict[str, float] | None:
    """What a program prints as JSON in its last line; None where it ended with an error, which is shown."""
    done = subprocess.run([sys.executable, *command], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True, check=False)
    return json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else None


def training(root: Path, batch: int, way: str, *options: str) -> dict[str, float] | None:
    """Seconds of a step and memory of a way."""
    command = ["tests/bench/bench_training.py", "--device", "cuda", "--precision", "bf16", "--width", "1"]
    command += ["--side", "512", "--batch", str(batch), "--rounds", "20", "--alone", way, "--root", str(root)]
    return measured([*command, *options])


def training_rows(figures: dict[tuple[str, ...], dict[str, float] | None], batch: int) -> list[str]:
    """A row of the table for each way of training and its options, which compiled graphs have a bare loop of."""
    lines = []
    for (way, *options), found in figures.items():
        what = ", ".join([WAYS[way], *(OPTIONS[option] for option in options)])
        if found is None:
            lines.append(f"| {what} | failed | | |")
            continue
        share = more = ""
        if bare := figures.get(("bare", *(option for option in options if option == "--compile"))):
            share, more = f"{bare['step_s'] / found['step_s']:.3f} ", f" ({found['peak_gb'] / bare['peak_gb']:.3f}x)"
        lines.append(f"| {what} | {batch / found['step_s']:.1f} | {share}| {found['peak_gb']:.1f} GB{more} |")
    return lines


def drawing_rows(figures: dict[str, dict[str, float] | None]) -> list[str]:
    """A row of the table for each way of drawing, plain and compiled."""
    names = {"bare": "bare UNet and VAE", "ours": "our samples, as files", "call": "the pipeline's own call"}
    return [
        f"| {names[way]}{said} | {found[way]:.2f} | {found[way] / found['bare']:.3f} | |"
        if found
        else f"| drawing{said} | failed | | |"
        for said, found in figures.items()
        for way in (names if found else ["bare"])
    ]


def table(rows: list[str], batch: int, where: str) -> str:
    """The section of RESULTS.md."""
    size = f"SD 1.5's size with random weights, 512 px, bf16: training in batches of {batch}, drawing 25 guided steps"
    lines = [TITLE, "", f"`scripts/gpu-check --batch {batch}`, {where}. {size}.", ""]
    lines += ["| what | images/s | of the bare loop | memory |", "| --- | --- | --- | --- |", *rows]
    return "\n".join(lines) + "\n"


def with_section(text: str, section: str) -> str:
    """The page with a section in the place of the one of that title, or at its end."""
    title = section.splitlines()[0]
    before, found, rest = text.partition(f"{title}\n")
    following = rest.find("\n## ") if found else -1
    after = rest[following:] if following >= 0 else ""
    return before.rstrip("\n") + "\n\n" + section + after


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tests", action="store_true")
    parser.add_argument("--batch", type=int, default=32)
    options = parser.parse_args(arguments)
    if not torch.cuda.is_available():
        print(f"nothing was checked: torch {torch.__version__} sees no CUDA device here")
        return SKIPPED
    tests = subprocess.run([sys.executable, "-m", "pytest", "-rs", "tests/gpu"], cwd=REPOSITORY, check=False)
    if tests.returncode or options.tests:
        return tests.returncode
    with tempfile.TemporaryDirectory(prefix="gpu-check-") as scratch:
        root, n = Path(scratch), options.batch
        trained = {measurement: training(root, n, *measurement) for measurement in TRAINED}
        draw = ["tests/bench/gpu_drawing.py", "--model", str(root / "pipeline")]
        drawn = {said: measured([*draw, *extra]) for said, extra in {"": [], ", compiled": ["--compile"]}.items()}
    where = f"{datetime.now(UTC):%Y-%m-%d}, {torch.cuda.get_device_name()}, torch {torch.__version__}"
    section = table([*training_rows(trained, n), *drawing_rows(drawn)], n, where)
    print(section)
    RESULTS.write_text(with_section(RESULTS.read_text(), section))
    return int(None in [*trained.values(), *drawn.values()])


if __name__ == "__main__":
    sys.exit(main())
