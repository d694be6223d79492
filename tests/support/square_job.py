"""A job that squares numbers, and dies or fails on request."""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from mep.errors import DataError
from mep.machine.jobs import Job


@dataclass(frozen=True)
class Square(Job):
    """Squares numbers; every worker leaves a note when it begins, and dies or fails on request."""

    notes: Path
    seconds: float = 0.0
    die_on: int = -1
    deaths: int = 1
    fail_on: int = -1

    def prepare(self, device):
        cores = sorted(os.sched_getaffinity(0))
        (self.notes / f"{os.getpid()}").write_text(f"{cores} {os.environ.get('OMP_NUM_THREADS')}")
        return self.compute

    def compute(self, number):
        time.sleep(self.seconds)
        if number == self.die_on and len(list(self.notes.glob("died*"))) < self.deaths:
            (self.notes / f"died-{os.getpid()}").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if number == self.fail_on:
            raise DataError("no such number", hint="take another")
        return number

    def finish(self, computed):
        return computed**2
