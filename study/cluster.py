"""What a Ray cluster of several nodes is asked before anything starts: how far it grows, and what its nodes see."""

import errno
import socket
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
import yaml
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from qgan.errors import InputError
from study.nodes import Node
from study.patches import file
from study.processes import abandoned, stamp
from study.sections import FileSource
from study.spec import Study
from study.storage import Place, StorageError, storage_of

BOOTSTRAP = Path("~/ray_bootstrap_config.yaml")  # what `ray up` left on the head: the cluster's file, filled in
_SEEN_WITHIN_S = 10.0  # a shared file system may show a new file so late
_ANSWER_WITHIN_S = 60.0
_MARKS = "seen"
_OWN_DISKS = {"apfs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "overlay", "tmpfs", "xfs", "zfs"}


def nodes() -> list[Node]:
    """What the nodes offer that are there now."""
    offered = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return [Node(each.get("CPU", 0), each.get("GPU", 0)) for each in offered]


def growth() -> list[Node]:
    """What the nodes would offer that the autoscaler may still add; none but on the head of such a cluster."""
    try:
        config = yaml.safe_load(BOOTSTRAP.expanduser().read_text())
        kinds, head, most = config["available_node_types"], config["head_node_type"], int(config["max_workers"])
    except (OSError, KeyError, TypeError, ValueError, yaml.YAMLError):
        return []
    there = sum(node["Alive"] for node in ray.nodes()) - 1
    added: list[Node] = []
    for name, kind in kinds.items():
        offered = kind.get("resources", {})
        if name != head and offered:  # of machines of one's own nothing is known before they are there
            added += [Node(offered.get("CPU", 0), offered.get("GPU", 0))] * int(kind.get("max_workers", most))
    return added[: max(0, most - there)]


@dataclass(frozen=True)
class _Sight:
    """What one node sees."""

    host: str
    results: bool
    patches: bool


def require_shared(study: Study) -> None:
    """Refuse results, or a file of patches, that a node of the connected cluster does not see. Raises InputError.

    A new object is put into the results here and looked for on every node that may run a trial. Of nodes that the
    autoscaler is still to add it is known that they see no disk of this one.
    """
    results, source = study.folder.absolute(), file(study) if isinstance(study.source, FileSource) else None
    patches = source if isinstance(source, Path) else None  # a synthetic set lies in the results
    if growth() and isinstance(results, Path) and (kind := own_disk(results)) is not None:
        raise InputError(
            f"results: {results} lies on a disk of {socket.gethostname()} ({kind}), and the nodes that are to come do "
            "not see it; name s3://bucket/folder, or a folder on a file system that all nodes mount"
        )
    able = [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU", 0) > 0]
    if len(able) < 2 and all(node["NodeID"] == _here() for node in able):
        return
    with marked(results) as mark:
        look = ray.remote(_look)
        asked = []
        for node in able:
            there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            asked.append(look.options(num_cpus=0, scheduling_strategy=there).remote(results, mark, patches))
        _refuse(results, patches, _answers(asked, [node["NodeManagerAddress"] for node in able]))


@contextmanager
def marked(results: Place) -> Iterator[str]:
    """Inside, the results hold a new object, by which any node can tell them from a copy; gives its name."""
    storage = storage_of(results)
    for name in filter(abandoned, storage.list(_MARKS)):  # other commands use theirs
        storage.delete(f"{_MARKS}/{name}")
    mark = f"{_MARKS}/{stamp()}{uuid.uuid4().hex}"
    storage.write(mark, b"by every node\n")
    try:
        yield mark
    finally:
        with suppress(OSError):
            storage.delete(mark)


def require_seen(results: Place, mark: str, patches: Place | str) -> None:
    """On a node that may have come after `require_shared`: StorageError where it sees other results, or no patches."""
    late = f"not seen by the node {socket.gethostname()}, which joined later"
    if isinstance(results, Path) and not _appears(results, mark):
        raise StorageError(
            errno.ENOENT, f"{late}; results must lie on a file system that all nodes share, or on S3", str(results)
        )
    if isinstance(patches, Path) and not patches.is_file():
        raise StorageError(
            errno.ENOENT, f"{late}; put it on a file system that all nodes share, or on S3", str(patches)
        )


def own_disk(folder: Path) -> str | None:
    """The kind of file system where a folder lies on a disk of this machine; None where others may see it too."""
    try:
        mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    except OSError:
        return None
    place, found = folder.resolve(), (-1, "")
    for line in mounts:
        point, kind = line.split()[4].replace("\\040", " "), line.partition(" - ")[2].split()[0]
        if place.is_relative_to(point):
            found = max(found, (len(point), kind), key=lambda each: each[0])
    return found[1] if found[1] in _OWN_DISKS else None


def _answers(asked: Sequence[Any], addresses: Sequence[str]) -> list[_Sight]:
    found = []
    for reference, address in zip(asked, addresses, strict=True):
        try:
            found.append(ray.get(reference, timeout=_ANSWER_WITHIN_S))
        except ray.exceptions.RayTaskError as error:
            raise InputError(f"node {address}: {str(error.cause or error).splitlines()[-1]}") from None
        except ray.exceptions.RayError:
            continue  # lost, or too busy to answer: the trials it gets will say
    return found


def _refuse(results: Place, patches: Path | None, sights: Sequence[_Sight]) -> None:
    blind = [each.host for each in sights if not each.results]
    if blind:
        raise InputError(
            f"results: {results} is not one folder for all nodes: {', '.join(blind)} "
            f"{'does' if len(blind) == 1 else 'do'} not see what {socket.gethostname()} writes there; name a folder "
            "on a file system that all nodes share, or s3://bucket/folder"
        )
    blind = [each.host for each in sights if not each.patches]
    if blind:
        raise InputError(
            f"data.source: {patches} is not on {', '.join(blind)}; put it on a file system that all nodes share, or "
            "on S3"
        )


def _look(results: Place, mark: str, patches: Path | None) -> _Sight:
    """On one node."""
    return _Sight(socket.gethostname(), _appears(results, mark), patches is None or patches.is_file())


def _appears(results: Place, mark: str) -> bool:
    storage, end = storage_of(results), time.monotonic() + _SEEN_WITHIN_S
    while not (seen := storage.exists(mark)) and time.monotonic() < end:
        time.sleep(0.5)
    return seen


def _here() -> str:
    return str(ray.get_runtime_context().get_node_id())
