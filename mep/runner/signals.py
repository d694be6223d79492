"""Signals: the first asks the work to stop where everything is on disk, a second one ends the process at once."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import cast

from mep.errors import Interrupted

GRACE_S = 6.0
"""A stage that has not come to a place to stop by then is left as kill -9 would leave it (Slurm grants 30 s)."""


class Signals:
    """What has been asked; calling it is the handler.

    left    a stage did not come to a place to stop: Interrupted was raised wherever it was
    """

    def __init__(self, tell: Callable[[int, bool], None]):
        self.number: int | None = None
        self.left = False
        self.tell = tell

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self.number is not None:
            self.tell(number, True)
            os._exit(128 + number)
        self.number = number
        signal.setitimer(signal.ITIMER_REAL, GRACE_S)
        self.tell(number, False)

    def look(self) -> int | None:
        """For a stage at a place to stop: what was asked. It may take its time now, to write a large checkpoint."""
        if self.number is not None:
            signal.setitimer(signal.ITIMER_REAL, 0)
        return self.number

    def too_late(self, number: int, frame: FrameType | None) -> None:
        self.left = True
        self.stop_if_any()

    def stop_if_any(self) -> None:
        if self.look() is not None:
            raise Interrupted(cast(int, self.number))


@contextmanager
def listening(tell: Callable[[int, bool], None]) -> Iterator[Signals]:
    """Listen to Ctrl-C and SIGTERM; `tell` hears the signal and whether it is a second one."""
    asked = Signals(tell)
    handlers: dict[int, Callable[[int, FrameType | None], None]] = {
        signal.SIGINT: asked,
        signal.SIGTERM: asked,
        signal.SIGALRM: asked.too_late,
    }
    try:
        before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    except ValueError:  # not the main thread: whoever called is in charge of signals
        yield asked
        return
    try:
        yield asked
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)
