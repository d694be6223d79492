"""Tensors on their way to a device: from pinned memory, on a stream of their own, while the device computes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor


@dataclass(frozen=True)
class Sent:
    """Tensors that are on the device once `receive` has been called."""

    tensors: dict[str, Tensor]
    arrival: Any = None

    def receive(self) -> dict[str, Tensor]:
        """The tensors; what the device computes from here on waits for them, the host does not."""
        import torch

        if self.arrival is not None:
            stream = torch.cuda.current_stream(self.arrival.device)
            stream.wait_event(self.arrival)
            for tensor in self.tensors.values():
                tensor.record_stream(stream)  # its memory is not given away before that stream is done with it
        return self.tensors


@dataclass(frozen=True)
class Returned:
    """Tensors on their way to the host."""

    tensors: dict[str, Tensor]
    arrival: Any = None

    def wait(self) -> dict[str, NDArray[Any]]:
        """The tensors as arrays, once they are there."""
        if self.arrival is not None:
            self.arrival.synchronize()
        return {name: tensor.numpy() for name, tensor in self.tensors.items()}


class Lane:
    """The way to a device; a GPU has a stream of its own for it."""

    def __init__(self, device: str):
        import torch

        self.device = device
        self.stream = torch.cuda.Stream(device) if device.startswith("cuda") else None

    def send(self, tensors: dict[str, Tensor], there: Iterable[str] = ()) -> Sent:
        """Copies of tensors, each distinct one copied once; those that are `there` already stay as they are."""
        import torch

        if self.stream is None:
            return Sent(self._moved(tensors, set(there)))
        with torch.cuda.stream(self.stream):
            moved = self._moved(tensors, set(there))
            arrival = self.stream.record_event()
        return Sent(moved, arrival)

    def _moved(self, tensors: dict[str, Tensor], there: set[str]) -> dict[str, Tensor]:
        distinct = {id(tensor): tensor for name, tensor in tensors.items() if name not in there}
        copies = {key: self._copy(tensor) for key, tensor in distinct.items()}
        return {name: copies.get(id(tensor), tensor) for name, tensor in tensors.items()}

    def _copy(self, tensor: Tensor) -> Tensor:
        return tensor.pin_memory().to(self.device, non_blocking=True) if self.stream else tensor.to(self.device)

    def fetch(self, tensors: dict[str, Tensor]) -> Returned:
        """Bring tensors to the host, in pinned memory, as soon as they are computed; nobody waits for it here."""
        import torch

        if self.stream is None:
            return Returned({name: tensor.cpu() for name, tensor in tensors.items()})
        pinned = {name: torch.empty_like(tensor, device="cpu", pin_memory=True) for name, tensor in tensors.items()}
        for name, tensor in tensors.items():
            pinned[name].copy_(tensor, non_blocking=True)
        return Returned(pinned, torch.cuda.current_stream(self.device).record_event())
