"""Runs recipes in processes that can be killed, each forked from one that has imported everything already.

Starting Python with torch takes five seconds, a fork takes none: sixty kills fit into a minute. The server itself
computes nothing, so that no thread of a library is lost in the fork. It reads requests from stdin, one JSON object a
line, and answers each with how the child ended.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__)


class ForkServer:
    """The tests' side."""

    def __init__(self):
        self.process = subprocess.Popen(
            [sys.executable, str(HERE)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout.readline() == "ready\n"

    def go(self, runs, recipe, *, run_id=None, kill_after_s=None, **environment):
        """Run a recipe, or go on with a run; kill it after some seconds. Exit status (-9 when killed), seconds."""
        request = {"runs": str(runs), "recipe": str(recipe), "run_id": run_id, "kill_after_s": kill_after_s}
        self.process.stdin.write(json.dumps(request | {"environment": environment}) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        return answer["status"], answer["seconds"]

    def close(self):
        self.process.stdin.close()
        self.process.wait(timeout=30)


def serve():
    sys.path.insert(0, str(HERE.parents[2]))
    from mep.machine.libraries import declare_missing_operators

    declare_missing_operators()
    import accelerate  # noqa: F401
    import sklearn.cluster  # noqa: F401
    from diffusers import (  # noqa: F401
        AutoencoderKL,
        DDPMScheduler,
        DPMSolverMultistepScheduler,
        StableDiffusionPipeline,
        UNet2DConditionModel,
    )
    from diffusers.optimization import get_scheduler  # noqa: F401
    from diffusers.training_utils import EMAModel  # noqa: F401
    from transformers import CLIPTextConfig, CLIPTextModel, PreTrainedTokenizerFast  # noqa: F401

    from mep.stages import stages

    stages()
    print("ready", flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        started = time.monotonic()
        child = os.fork()
        if child == 0:
            work(request)
        status = wait(child, request["kill_after_s"])
        print(json.dumps({"status": status, "seconds": time.monotonic() - started}), flush=True)


def work(request):
    """In the child: carry the recipe out and end, whatever happens, without going back to the loop."""
    status = 70
    try:
        os.environ.update(request["environment"])
        os.dup2(2, 1)
        from mep.errors import MepError
        from mep.recipe import load_recipe
        from mep.runner.run import resume, run
        from mep.store import Store

        store = Store(Path(request["runs"]))
        try:
            if request["run_id"]:
                resume(request["run_id"], store)
            else:
                run(load_recipe(request["recipe"]), store)
            status = 0
        except MepError as error:
            print(error.message, error.hint, file=sys.stderr)
            status = error.exit_code
    finally:
        sys.stderr.flush()
        os._exit(status)


def wait(child, kill_after_s):
    deadline = time.monotonic() + (kill_after_s if kill_after_s is not None else 600)
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    serve()
