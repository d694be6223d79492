"""Two arms of the quickstart one after the other and at once, on this machine: wall time.

    python tests/bench/bench_side_by_side.py [--steps 150] [--rounds 2]

Each round runs the recipe anew with machine.at_once 1 and 2, and prints the ratio of the two.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from mep.store import Store

RECIPE = Path(__file__).parents[2] / "recipes" / "quickstart.yaml"


def seconds(at_once: int, steps: int) -> tuple[float, float]:
    """Of the whole run, and from the beginning of its first training to its end."""
    with tempfile.TemporaryDirectory() as folder:
        settings = ("controls=[]", f"training.steps={steps}", f"machine.at_once={at_once}")
        options = [part for setting in settings for part in ("--set", setting)]
        began = time.monotonic()
        command = [sys.executable, "-m", "mep", "--runs", folder, "run", str(RECIPE), *options]
        subprocess.run(command, check=True, capture_output=True)
        whole = time.monotonic() - began
        [row] = Store(Path(folder)).db.query(
            "SELECT (julianday(max(ended_at)) - julianday(min(started_at))) * 86400 AS s FROM attempts"
            " WHERE artifact_id LIKE 'training/%' OR artifact_id LIKE 'metrics/%'"
        )
        return whole, row["s"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    for number in range(options.rounds):
        one, two = (seconds(at_once, options.steps) for at_once in (1, 2))
        for name, before, after in zip(("whole run", "from the first training on"), one, two, strict=True):
            print(
                f"round {number + 1}, {name}: {before:.0f} s, at once {after:.0f} s, {before / after:.2f}x", flush=True
            )


if __name__ == "__main__":
    main()
