"""Batches that are ready when their step begins: made and sent to the device while the steps before are computed."""

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from mep.machine.transfer import Lane, Sent
from mep.stages.training.batches import Batch, Batches

AHEAD = 2
"""Batches made before their step."""


@dataclass
class BatchesAhead:
    """The share of one process in the batch of every step, on the device. A batch follows from the number of its step.

    end     steps in all: none is made beyond them
    """

    batches: Batches
    share: slice
    device: str
    end: int
    waiting: dict[int, Future[tuple[Batch, Sent]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.thread = ThreadPoolExecutor(1, thread_name_prefix="batches")
        self.lane = Lane(self.device)

    def __call__(self, number: int) -> Batch:
        wanted = range(number, max(number + 1, min(number + 1 + AHEAD, self.end)))
        self.waiting = {step: self.waiting.get(step) or self.thread.submit(self._prepare, step) for step in wanted}
        batch, sent = self.waiting.pop(number).result()
        tensors = sent.receive()
        table = {name: tensors[f"table {name}"] for name in batch.table}
        return Batch(**{name: tensors[name] for name in batch.rows()}, table=table)

    def _prepare(self, step: int) -> tuple[Batch, Sent]:
        batch = self.batches(step, self.share)
        table = {f"table {name}": values for name, values in batch.table.items()}
        is_there = batch.table is self.batches.encoded.captions.table
        return batch, self.lane.send(batch.rows() | table, there=table if is_there else ())

    def close(self) -> None:
        """Let the thread end; what it is at is finished, what waits is not begun."""
        self.thread.shutdown(wait=True, cancel_futures=True)
