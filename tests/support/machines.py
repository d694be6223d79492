"""The machine of a test: this process on its CPU, with an engine that the test can replace, and a signal to stop."""

import signal

from mep.machine.settings import ONE_PROCESS


def machine(**changes):
    """Settings of `machine`; they are not validated, so that an engine can be any object."""
    return ONE_PROCESS.model_copy(update=changes)


def stopping_after(n_looks):
    """A signal that arrives when the work, having looked for one so many times, looks again."""
    looks = iter(range(1000))
    return lambda: signal.SIGTERM if next(looks) >= n_looks else None


class FakeEngine:
    """Work in this process; a test gives functions that do a part of it in another way."""

    def __init__(self, map_unordered=None, map_cpu=None):
        self.given = {"map_unordered": map_unordered, "map_cpu": map_cpu}

    def map(self, function, items):
        return map(function, items)

    def map_unordered(self, job, items, *, device, stop, say):
        given = self.given["map_unordered"]
        return (
            given(job, items, stop) if given else ONE_PROCESS.engine.map_unordered(job, items, device=device, stop=stop)
        )

    def map_cpu(self, job, items, *, stop, say):
        given = self.given["map_cpu"]
        return given(job, items, stop) if given else ONE_PROCESS.engine.map_cpu(job, items, stop=stop)
