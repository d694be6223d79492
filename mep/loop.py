"""A training loop that can be killed anywhere and ends as if it had not been.

Everything random in a step is drawn from a seed of its own (`work.seed_for(name, step)`), so a checkpoint need only
hold weights, optimizer, average and the number of the step: no generator state, no place in a data loader.
"""

import io
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mep.errors import DataError
from mep.files import append_json_line, write_atomically, write_text
from mep.stage import Work

FLUSH_STEPS = 25
"""Losses are read from the device, checked and written this often."""
KEPT = 2
"""Checkpoints kept: the newest, and the one before in case the newest cannot be read."""


class Stateful(Protocol):
    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state: dict[str, Any]) -> Any: ...


def optimise(work: Work, name: str, steps: int, step: Callable[[int], dict[str, Any]], state: dict[str, Any]) -> Path:
    """Call step(0) ... step(steps - 1), resuming after the newest checkpoint; the path of the loss log (JSONL).

    step    does one optimizer step and gives named scalars, of which `loss` must stay finite
    state   objects with state_dict and load_state_dict that together determine what the next step does

    DataError       the loss is not a finite number
    Interrupted     a signal came; the state is in a checkpoint
    """
    folder = work.folder / name
    folder.mkdir(parents=True, exist_ok=True)
    log = work.folder / f"{name}.jsonl"
    first = _resume(folder, state, work.device)
    _keep_lines_before(log, first)
    waiting: list[tuple[int, dict[str, Any]]] = []
    saved_at = time.monotonic()
    for number in range(first, steps):
        waiting.append((number, step(number)))
        asked_to_stop = work.stop_signal() is not None
        due = time.monotonic() - saved_at > work.checkpoint_every_s
        if len(waiting) == FLUSH_STEPS or number == steps - 1 or asked_to_stop or due:
            loss = _flush(log, waiting)
            work.progress.update(number + 1, steps, f"loss {loss:.4f}")
        if asked_to_stop or due:
            _save(folder, number + 1, state)
            saved_at = time.monotonic()
            work.stop_if_asked()
    return log


def batch_rows(work: Work, step: int, batch_size: int, weights: NDArray[np.float64]) -> NDArray[np.int64]:
    """Rows of the images of a step, int64 (batch_size,): each epoch a new order, or draws in proportion to weights."""
    n = len(weights)
    positions = np.arange(step * batch_size, (step + 1) * batch_size)
    rows = []
    for epoch in np.unique(positions // n):
        rng = work.rng("order", int(epoch))
        uniform = bool(np.all(weights == weights[0]))
        order = rng.permutation(n) if uniform else rng.choice(n, n, p=weights / weights.sum())
        rows.append(order[positions[positions // n == epoch] % n])
    return np.concatenate(rows)


def _flush(log: Path, waiting: list[tuple[int, dict[str, Any]]]) -> float:
    """Write the waiting losses; the last one."""
    for number, scalars in waiting:
        row = {"step": number} | {name: float(value) for name, value in scalars.items()}
        if not np.isfinite(row["loss"]):
            raise DataError(
                f"the loss of step {number} is {row['loss']}: training has diverged",
                hint="lower the learning rate, lengthen the warm-up, or train in fp32",
                field="training.learning_rate",
            )
        append_json_line(log, row)
    waiting.clear()
    return float(row["loss"])


def _keep_lines_before(log: Path, step: int) -> None:
    """Cut the log back to the steps before one; a kill may have left half a last line."""
    if log.exists():
        lines = [line for line in log.read_text().splitlines(keepends=True) if line.endswith("\n")]
        write_text(log, "".join(line for line in lines if json.loads(line)["step"] < step))


def _save(folder: Path, step: int, state: dict[str, Any]) -> None:
    import torch

    content = {"step": step} | {name: part.state_dict() for name, part in state.items()}
    write_atomically(folder / f"{step:09d}.pt", lambda file: torch.save(content, file))
    for old in sorted(folder.glob("*.pt"))[:-KEPT]:
        old.unlink()


def _resume(folder: Path, state: dict[str, Any], device: str) -> int:
    """Load the newest checkpoint that can be read; the number of the step to go on with."""
    import torch

    for path in sorted(folder.glob("*.pt"), reverse=True):
        try:
            content = torch.load(io.BytesIO(path.read_bytes()), weights_only=True, map_location=device)
        except (RuntimeError, EOFError, ValueError, OSError):
            path.unlink()  # torn by a failing disk: the one before it stands
            continue
        for name, part in state.items():
            part.load_state_dict(content[name])
        return int(content["step"])
    return 0
