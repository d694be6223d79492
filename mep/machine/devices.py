"""Devices and cores, and which of them a worker process gets."""

import os
from dataclasses import dataclass


def resolve_device(device: str) -> str:
    """The device that `auto` stands for here."""
    if device != "auto":
        return device
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


@dataclass(frozen=True)
class WorkerSlot:
    """Where a worker process runs: its device, and the cores that it is pinned to (none: not pinned)."""

    device: str
    cores: tuple[int, ...] = ()


def share_cores(n: int) -> list[tuple[int, ...]]:
    """The cores of this process split into n parts; parts overlap where there are fewer cores than parts."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if len(cores) < n:
        return [(cores[number % len(cores)],) if cores else () for number in range(n)]
    return [tuple(cores[len(cores) * number // n : len(cores) * (number + 1) // n]) for number in range(n)]
