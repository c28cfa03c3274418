"""Ray: a cluster to join, or one of this machine's processes; and what Ray reads from the environment."""

import logging
import os
import socket

import ray

from qgan.errors import InputError
from study import cluster
from study.nodes import slots
from study.sections import Resources

# read by Ray as it starts: no usage reports, CPU trials see no GPU
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "1")


def connect(address: str | None, resources: Resources) -> None:
    """Join the cluster at `address`, or start Ray in this machine's processes, for trials that need `resources`.

    Raises InputError where the cluster does not answer, or no node of it has what one trial needs.
    """
    join(address)
    require_room(address, resources)


def join(address: str | None, offers: dict[str, float] | None = None) -> None:
    """Join the cluster at `address`, or start Ray in this machine's processes, which then `offers` such resources.

    Raises InputError where the cluster does not answer.
    """
    if address is not None:
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        _probe(address)
    try:
        ray.init(
            address=address or "local",
            resources=offers if address is None else None,
            include_dashboard=False if address is None else None,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    except (ConnectionError, RuntimeError, ValueError) as error:
        problem = str(error).splitlines()[0]
        if address is None:
            raise InputError(f"Ray does not start on this machine ({problem})") from None
        raise InputError(f"--address {address}: no Ray cluster answers there ({problem})") from None


def require_room(address: str | None, resources: Resources) -> None:
    """Raises InputError where no node of the joined cluster, or one that it may grow, has what one trial needs."""
    grows = cluster.growth() if address is not None else []
    nodes = cluster.nodes() + grows
    # a trial waits for every slot, or processes and nodes would be started one after the other, seconds each
    os.environ.setdefault("TUNE_MAX_PENDING_TRIALS_PG", str(1 + slots(resources, nodes)))
    if not slots(resources, nodes):
        raise InputError(
            f"resources: a trial needs cpu {resources.cpu:g} and gpu {resources.gpu:g} on one node, but the largest "
            f"node offers cpu {max(node.cpus for node in nodes):g} and gpu {max(node.gpus for node in nodes):g}; "
            "lower `resources:` or join a larger cluster"
        )


def _probe(address: str) -> None:
    """Refuse an address where nothing listens, which Ray would ask for minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if address == "auto":
        return
    if not (colon and host and port.isdigit()):
        raise InputError(f"--address {address or '(empty)'}: write it as HOST:PORT, or `auto` on the cluster's head")
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except (OSError, OverflowError) as error:
        raise InputError(f"--address {address}: no Ray cluster answers there ({error})") from None
