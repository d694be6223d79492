"""One process of a stage that several make together: `accelerate launch ... -m mep.runner.process WORK_FOLDER`."""

import json
import os
import platform
import signal
import sys
import threading
import time
from pathlib import Path

from mep.errors import Interrupted, MepError
from mep.machine.files import write_json
from mep.runner.elsewhere import make
from mep.runner.launch import FAILURE, SPEC, failure_of

PARENT_S = 1.0
"""Seconds between two looks at whether the process that watches is still there."""


def main(folder: Path) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the watching process decides
    spec = json.loads((folder / SPEC).read_text())
    if spec["host"] == platform.node():
        threading.Thread(target=_end_with, args=(spec["pid"],), daemon=True).start()
    is_main = os.environ.get("RANK", "0") == "0"
    device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if spec["device"] == "cuda" else spec["device"]
    try:
        make(spec, device, says=is_main)
    except Interrupted:
        return
    except MepError as error:
        if is_main:
            write_json(folder / FAILURE, failure_of(error))
        raise
    finally:
        leave_group()


def leave_group() -> None:
    """End the group of processes that train together, if this one is in one."""
    from torch import distributed

    if distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()


def _end_with(pid: int) -> None:
    """End this process when the one that watches is gone: nobody would commit what it makes."""
    while True:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            os._exit(1)
        time.sleep(PARENT_S)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
