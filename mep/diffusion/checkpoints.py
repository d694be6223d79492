"""Checkpoints of a training loop: never half written, cheap in time, and the newest readable one is loaded."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from mep.errors import EnvironmentLacks
from mep.machine.files import noticing_full_disk, write_atomically, write_text

if TYPE_CHECKING:
    from torch import nn

KEPT = 2
"""Checkpoints kept: the newest, and the one before in case the newest cannot be read."""
STALL = 0.01
"""Share of the time that saving may take: where a checkpoint takes long to write, they are made less often."""
STATE_BYTES = {"adamw": 8, "adamw_8bit": 2, "adafactor": 3, "prodigy": 16, "schedule_free": 8}
"""What an optimizer remembers of a weight. Adafactor keeps rows and columns of the last two dimensions: of a kernel of
3 x 3 six float32 numbers, 2.7 bytes a weight; of a matrix next to nothing; of Stable Diffusion's UNet 2.1."""
State: TypeAlias = dict[str, Any]
"""What an object remembers, as `torch.save` writes it: tensors, numbers, and lists and dicts of them."""


class Stateful(Protocol):
    def state_dict(self) -> State: ...
    def load_state_dict(self, state: State) -> object: ...


class Checkpoints:
    """Numbered files in a folder, each holding the state after so many steps.

    every_s     seconds between two of them, more where saving would take over 1 % of the time; 0: after every step
    """

    def __init__(self, folder: Path, *, every_s: float):
        self.folder = folder
        self.every_s = self.interval_s = every_s
        self.saved_at = time.monotonic()
        folder.mkdir(parents=True, exist_ok=True)

    def due(self) -> bool:
        return time.monotonic() - self.saved_at > self.interval_s

    def save(self, done: int, state: dict[str, Stateful], *, write: bool = True) -> None:
        """Write the state, then remove all but the newest ones; processes that do not write help to gather it."""
        import torch

        started = time.monotonic()
        content = {"step": done} | {name: part.state_dict() for name, part in state.items()}
        if not write:
            return
        hint = "free some space and run the same command again: the checkpoint before it is kept"
        with noticing_full_disk(f"the disk is full: no checkpoint can be written to {self.folder}", hint):
            write_atomically(self.folder / f"{done:09d}.pt", lambda file: torch.save(content, file))
        for old in sorted(self.folder.glob("*.pt"))[:-KEPT]:
            old.unlink()
        self.saved_at = time.monotonic()
        self.saving_s = self.saved_at - started
        if self.every_s:
            self.interval_s = max(self.every_s, self.saving_s * (1 - STALL) / STALL)

    def resume(self, state: dict[str, Stateful]) -> int:
        """Load the newest readable checkpoint; the number of steps done, 0 without any."""
        import torch

        for path in sorted(self.folder.glob("*.pt"), reverse=True):
            try:
                with path.open("rb") as file:  # read through a file, every record against its checksum
                    content = torch.load(file, weights_only=True, map_location="cpu")
            except (RuntimeError, EOFError, ValueError, OSError):
                path.unlink(missing_ok=True)  # torn by a failing disk, for every process alike: try the one before
                continue
            for name, part in state.items():
                part.load_state_dict(content.pop(name))
            return int(content["step"])
        return 0

    def newest(self, before: int) -> Path | None:
        """The newest checkpoint after at most so many steps."""
        return max((path for path in self.folder.glob("*.pt") if int(path.stem) <= before), default=None)


def keep_lines(log: Path, is_kept: Callable[[dict[str, Any]], bool]) -> None:
    """Keep some lines of a JSONL file; half a last line, which a kill may have left, is dropped too."""
    if log.exists():
        lines = [line for line in log.read_text().splitlines(keepends=True) if line.endswith("\n")]
        write_text(log, "".join(line for line in lines if is_kept(json.loads(line))))


def check_room(folder: Path, parameters: Sequence[nn.Parameter], optimizer: str, *, averaged: bool) -> None:
    """EnvironmentLacks where the disk has no room for the checkpoints of a training and its result."""
    n = sum(parameter.numel() for parameter in parameters)
    weights = sum(parameter.numel() * parameter.element_size() for parameter in parameters)
    checkpoint = weights + n * STATE_BYTES[optimizer] + 4 * n * averaged
    needed = (KEPT + 1) * checkpoint + weights * (
        2 if averaged else 1
    )  # a new checkpoint is whole before an old one goes
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free + sum(path.stat().st_size for path in folder.rglob("*.pt"))
    if needed > free:
        raise EnvironmentLacks(
            f"training needs {needed / 1e9:.3g} GB of disk for checkpoints and weights, {folder} has {free / 1e9:.3g}",
            hint="free some space, or keep everything on another disk: mep --runs DIR run ...",
        )
