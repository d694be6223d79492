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
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import torch

REPOSITORY = Path(__file__).parents[2]
RESULTS = REPOSITORY / "tests" / "bench" / "RESULTS.md"
TITLE = "## On a GPU"
SKIPPED = 77
WAYS = {"bare": "bare loop", "ours": "our step", "script": "the published script's way"}


def measured(batch: int, way: str, *, compiled: bool) -> dict[str, float] | None:
    """Seconds of a step and memory of a way; None where it ended with an error, which is shown."""
    command = [sys.executable, "tests/bench/bench_training.py", "--device", "cuda", "--precision", "bf16"]
    command += ["--width", "1", "--side", "512", "--batch", str(batch), "--rounds", "30", "--alone", way]
    done = subprocess.run(
        command + ["--compile"] * compiled, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True, check=False
    )
    return json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else None


def table(figures: dict[tuple[str, bool], dict[str, float] | None], batch: int, where: str) -> str:
    """The section of RESULTS.md."""
    lines = [
        TITLE,
        "",
        f"`scripts/gpu-check --batch {batch}`, {where}. SD 1.5's size, 512 px, batch {batch}, bf16.",
        "",
    ]
    lines += ["| what | images/s | of the bare loop | memory |", "| --- | --- | --- | --- |"]
    for (way, compiled), found in figures.items():
        what = WAYS[way] + (", compiled" if compiled else "")
        bare = figures.get(("bare", compiled))
        if found is None:
            lines.append(f"| {what} | failed | | |")
            continue
        share = f"{bare['step_s'] / found['step_s']:.3f}" if bare else ""
        lines.append(f"| {what} | {batch / found['step_s']:.1f} | {share} | {found['peak_gb']:.1f} GB |")
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
    ways = [(way, compiled) for compiled in (False, True) for way in WAYS if not (compiled and way == "script")]
    figures = {(way, compiled): measured(options.batch, way, compiled=compiled) for way, compiled in ways}
    where = f"{datetime.now(UTC):%Y-%m-%d}, {torch.cuda.get_device_name()}, torch {torch.__version__}"
    section = table(figures, options.batch, where)
    print(section)
    RESULTS.write_text(with_section(RESULTS.read_text(), section))
    return int(None in figures.values())


if __name__ == "__main__":
    sys.exit(main())
