"""A job of Slurm that makes one task: `python -m mep.runner.slurm_job WORK_FOLDER`. It lives on without the run.

SIGTERM, which Slurm sends before it ends a job, asks the stage to stop where it can go on. What came out lies in
`done.json`, or in `failure.json`; without either the job was stopped.
"""

import json
import signal
import sys
from pathlib import Path
from types import FrameType

from mep.errors import Interrupted, MepError, StageFailed
from mep.machine.devices import peak_memory_mb, resolve_device
from mep.machine.files import write_json, write_text
from mep.machine.libraries import prepare_libraries
from mep.machine.settings import MachineConfig
from mep.runner import environment
from mep.runner.elsewhere import STOP, make
from mep.runner.launch import FAILURE, SPEC, failure_of

DONE = "done.json"


def main(folder: Path) -> None:
    def stop(number: int, frame: FrameType | None) -> None:
        write_text(folder / STOP, str(number))

    signal.signal(signal.SIGTERM, stop)
    (folder / STOP).unlink(missing_ok=True)
    spec = json.loads((folder / SPEC).read_text())
    prepare_libraries()
    device = resolve_device(spec["device"])
    try:
        artifact, work = make(spec, device)
        artifact.save(work.out)
    except Interrupted:
        return
    except MepError as error:
        write_json(folder / FAILURE, failure_of(error))
        raise
    except Exception as error:
        message = f"stage {spec['stage']} failed: {type(error).__name__}: {error}"
        write_json(folder / FAILURE, failure_of(StageFailed(message)))
        raise
    machine = MachineConfig.model_validate(spec["machine"])
    traits = environment.traits(machine, device)
    write_json(folder / DONE, {"peak_memory_mb": peak_memory_mb(), "machine": traits})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
