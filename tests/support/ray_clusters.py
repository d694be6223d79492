"""Real Ray clusters of several nodes on this host: one whose nodes a test adds, and one that an autoscaler runs."""

import json
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

NODE = {"object_store_memory": 100_000_000}
HEAD_TYPE = "ray.head.default"
"""Its provider knows the head by no other name."""
STEPS = ("initialization", "setup", "head_setup", "worker_setup", "head_start_ray", "worker_start_ray")
"""What a cloud would do to a new host; each has to be there, and here nothing is to be done."""


@contextmanager
def ray_cluster(n_cpus: int = 0, head: dict[str, Any] | None = None, **environment: str) -> Iterator[Any]:
    """A cluster of its head alone. `add` adds a node, `remove_node` kills one.

    n_cpus          cores of the head that are for work
    head            further settings of the head
    environment     further settings of Ray
    """
    import ray
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))  # where workers find the jobs of tests
        patch.setenv("RAY_worker_niceness", "0")  # else other work on this host may leave them nothing
        for name, value in environment.items():
            patch.setenv(name, value)
        settings = NODE | {"num_cpus": n_cpus, "include_dashboard": False} | (head or {})
        cluster = Cluster(initialize_head=True, head_node_args=settings)
        cluster.add = lambda **settings: cluster.add_node(**NODE | settings)
        yield cluster
        ray.shutdown()
        cluster.shutdown()


@contextmanager
def growing_cluster(folder: Path, most: int, *, idle_s: float, v2: bool = True, **node: float) -> Iterator[Any]:
    """A cluster of its head alone, with an autoscaler that starts nodes of one kind where they are asked for.

    Ray's own `AutoscalingCluster` takes a file that its wheel lacks, and ends every other Ray of the host; this one
    drives the same monitor and the same provider, which starts the processes of a node on this host.

    folder      for the autoscaler's configuration
    most        nodes at most
    idle_s      seconds until a node without work is ended
    v2          which of Ray's two autoscalers
    node        its resources, as CPU=1
    """
    from ray.autoscaler._private.fake_multi_node.node_provider import FAKE_HEAD_NODE_ID, FakeMultiNodeProvider
    from ray.util import get_node_ip_address

    address = get_node_ip_address()
    with socket.socket() as probe:
        probe.bind((address, 0))
        port = probe.getsockname()[1]
    words = ("disable_node_updaters", "disable_launch_config_check", "foreground_node_launch", "use_node_id_as_ip")
    provider = dict.fromkeys((*words, "worker_rpc_drain", "use_internal_ips", "launch_multiple"), True)
    provider |= {"worker_liveness_check": False, "gcs_address": f"{address}:{port}", "head_node_id": FAKE_HEAD_NODE_ID}
    provider |= {"type": "external", "module": f"{FakeMultiNodeProvider.__module__}.{FakeMultiNodeProvider.__name__}"}
    kinds = {
        HEAD_TYPE: {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0},
        "worker": {"resources": node | NODE, "node_config": {}, "min_workers": 0, "max_workers": most},
    }
    settings = {"cluster_name": "grows", "provider": provider, "available_node_types": kinds, "max_workers": most}
    settings |= {"head_node_type": HEAD_TYPE, "upscaling_speed": 100, "idle_timeout_minutes": idle_s / 60}
    settings |= {
        "auth": {},
        "file_mounts": {},
        "cluster_synced_files": [],
        **{f"{step}_commands": [] for step in STEPS},
    }
    (folder / "cluster.json").write_text(json.dumps(settings))
    names = {"RAY_OVERRIDE_NODE_ID_FOR_TESTING": FAKE_HEAD_NODE_ID, "RAY_CLOUD_INSTANCE_ID": FAKE_HEAD_NODE_ID}
    head = {"gcs_server_port": port, "autoscaling_config": str(folder / "cluster.json")}
    head["env_vars"] = names | {"RAY_NODE_TYPE_NAME": HEAD_TYPE}
    version = {"RAY_enable_autoscaler_v2": str(int(v2))}
    with ray_cluster(head=head, RAY_FAKE_CLUSTER="1", AUTOSCALER_UPDATE_INTERVAL_S="1", **version) as cluster:
        yield cluster
        shrunk(cluster)


def n_nodes(cluster: Any) -> int:
    """Nodes of a cluster that live, its head aside."""
    return sum(node["Alive"] for node in cluster.global_state.node_table()) - 1


def shrunk(cluster: Any, timeout_s: float = 60) -> None:
    """Wait until a growing cluster has ended all that it had started; TimeoutError where it does not."""
    until = time.monotonic() + timeout_s
    while n_nodes(cluster):
        if time.monotonic() > until:
            raise TimeoutError(f"{n_nodes(cluster)} nodes are still there")
        time.sleep(0.2)
