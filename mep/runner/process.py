"""One process of a stage that several make together: `accelerate launch ... -m mep.runner.process WORK_FOLDER`."""

import json
import os
import platform
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from mep.errors import Interrupted, MepError
from mep.machine.files import write_json
from mep.machine.settings import ONE_PROCESS, MachineConfig
from mep.machine.work import NullProgress, Work
from mep.runner.launch import FAILURE, PROGRESS, SPEC, STOP, failure_of
from mep.stages import stages

PARENT_S = 1.0
"""Seconds between two looks at whether the process that watches is still there."""


class ToFile:
    """Progress in a file that the watching process reads."""

    def __init__(self, path: Path):
        self.path = path

    def update(self, done: int, total: int, note: str = "") -> None:
        temporary = self.path.with_suffix(".tmp")
        temporary.write_text(json.dumps([done, total, note]))
        temporary.replace(self.path)


def main(folder: Path) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the watching process decides
    spec = json.loads((folder / SPEC).read_text())
    if spec["host"] == platform.node():
        threading.Thread(target=_end_with, args=(spec["pid"],), daemon=True).start()
    is_main = os.environ.get("RANK", "0") == "0"
    stage = stages()[spec["stage"]]
    work = _work(folder, spec, is_main)
    inputs = {}
    for role, source in spec["inputs"].items():
        maker = stages()[source["stage"]]
        inputs[role] = maker.output.load(Path(source["folder"]), maker.config.model_validate(source["config"]))
    try:
        stage.function(stage.config.model_validate(spec["config"]), **inputs, work=work)
    except Interrupted:
        return
    except MepError as error:
        if is_main:
            write_json(folder / FAILURE, failure_of(error))
        raise
    finally:
        from torch import distributed

        if distributed.is_available() and distributed.is_initialized():
            distributed.destroy_process_group()


def _work(folder: Path, spec: dict[str, Any], is_main: bool) -> Work:
    machine = MachineConfig.model_validate(spec["machine"] | {"engine": ONE_PROCESS.engine})
    if machine.device == "cuda":
        machine = machine.model_copy(update={"device": f"cuda:{os.environ.get('LOCAL_RANK', '0')}"})
    stop = folder / STOP
    return Work(
        folder=folder,
        seed=spec["work"]["seed"],
        machine=machine,
        progress=ToFile(folder / PROGRESS) if is_main else NullProgress(),
        stop_signal=lambda: int(stop.read_text()) if stop.exists() else None,
        cache=Path(spec["work"]["cache"]),
        lineage=spec["work"]["lineage"],
    )


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
