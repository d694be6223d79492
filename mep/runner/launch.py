"""A stage on several processes: `accelerate launch` starts them, this process watches over them.

What the processes need is in `launch.json` of the stage's work folder, so that other nodes of a cluster can join in.
They stop after the step in which a file `stop` appears there; the first of them writes progress and errors beside it.
"""

import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

from mep import errors
from mep.artifacts import Artifact
from mep.errors import DataError, EnvironmentLacks, Interrupted, MepError
from mep.machine.files import write_json
from mep.machine.settings import accelerate_settings
from mep.machine.work import Work
from mep.runner.elsewhere import Watch, told
from mep.runner.plan import Task
from mep.store import Store

SPEC, FAILURE, LOG = "launch.json", "failure.json", "processes.txt"
POLL_S = 0.2
OTHERS = ("DEEPSPEED", "MEGATRON_LM", "XLA", "TPU")
"""Ways of accelerate that bring an optimizer, or a loop, of their own."""


def launch(task: Task, work: Work, store: Store) -> Artifact:
    """The artifact of a task, made by the processes of the machine's accelerate configuration.

    EnvironmentLacks    the configuration cannot be read or the processes do not start
    """
    watch = Watch(work)
    (work.folder / FAILURE).unlink(missing_ok=True)
    here = {"device": work.device, "host": platform.node(), "pid": os.getpid()}
    write_json(work.folder / SPEC, told(task, work, store) | here)
    command = command_of(Path(str(work.machine.accelerate)), work.folder)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    with (work.folder / LOG).open("w") as log:
        processes = subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)
        try:
            code = _watched(processes, watch)
        finally:
            if processes.poll() is None:
                processes.kill()  # the others see that this process or their launcher is gone
    raise_failure(work, code)
    return task.stage.output.load(work.out, task.config)


def command_of(config: Path, folder: Path) -> list[str]:
    """The command that starts the processes; a process takes its place in the crew from the environment it sets."""
    settings = accelerate_settings(config)
    kind = settings["distributed_type"]
    if kind in OTHERS:
        raise EnvironmentLacks(
            f"machine.accelerate: mep does not train with {kind}, which {config} asks for",
            hint="for a model whose training one device cannot hold, set distributed_type: FSDP there",
        )
    # accelerate starts several CPU processes by MPI only; torchrun, which it uses for GPUs, does it without. A model in
    # parts needs nothing else of it either: the parts are cut in `mep.stages.training.processes`.
    command = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", str(config)]
    if kind == "FSDP" or (kind == "MULTI_CPU" and not settings.get("mpirun_config")):
        command.append("--multi_gpu")
    if "main_process_port" not in settings:
        command += ["--main_process_port", "0"]
    return [*command, "-m", "mep.runner.process", str(folder)]


def _watched(processes: "subprocess.Popen[bytes]", watch: Watch) -> int:
    """Their exit code, once all are done."""
    while (code := processes.poll()) is None:
        watch.look()
        time.sleep(POLL_S)
    return code


def raise_failure(work: Work, code: int) -> None:
    """Raise what the processes ended with, if it was not the artifact."""
    work.stop_if_asked()
    if failure := failure_in(work.folder):
        raise failure
    if code:
        tail = (work.folder / LOG).read_text(errors="replace")[-3000:]
        raise RuntimeError(f"a process of accelerate ended with code {code}:\n{tail}")


def failure_in(folder: Path) -> MepError | None:
    """What processes said that they failed with."""
    path = folder / FAILURE
    if not path.exists():
        return None
    failure = json.loads(path.read_text())
    kind = getattr(errors, failure["kind"])
    extra = {"field": failure["field"]} if issubclass(kind, DataError) else {}
    error: MepError = kind(failure["message"], hint=failure["hint"], **extra)
    return error


def failure_of(error: MepError) -> dict[str, str]:
    """The content of `failure.json`; `Interrupted` is not a failure."""
    assert not isinstance(error, Interrupted)
    field = getattr(error, "field", "")
    return {"kind": type(error).__name__, "message": error.message, "hint": error.hint, "field": field}
