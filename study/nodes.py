"""How many trials run at once: on this machine, or on a Ray cluster."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from study.sections import Resources


@dataclass(frozen=True)
class Node:
    """What one machine offers."""

    cpus: float
    gpus: float


def slots(resources: Resources, nodes: Sequence[Node]) -> int:
    """Trials that fit at once: Ray gives a trial the CPUs and the share of a GPU of one node."""
    return sum(_fit(resources, node) for node in nodes)


def _fit(resources: Resources, node: Node) -> int:
    by_cpu = int(node.cpus / resources.cpu + 1e-9)
    if not resources.gpu:
        return by_cpu
    return min(by_cpu, int(node.gpus) * int(1 / resources.gpu + 1e-9))  # a share lies on one GPU


def this_machine(resources: Resources) -> Node:
    """Its cores and, if a trial wants one, its GPUs."""
    return Node(os.cpu_count() or 1, _gpus(resources))


def of_cluster(address: str, resources: Resources) -> list[Node]:
    """The nodes that a running Ray cluster has, and may get. Raises InputError where none answers, or no trial fits."""
    from study import cluster, connection  # Ray takes seconds to import

    connection.connect(address, resources)
    nodes = cluster.nodes() + cluster.growth()
    connection.ray.shutdown()  # type: ignore[attr-defined]
    return nodes


def _gpus(resources: Resources) -> int:
    if not resources.gpu or shutil.which("nvidia-smi") is None:
        return 0
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return 0
    return sum(line.startswith("GPU ") for line in listed.stdout.splitlines())
