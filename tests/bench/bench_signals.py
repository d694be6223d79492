"""How long a signal takes to stop the quickstart: python tests/bench/bench_signals.py RUNS [SIGNALS [SECONDS]]

Sends SIGTERM and SIGINT in turn, each after a random time of up to SECONDS, and resumes, until the run is done or so
many signals were sent.
"""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]


def main(runs, n_signals, longest_s):
    rng, took, where = random.Random(1), [], []
    mep = [sys.executable, "-m", "mep", "--runs", runs]
    command = [*mep, "run", str(REPOSITORY / "recipes" / "quickstart.yaml")]
    while len(took) < n_signals:
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
    more = [float(one) for one in sys.argv[2:]]
    main(sys.argv[1], *(more + [16, 30][len(more) :]))
