"""How long a signal takes to stop the quickstart, wherever it hits: python tests/bench/bench_signals.py RUNS [SECONDS]

Sends SIGTERM (and SIGINT in turn) after a random time of up to SECONDS, resumes, and so on until the run is done.
"""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]


def main(runs, longest_s):
    rng, took, where = random.Random(1), [], []
    mep = [sys.executable, "-m", "mep", "--runs", runs]
    command = [*mep, "run", str(REPOSITORY / "recipes" / "quickstart.yaml")]
    while True:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            process.wait(timeout=rng.uniform(longest_s / 4, longest_s))
        except subprocess.TimeoutExpired:
            number = (signal.SIGTERM, signal.SIGINT)[len(took) % 2]
            started = time.perf_counter()
            process.send_signal(number)
            _, told = process.communicate(timeout=60)
            took.append(time.perf_counter() - started)
            log = next(iter(sorted(Path(runs).glob("2*/log.txt")))).read_text().splitlines()
            where.append(
                next(line.split()[1] for line in reversed(log) if "interrupted" in line and " run " not in line)
            )
            assert process.returncode == 128 + number, told
            assert "go on with: mep" in told, told
            print(f"{took[-1]:5.2f} s  {where[-1]}", flush=True)
            command = [*mep, "resume"]
            continue
        assert process.returncode == 0, process.stderr.read()
        break
    print(f"{len(took)} signals: at most {max(took):.2f} s, mean {sum(took) / len(took):.2f} s (target 10 s)")


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]) if len(sys.argv) > 2 else 40.0)
