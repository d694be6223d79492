"""A real Ray cluster of several nodes on this host."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

NODE = {"object_store_memory": 100_000_000}


@contextmanager
def ray_cluster(n_cpus: int = 0, **environment: str) -> Iterator[Any]:
    """A cluster of its head alone. `add` adds a node, `remove_node` kills one.

    n_cpus          cores of the head that are for work
    environment     further settings of Ray
    """
    import ray
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))  # where workers find the jobs of tests
        patch.setenv("RAY_worker_niceness", "0")  # else other work on this host may leave them nothing
        for name, value in environment.items():
            patch.setenv(name, value)
        head = NODE | {"num_cpus": n_cpus, "include_dashboard": False}
        cluster = Cluster(initialize_head=True, head_node_args=head)
        cluster.add = lambda **settings: cluster.add_node(**NODE | settings)
        yield cluster
        ray.shutdown()
        cluster.shutdown()
