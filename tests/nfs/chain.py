"""Ten stages that do next to nothing, as one of several hosts carries them out: chain.py SECONDS, which each takes."""

import os
import platform
import sys
from pathlib import Path
from unittest.mock import patch

import trivial

from mep.errors import MepError
from mep.runner.callback import RunCallback


class Tells(RunCallback):
    def reused(self, task):
        print("reuses", task.stage.name, flush=True)

    def started(self, task):
        print("makes", task.stage.name, flush=True)
        return super().started(task)

    def waiting(self, task, why):
        print("waits for", task.stage.name, why, flush=True)

    def warned(self, text):
        print("warning:", text, flush=True)


def main():
    name = f"run-{platform.node()}-{os.getpid()}"
    try:
        with patch.object(trivial, "RunCallback", Tells):
            trivial.run_trivial(
                Path(os.environ["MEP_RUNS"]), [1], name=name, sleep_s=float(sys.argv[1]), n_bytes=50_000
            )
    except MepError as error:
        print(error)
        sys.exit(error.exit_code)


main()
