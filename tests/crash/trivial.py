"""A pipeline of ten stages that do next to nothing, so that all the time and every fault is the engine's own."""

import os
import signal
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import numpy as np

from mep.artifacts import Artifact
from mep.config import Config
from mep.machine.files import read_json, write_json, write_text
from mep.machine.settings import MachineConfig
from mep.machine.work import Work
from mep.runner.callback import RunCallback
from mep.runner.faults import explained
from mep.runner.plan import make_plan
from mep.runner.session import Session
from mep.stage import stage
from mep.store import Store, locks

N_STAGES = 10


class TrivialConfig(Config):
    value: int
    sleep_s: float = 0
    n_bytes: int = 0


@dataclass(frozen=True)
class Number(Artifact):
    value: int

    def save(self, folder: Path) -> None:
        write_json(folder / "value.json", self.value)

    @classmethod
    def load(cls, folder: Path, config: Config) -> Any:
        return cls(read_json(folder / "value.json"))

    def facts(self) -> dict[str, Any]:
        return {"value": self.value}


def _die():
    os.kill(os.getpid(), signal.SIGKILL)


FAILS = "TRIVIAL_FAILS"
"""Environment variable: how every stage fails once it has written something."""


def _wrap():
    """What diffusers does with anything that is raised while it imports a module."""
    try:
        time.sleep(30)
    except Exception as error:
        raise RuntimeError("cannot be imported") from error


FAILURES = {
    "wrap": _wrap,
    "memory": lambda: np.ones((1 << 24, 1 << 24)),  # 2 PB: no machine has them
    "worker": lambda: ProcessPoolExecutor(1).submit(_die).result(),  # as the kernel does when memory is short
}


def _trivial(number: int, before: type[Number] | None) -> Any:
    output = type(f"Number{number}", (Number,), {})

    def made(config: TrivialConfig, value: int, work: Work) -> Number:
        time.sleep(config.sleep_s)
        (work.out / "filler.bin").write_bytes(bytes(config.n_bytes))
        work.progress.update(1, 1)
        if FAILS in os.environ:
            FAILURES[os.environ[FAILS]]()
        return output(value + config.value)

    if before is None:

        def function(config, *, work):
            return made(config, 0, work)
    else:

        def function(config, source, *, work):
            return made(config, source.value, work)

        function.__annotations__["source"] = before
    function.__name__ = f"s{number}"
    function.__annotations__ |= {"config": TrivialConfig, "return": output}
    return stage(version=1)(function)


STAGES: dict[str, Any] = {}
for place in range(N_STAGES):
    STAGES[f"s{place}"] = _trivial(place, STAGES[f"s{place - 1}"].output if place else None)


def recipe_of(arms, *, shared=5, machine=None, **fields):
    """A recipe whose arms have `shared` stages in common; an arm is known by its number."""
    return SimpleNamespace(
        name="trivial",
        machine=MachineConfig(device="cpu", **(machine or {})),
        arms={
            f"arm{arm}": SimpleNamespace(
                seed=1,
                made_elsewhere="",
                **{
                    name: TrivialConfig(value=0 if place < shared else arm, **fields)
                    for place, name in enumerate(STAGES)
                },
            )
            for arm in arms
        },
    )


def plan_trivial(store, arms, **options):
    with (
        patch("mep.runner.plan.stages", lambda: STAGES),
        patch("mep.runner.plan.stages_of", lambda elsewhere: STAGES),
        patch("mep.runner.plan.maker_of", lambda kind: next(one for one in STAGES.values() if one.output is kind)),
    ):
        return make_plan(recipe_of(arms, **options), store)


def run_trivial(root, arms, *, name="trivial", **options):
    """Carry the trivial recipe out in a run of its own, or go on with it; the plan."""
    store = Store(Path(root))
    folder = store.run_folder(name)
    with explained(store.root), store.in_use(shared=True):
        plan = plan_trivial(store, arms, **options)
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / "recipe.lock.yaml", "")
        with locks.hold(folder / "lock", wait_s=0):
            _carry_out(store, plan, name)
    return plan


def _carry_out(store, plan, name):
    session = Session(name, store, plan.recipe.machine, RunCallback())
    row = {"run_id": name, "name": "trivial", "recipe_file": "", "recipe_sha256": "", "environment": "{}"}
    entries = [("arms", {"run_id": name, "arm": arm, "position": place}) for place, arm in enumerate(plan.recipe.arms)]
    session.begin(row, entries, "")
    session.carry_out(plan)


if __name__ == "__main__":  # python trivial.py ROOT SLEEP_S ARM...
    root, sleep_s, *numbers = sys.argv[1:]
    run_trivial(root, map(int, numbers), name=f"run-{os.getpid()}", sleep_s=float(sleep_s))
