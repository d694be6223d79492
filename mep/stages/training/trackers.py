"""Further places for the losses, for people who follow them in TensorBoard or trackio."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mep.errors import EnvironmentLacks

if TYPE_CHECKING:
    from mep.diffusion.loop import LossRow, Tracker
    from mep.machine.work import Work


def trackers_of(work: Work) -> list[Tracker]:
    """The writers that the machine asks for.

    EnvironmentLacks    a package is missing
    """
    kinds: dict[str, type[TensorBoard] | type[Trackio]] = {"tensorboard": TensorBoard, "trackio": Trackio}
    return [kinds[name](work) for name in work.machine.trackers]


class TensorBoard:
    """Event files in `tensorboard/` beside the cache: tensorboard --logdir runs/cache/tensorboard."""

    def __init__(self, work: Work):
        try:
            from torch.utils import tensorboard
        except ImportError as error:
            raise _missing("tensorboard") from error
        folder = work.cache_for("tensorboard") / work.folder.name
        self.writer = tensorboard.SummaryWriter(str(folder))

    def write(self, row: LossRow) -> None:
        for name, value in row.items():
            if name != "step":
                self.writer.add_scalar(name, value, row["step"])
        self.writer.flush()


class Trackio:
    """A local trackio project `mep`, one run for every training."""

    def __init__(self, work: Work):
        try:
            import trackio
        except ImportError as error:
            raise _missing("trackio") from error
        self.run = trackio.init(project="mep", name=work.folder.name, resume="allow")

    def write(self, row: LossRow) -> None:
        self.run.log({name: value for name, value in row.items() if name != "step"}, step=row["step"])


def _missing(package: str) -> EnvironmentLacks:
    return EnvironmentLacks(
        f"machine.trackers names {package}, which is not installed",
        hint=f"pip install {package}, or take it out of machine.trackers; the loss log is written either way",
    )
