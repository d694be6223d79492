"""A Ray cluster as it is found: its room, which is waited for aloud and not for ever, and the loss of its nodes."""

import time
from collections.abc import Mapping
from types import ModuleType

from mep.errors import EnvironmentLacks
from mep.machine.jobs import Say, silent

MOST_NODES = 100
"""Nodes that may be lost with the same piece of work before it is given up."""
SAY_AFTER_S = 5.0
"""Seconds without a change before it is told: a worker on a busy host needs that long to begin."""
GB = 1e9
UNITS = {"GPU": ("GPU", 1.0), "CPU": ("CPU", 1.0), "memory": ("GB of memory", GB)}


class Room:
    """The wait for workers that have been asked for."""

    def __init__(self, ray: ModuleType, needs: Mapping[str, float], patience_s: float, say: Say = silent):
        """needs: of one worker, in Ray's resources; patience_s: how long there may be none."""
        self.ray, self.needs, self.patience_s, self.say = ray, needs, patience_s, say
        self.n_begun, self.n_nodes, self.told = 0, 0, False
        self.since = self.changed_at = time.monotonic()

    def look(self, n_begun: int, n_asked: int) -> None:
        """Called about once a second with how many of the workers have begun.

        EnvironmentLacks    for patience_s there has been room for none
        """
        now, nodes = time.monotonic(), self._nodes() if n_begun < n_asked else []
        if n_begun != self.n_begun:
            self.since = now
        if (n_begun, len(nodes)) != (self.n_begun, self.n_nodes):
            self.n_begun, self.n_nodes, self.changed_at, self.told = n_begun, len(nodes), now, False
        waited_s = now - self.since
        if not n_begun and waited_s > self.patience_s:
            raise EnvironmentLacks(
                f"the cluster had no room for a worker for {self.patience_s:.0f} s: {self._state(nodes)}",
                hint="ask for less (machine.engine.cpus_per_actor, memory_gb), wait for other work, or add a host;"
                " for one that is about to come, raise machine.engine.connect_timeout_s",
            )
        if n_begun < n_asked and not self.told and now - self.changed_at > SAY_AFTER_S:
            self.told = True
            begun = f"{n_begun} of {n_asked} workers have begun; " if n_begun else ""
            left = "" if n_begun else f"; waits {self.patience_s - waited_s:.0f} s more"
            self.say(f"for room: {begun}{self._state(nodes, left)}")

    def _state(self, nodes: list[dict[str, float]], left: str = "") -> str:
        """What a worker takes, and why no node has it."""
        lacking = {
            name: amount for name, amount in self.needs.items() if all(node.get(name, 0) < amount for node in nodes)
        }
        large = [node for node in nodes if all(node.get(name, 0) >= amount for name, amount in self.needs.items())]
        why = f"no node has {told(lacking or self.needs)}"
        if large:
            free = self.ray.available_resources()
            why = f"free: {told({name: free.get(name, 0) for name in self.needs})}"
        return f"a worker takes {told(self.needs)}; {why} (nodes: {len(nodes)}{left})"

    def _nodes(self) -> list[dict[str, float]]:
        return [node["Resources"] for node in self.ray.nodes() if node["Alive"]]


def is_node_lost(error: Exception) -> bool:
    """Whether a worker went with its node, which is nobody's fault; one that dies on its own may be short of memory."""
    from ray.exceptions import ActorUnavailableError

    unreachable = isinstance(error, ActorUnavailableError) or "node has died" in str(error)
    return unreachable or bool(getattr(error, "preempted", False))


def options(needs: Mapping[str, float]) -> dict[str, float]:
    """Resources as `ray.remote` calls them."""
    names = {"CPU": "num_cpus", "GPU": "num_gpus"}
    return {names.get(name, name): amount for name, amount in needs.items()}


def told(resources: Mapping[str, float]) -> str:
    """1 GPU, 2 CPU and 4 GB of memory."""
    words = [f"{resources[name] / size:.3g} {unit}" for name, (unit, size) in UNITS.items() if name in resources]
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
