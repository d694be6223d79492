"""How long a signal takes to stop the quickstart: python tests/bench/bench_signals.py RUNS [SIGNALS [SECONDS]]

Sends SIGTERM and SIGINT in turn, each a random time of up to SECONDS after the process has begun its first stage, and
resumes, until the run is done or so many signals were sent.
"""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]


def lines_of(runs):
    return [line.split() for path in Path(runs).glob("2*/log.txt") for line in path.read_text().splitlines()]


def begun(runs):
    """How often a stage has been started."""
    return sum(line[2:3] == ["starts:"] for line in lines_of(runs))


def main(runs, n_signals, longest_s):
    rng, took = random.Random(1), []
    mep = [sys.executable, "-m", "mep", "--runs", runs]
    command = [*mep, "run", str(REPOSITORY / "recipes" / "quickstart.yaml")]
    while len(took) < n_signals:
        before = begun(runs)
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        while begun(runs) == before and process.poll() is None:
            time.sleep(0.1)
        try:
            process.wait(timeout=rng.uniform(0, longest_s))
            break
        except subprocess.TimeoutExpired:
            number = (signal.SIGTERM, signal.SIGINT)[len(took) % 2]
        started = time.perf_counter()
        process.send_signal(number)
        _, output = process.communicate(timeout=120)
        took.append(time.perf_counter() - started)
        assert process.returncode == 128 + number, output
        assert "go on with: mep" in output, output
        stopped = [line[1] for line in lines_of(runs) if line[2:] == ["interrupted"] and line[1] != "run"]
        print(f"{took[-1]:5.2f} s  {stopped[-1] if stopped else 'between stages'}", flush=True)
        command = [*mep, "resume"]
    print(f"{len(took)} signals: at most {max(took):.2f} s, mean {sum(took) / len(took):.2f} s (target 10 s)")


if __name__ == "__main__":
    more = [float(number) for number in sys.argv[2:]]
    main(sys.argv[1], *(more + [16, 30][len(more) :]))
