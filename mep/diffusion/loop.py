"""A training loop that can be killed anywhere and ends as if it had not been: each step draws from its own seed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, SupportsFloat, TypeAlias

import numpy as np

from mep.diffusion.checkpoints import Checkpoints, Stateful, keep_lines
from mep.errors import DataError, Interrupted
from mep.machine.devices import memory_note
from mep.machine.files import append_json_line, read_json_lines

if TYPE_CHECKING:
    from mep.machine.work import Work

Scalars: TypeAlias = dict[str, SupportsFloat]
"""Named numbers of a step, perhaps still on the device."""
LossRow: TypeAlias = dict[str, float | None]
"""A line of the loss log: the step, then its scalars; None for a gradient too large for fp16, whose step is skipped."""
Tracker: TypeAlias = Callable[[dict[str, float]], object]
"""Gets every line of the loss log, without what is None."""

FLUSH_STEPS = 25
"""Losses are read from the device, checked and written this often, and at least every FLUSH_S seconds."""
FLUSH_S = 2.0
EXPLOSION = 10.0
"""A loss whose mean over FLUSH_STEPS steps is this often the lowest such mean before it, and above 1, has exploded:
targets have variance 1, so that a model which has learned nothing loses about 1."""
GO_ON, SAVE, STOP = range(3)


class ProcessGroup:
    """The processes that train together; each calls every method at the same point. This is a group of one."""

    is_main = True
    sharded = False
    """Whether each process holds a part of the state, and all of them have to put it together."""

    def agree(self, number: int) -> int:
        return number


class Callback:
    """Looks at the model now and then, without touching what the training draws. This one never does."""

    def rewind(self, done: int) -> None:
        """Forget everything after so many steps."""

    def is_due(self, done: int) -> bool:
        return False

    def evaluate(self, done: int) -> None:
        """Evaluate the model as it is after so many steps."""


@dataclass(frozen=True)
class LoopSettings:
    """How long a loop runs, and who takes part in it or watches it.

    name        of its loss log, and of the folder of its checkpoints
    n_images    images in a step, for the progress line
    """

    name: str
    steps: int
    n_images: int = 0
    group: ProcessGroup = field(default_factory=ProcessGroup)
    callback: Callback = field(default_factory=Callback)
    trackers: Sequence[Tracker] = ()


def optimise(work: Work, settings: LoopSettings, step: Callable[[int], Scalars], state: dict[str, Stateful]) -> Path:
    """Call step(0) ... step(steps - 1), resuming after the newest checkpoint; the path of the loss log (JSONL).

    step        does one optimizer step and gives named scalars, of which `loss` must stay finite
    state       objects with state_dict and load_state_dict that together determine what the next step does

    DataError       the loss is not a finite number, or has exploded
    Interrupted     a signal came; the state is in a checkpoint
    """
    group, callback = settings.group, settings.callback
    checkpoints = Checkpoints(work.folder / settings.name, every_s=work.machine.checkpoint_every_s)
    log = LossLog(work.folder / f"{settings.name}.jsonl", checkpoints, settings.trackers)
    first, started = checkpoints.resume(state), time.monotonic()
    if group.is_main:
        log.rewind(first)
        callback.rewind(first)
    for number in range(first, settings.steps):
        scalars, done = step(number), number + 1
        urgency = group.agree(_urgency(work, checkpoints))
        is_evaluated = callback.is_due(done)
        if group.is_main:
            log.add(number, scalars)
            if any((urgency, is_evaluated, done == settings.steps, log.is_flush_due())):
                _show(work, settings, done, log.flush(), (done - first) / max(time.monotonic() - started, 1e-9))
        if group.is_main or group.sharded:
            if is_evaluated:
                callback.evaluate(done)
            if urgency:
                checkpoints.save(done, state, write=group.is_main)
        if urgency == STOP:
            work.stop_if_asked()
            raise Interrupted(15)  # the signal went to another process of the group
    return log.path


def _urgency(work: Work, checkpoints: Checkpoints) -> int:
    if work.stop_signal() is not None:
        return STOP
    return SAVE if checkpoints.due() else GO_ON


def _show(work: Work, settings: LoopSettings, done: int, loss: float, steps_per_s: float) -> None:
    rate = steps_per_s * (settings.n_images or 1)
    unit = "images" if settings.n_images else "steps"
    work.progress.update(done, settings.steps, f"loss {loss:.4f}, {rate:.3g} {unit}/s, {memory_note(work.device)}")


@dataclass
class LossLog:
    """Named scalars of every step as JSON lines, read from the device a few steps at a time."""

    path: Path
    checkpoints: Checkpoints
    trackers: Sequence[Tracker] = ()
    waiting: list[tuple[int, Scalars]] = field(default_factory=list)
    flushed_at: float = field(default_factory=time.monotonic)
    window: list[float] = field(default_factory=list)
    lowest: float = float("inf")

    def rewind(self, first: int) -> None:
        """Cut the log back to the steps before one."""
        keep_lines(self.path, lambda row: row["step"] < first)
        for row in read_json_lines(self.path):
            self._check_rise(int(row["step"]), float(row["loss"]))

    def add(self, number: int, scalars: Scalars) -> None:
        self.waiting.append((number, scalars))

    def is_flush_due(self) -> bool:
        return len(self.waiting) >= FLUSH_STEPS or time.monotonic() - self.flushed_at > FLUSH_S

    def flush(self) -> float:
        """Write the waiting lines; the last loss."""
        for number, scalars in self.waiting:
            values = {name: float(value) for name, value in scalars.items()}
            loss = values["loss"]
            if not np.isfinite(loss):
                self._stop(number, f"the loss of step {number} is {loss}")
            finite = {name: value if np.isfinite(value) else None for name, value in values.items()}
            row: LossRow = {"step": number} | finite
            append_json_line(self.path, row)
            self._check_rise(number, loss)
            for tracker in self.trackers:
                tracker({name: value for name, value in row.items() if value is not None})
        self.waiting.clear()
        self.flushed_at = time.monotonic()
        return loss

    def _check_rise(self, step: int, loss: float) -> None:
        """Compare windows of steps at fixed places, so that a resumed run sees the same ones."""
        self.window.append(loss)
        if (step + 1) % FLUSH_STEPS == 0:
            mean = float(np.mean(self.window))
            if mean > max(1.0, EXPLOSION * self.lowest):
                rise = f"the loss rose from {self.lowest:.3g} to {mean:.3g} by step {step}"
                self._stop(step + 1 - FLUSH_STEPS, rise)
            self.lowest = min(self.lowest, mean)
            self.window.clear()

    def _stop(self, before: int, problem: str) -> None:
        good = self.checkpoints.newest(before)
        kept = f"; the last good checkpoint is {good}" if good else ""
        raise DataError(
            f"{problem}: training has diverged{kept}",
            hint="lower the learning rate, lengthen the warm-up, or train in fp32",
            field="training.learning_rate",
        )
