"""A training loop that can be killed anywhere and ends as if it had not been.

Everything random in a step is drawn from a seed of its own (`work.seed_for(name, step)`), so a checkpoint need only
hold weights, optimizer, average and the number of the step: no generator state, no place in a data loader.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from mep.diffusion.checkpoints import Checkpoints, Stateful, keep_lines
from mep.errors import DataError, Interrupted
from mep.machine.files import append_json_line, read_json_lines
from mep.machine.settings import memory_note
from mep.machine.work import Work

if TYPE_CHECKING:
    from numpy.typing import NDArray

FLUSH_STEPS = 25
"""Losses are read from the device, checked and written this often, and at least every FLUSH_S seconds."""
FLUSH_S = 2.0
EXPLOSION = 10.0
"""A loss whose mean over FLUSH_STEPS steps is this often the lowest such mean before it, and above 1, has exploded:
targets have variance 1, so that a model which has learned nothing loses about 1."""
GO_ON, SAVE, STOP = range(3)


class Crew(Protocol):
    """The processes that train together; each calls every method at the same point."""

    is_main: bool
    sharded: bool
    """Whether each process has a part of the state, which all of them put together."""

    def agree(self, number: int) -> int:
        """What the main process says."""
        ...


class Alone:
    """One process."""

    is_main = True
    sharded = False

    def agree(self, number: int) -> int:
        return number


class Observer(Protocol):
    """Looks at the model now and then, without touching what the training draws."""

    def rewind(self, done: int) -> None:
        """Forget what was seen after so many steps."""

    def wants(self, done: int) -> bool:
        """Whether to look after so many steps."""
        ...

    def look(self, done: int) -> None: ...


class Tracker(Protocol):
    """Hears every line of the loss log."""

    def write(self, row: dict[str, Any]) -> None: ...


class Blind:
    """An observer that never looks."""

    def rewind(self, done: int) -> None:
        """There is nothing to forget."""

    def wants(self, done: int) -> bool:
        return False

    def look(self, done: int) -> None:
        """See nothing."""


def optimise(
    work: Work,
    name: str,
    steps: int,
    step: Callable[[int], dict[str, Any]],
    state: dict[str, Stateful],
    *,
    n_images: int = 0,
    crew: Crew | None = None,
    observer: Observer | None = None,
    trackers: Sequence[Tracker] = (),
) -> Path:
    """Call step(0) ... step(steps - 1), resuming after the newest checkpoint; the path of the loss log (JSONL).

    step        does one optimizer step and gives named scalars, of which `loss` must stay finite
    state       objects with state_dict and load_state_dict that together determine what the next step does
    n_images    images in a step, for the progress line

    DataError       the loss is not a finite number, or has exploded
    Interrupted     a signal came; the state is in a checkpoint
    """
    crew, observer = crew or Alone(), observer or Blind()
    checkpoints = Checkpoints(work.folder / name, every_s=work.checkpoint_every_s)
    first = checkpoints.resume(state)
    log = LossLog(work.folder / f"{name}.jsonl", checkpoints, trackers) if crew.is_main else None
    if log:
        log.rewind(first)
        observer.rewind(first)
    has_state = crew.is_main or crew.sharded
    pace = _Pace(work, steps, n_images, first)
    for number in range(first, steps):
        scalars = step(number)
        done = number + 1
        urgency = crew.agree(STOP if work.stop_signal() is not None else SAVE if checkpoints.due() else GO_ON)
        looks = observer.wants(done)
        if log:
            log.add(number, scalars)
            if urgency or looks or done == steps or log.waiting_enough():
                pace.tell(done, log.flush())
        if looks and has_state:
            observer.look(done)
        if urgency and has_state:
            checkpoints.save(done, state, write=crew.is_main)
        if urgency == STOP:
            work.stop_if_asked()
            raise Interrupted(15)  # another process of the crew was asked
    return work.folder / f"{name}.jsonl"


class LossLog:
    """Named scalars of every step as JSON lines, read from the device a few steps at a time."""

    def __init__(self, path: Path, checkpoints: Checkpoints, trackers: Sequence[Tracker] = ()):
        self.path, self.checkpoints, self.trackers = path, checkpoints, trackers
        self.waiting: list[tuple[int, dict[str, Any]]] = []
        self.flushed_at = time.monotonic()
        self.window: list[float] = []
        self.lowest = float("inf")

    def rewind(self, first: int) -> None:
        """Cut the log back to the steps before one; a kill may have left half a last line."""
        keep_lines(self.path, lambda row: row["step"] < first)
        for row in read_json_lines(self.path):
            self._watch(row)

    def add(self, number: int, scalars: dict[str, Any]) -> None:
        self.waiting.append((number, scalars))

    def waiting_enough(self) -> bool:
        return len(self.waiting) >= FLUSH_STEPS or time.monotonic() - self.flushed_at > FLUSH_S

    def flush(self) -> float:
        """Write the waiting lines; the last loss."""
        for number, scalars in self.waiting:
            row = {"step": number} | {name: float(value) for name, value in scalars.items()}
            if not np.isfinite(row["loss"]):
                self._stop(number, f"the loss of step {number} is {row['loss']}")
            append_json_line(self.path, row)
            self._watch(row)
            for tracker in self.trackers:
                tracker.write(row)
        self.waiting.clear()
        self.flushed_at = time.monotonic()
        return row["loss"]

    def _watch(self, row: dict[str, Any]) -> None:
        """Compare windows of steps at fixed places, so that a resumed run sees the same ones."""
        self.window.append(row["loss"])
        if (row["step"] + 1) % FLUSH_STEPS == 0:
            mean = float(np.mean(self.window))
            if mean > max(1.0, EXPLOSION * self.lowest):
                rise = f"the loss rose from {self.lowest:.3g} to {mean:.3g} by step {row['step']}"
                self._stop(row["step"] + 1 - FLUSH_STEPS, rise)
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


class _Pace:
    """The progress line: loss, speed, memory."""

    def __init__(self, work: Work, steps: int, n_images: int, first: int):
        self.work, self.steps, self.n_images = work, steps, n_images
        self.first, self.started = first, time.monotonic()

    def tell(self, done: int, loss: float) -> None:
        rate = (done - self.first) * (self.n_images or 1) / max(time.monotonic() - self.started, 1e-9)
        unit = "images" if self.n_images else "steps"
        note = f"loss {loss:.4f}, {rate:.3g} {unit}/s, {memory_note(self.work.device)}"
        self.work.progress.update(done, self.steps, note)


def _systematic(weights: "NDArray[np.float64]", rng: np.random.Generator) -> "NDArray[np.int64]":
    """int64 (n,) rows, each as often as its share of n says, rounded up or down."""
    n = len(weights)
    ends = np.floor(np.cumsum(weights * (n / weights.sum())) + rng.random()).astype(np.int64)
    ends += n - ends[-1]  # rounding may have lost or won the last one
    return np.repeat(np.arange(n), np.diff(ends, prepend=0))


def batch_rows(work: Work, step: int, batch_size: int, weights: "NDArray[np.float64]") -> "NDArray[np.int64]":
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
        order = rng.permutation(n) if uniform else rng.permutation(_systematic(weights, rng))
        rows.append(order[positions[positions // n == epoch] % n])
    return np.concatenate(rows)
