"""A training loop that can be killed anywhere and ends as if it had not been.

Everything random in a step is drawn from a seed of its own (`work.seed_for(name, step)`), so a checkpoint need only
hold weights, optimizer, average and the number of the step: no generator state, no place in a data loader.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, SupportsFloat, TypeAlias

import numpy as np

from mep.diffusion.checkpoints import Checkpoints, Stateful, keep_lines
from mep.errors import DataError, Interrupted
from mep.machine.devices import memory_note
from mep.machine.files import append_json_line, read_json_lines

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mep.machine.work import Work

Scalars: TypeAlias = dict[str, SupportsFloat]
"""Named numbers of a step, perhaps still on the device."""
LossRow: TypeAlias = dict[str, float]
"""A line of the loss log: the step, then its scalars."""

FLUSH_STEPS = 25
"""Losses are read from the device, checked and written this often, and at least every FLUSH_S seconds."""
FLUSH_S = 2.0
EXPLOSION = 10.0
"""A loss whose mean over FLUSH_STEPS steps is this often the lowest such mean before it, and above 1, has exploded:
targets have variance 1, so that a model which has learned nothing loses about 1."""
GO_ON, SAVE, STOP = range(3)


class ProcessGroup:
    """The processes that train together; each calls every method at the same point. This is a group of one.

    sharded     whether each process holds a part of the state, and all of them have to put it together
    """

    is_main = True
    sharded = False

    def agree(self, number: int) -> int:
        """The number that the main process has."""
        return number


class Callback:
    """Looks at the model now and then, without touching what the training draws. This one never does."""

    def rewind(self, done: int) -> None:
        """Forget everything after so many steps."""

    def is_due(self, done: int) -> bool:
        """Whether to evaluate the model after so many steps."""
        return False

    def evaluate(self, done: int) -> None:
        """Evaluate the model as it is after so many steps."""


class Tracker(Protocol):
    """Gets every line of the loss log."""

    def write(self, row: LossRow) -> None: ...


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
    loop = _Loop(work, settings, state)
    for number in range(loop.resume(), settings.steps):
        loop.after_step(number, step(number))
    return loop.log.path


@dataclass
class _Loop:
    """What happens around the steps: the log, evaluations, checkpoints and signals."""

    work: Work
    settings: LoopSettings
    state: dict[str, Stateful]

    def __post_init__(self) -> None:
        folder, name = self.work.folder, self.settings.name
        self.checkpoints = Checkpoints(folder / name, every_s=self.work.machine.checkpoint_every_s)
        self.log = LossLog(folder / f"{name}.jsonl", self.checkpoints, self.settings.trackers)

    def resume(self) -> int:
        """Go back to the newest checkpoint; the number of steps that are done."""
        first = self.checkpoints.resume(self.state)
        if self.settings.group.is_main:
            self.log.rewind(first)
            self.settings.callback.rewind(first)
        self.first, self.started = first, time.monotonic()
        return first

    def after_step(self, number: int, scalars: Scalars) -> None:
        """Log the step, then evaluate the model, save its state or stop, where it is time for that."""
        group, callback, done = self.settings.group, self.settings.callback, number + 1
        urgency = group.agree(self._urgency())
        is_evaluated = callback.is_due(done)
        if group.is_main:
            self._write_log(number, scalars, now=bool(urgency) or is_evaluated)
        if group.is_main or group.sharded:
            if is_evaluated:
                callback.evaluate(done)
            if urgency:
                self.checkpoints.save(done, self.state, write=group.is_main)
        if urgency == STOP:
            self.work.stop_if_asked()
            raise Interrupted(15)  # the signal went to another process of the group

    def _urgency(self) -> int:
        if self.work.stop_signal() is not None:
            return STOP
        return SAVE if self.checkpoints.due() else GO_ON

    def _write_log(self, number: int, scalars: Scalars, *, now: bool) -> None:
        self.log.add(number, scalars)
        if now or number + 1 == self.settings.steps or self.log.is_flush_due():
            self._show(number + 1, self.log.flush())

    def _show(self, done: int, loss: float) -> None:
        """Show loss, speed and memory in the progress line."""
        n_images = self.settings.n_images
        rate = (done - self.first) * (n_images or 1) / max(time.monotonic() - self.started, 1e-9)
        unit = "images" if n_images else "steps"
        note = f"loss {loss:.4f}, {rate:.3g} {unit}/s, {memory_note(self.work.device)}"
        self.work.progress.update(done, self.settings.steps, note)


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
        """Cut the log back to the steps before one; a kill may have left half a last line."""
        keep_lines(self.path, lambda row: row["step"] < first)
        for row in read_json_lines(self.path):
            self._check_rise(row)

    def add(self, number: int, scalars: Scalars) -> None:
        self.waiting.append((number, scalars))

    def is_flush_due(self) -> bool:
        return len(self.waiting) >= FLUSH_STEPS or time.monotonic() - self.flushed_at > FLUSH_S

    def flush(self) -> float:
        """Write the waiting lines; the last loss."""
        for number, scalars in self.waiting:
            row: LossRow = {"step": number} | {name: float(value) for name, value in scalars.items()}
            if not np.isfinite(row["loss"]):
                self._stop(number, f"the loss of step {number} is {row['loss']}")
            append_json_line(self.path, row)
            self._check_rise(row)
            for tracker in self.trackers:
                tracker.write(row)
        self.waiting.clear()
        self.flushed_at = time.monotonic()
        return row["loss"]

    def _check_rise(self, row: LossRow) -> None:
        """Compare windows of steps at fixed places, so that a resumed run sees the same ones."""
        self.window.append(row["loss"])
        if (row["step"] + 1) % FLUSH_STEPS == 0:
            mean = float(np.mean(self.window))
            if mean > max(1.0, EXPLOSION * self.lowest):
                rise = f"the loss rose from {self.lowest:.3g} to {mean:.3g} by step {row['step']}"
                self._stop(int(row["step"]) + 1 - FLUSH_STEPS, rise)
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


def _resample(weights: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.int64]:
    """int64 (n,) rows, each as often as its share of n says, rounded up or down."""
    n = len(weights)
    ends = np.floor(np.cumsum(weights * (n / weights.sum())) + rng.random()).astype(np.int64)
    ends += n - ends[-1]  # rounding may have lost or won the last one
    return np.repeat(np.arange(n), np.diff(ends, prepend=0))


def batch_rows(work: Work, step: int, batch_size: int, weights: NDArray[np.float64]) -> NDArray[np.int64]:
    """Rows of the images of a step, int64 (batch_size,): each epoch a new order of n draws.

    An image comes as often as its weight, float64 (n,), says, rounded up or down by lot (systematic resampling); with
    equal weights that is exactly once.
    """
    n = len(weights)
    positions = np.arange(step * batch_size, (step + 1) * batch_size)
    rows = []
    for epoch in np.unique(positions // n):
        rng = work.rng("order", int(epoch))
        uniform = bool(np.all(weights == weights[0]))
        order = rng.permutation(n) if uniform else rng.permutation(_resample(weights, rng))
        rows.append(order[positions[positions // n == epoch] % n])
    return np.concatenate(rows)
