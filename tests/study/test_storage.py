"""The contract of every storage, and of the lease that stands on it. A new storage: add its maker to STORAGES."""

import json
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from study.lease import Lease
from study.processes import place, runs
from study.s3 import S3
from study.storage import Folder, Storage

from ..s3_server import place as place_on_s3

STORAGES: dict[str, Callable[[Path], Storage]] = {"folder": Folder, "s3": lambda path: S3(place_on_s3())}


@pytest.fixture(params=STORAGES)
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    return STORAGES[request.param](tmp_path / "results")


def test_an_object_is_what_was_written_last(storage: Storage) -> None:
    with pytest.raises(FileNotFoundError):
        storage.read("trials/a/trial.json")
    assert not storage.exists("trials/a/trial.json")
    for content in (b"first", b"", b"\x00\xff" * 100_000):
        storage.write("trials/a/trial.json", content)
        assert storage.exists("trials/a/trial.json")
        assert storage.read("trials/a/trial.json") == content
    assert not storage.exists("trials/a")  # a group is no object
    storage.delete("trials/a/trial.json")
    storage.delete("trials/a/trial.json")
    assert not storage.exists("trials/a/trial.json")


def test_a_group_lists_what_is_directly_in_it(storage: Storage) -> None:
    assert storage.list() == storage.list("trials") == []
    for name in ("plan.json", "trials/b/trial.json", "trials/a/curve.parquet", "trials/a/trial.json"):
        storage.write(name, b"x")
    assert storage.list() == ["plan.json", "trials"]
    assert storage.list("trials") == ["a", "b"]
    assert storage.list("trials/a") == ["curve.parquet", "trial.json"]
    assert storage.list("trials/a/trial.json") == storage.list("tri") == []
    inside = Folder(storage.path / "trials") if isinstance(storage, Folder) else S3(f"{storage}/trials")
    assert inside.list("a") == ["curve.parquet", "trial.json"]
    assert inside.read("a/trial.json") == b"x"


def test_looking_leaves_nothing_behind(storage: Storage, tmp_path: Path) -> None:
    storage.exists("trials/a/trial.json")
    storage.list("trials")
    storage.delete("trials/a/trial.json")
    assert storage.list() == []
    assert list(tmp_path.iterdir()) == []


def test_files_that_other_code_writes(storage: Storage) -> None:
    path = storage.file("trials/a/checkpoint.pt")
    assert not path.exists()
    path.write_bytes(b"one")
    storage.keep("trials/a/checkpoint.pt")
    assert storage.read("trials/a/checkpoint.pt") == b"one"
    storage.write("trials/a/checkpoint.pt", b"two")
    assert storage.file("trials/a/checkpoint.pt").read_bytes() == b"two"
    assert storage.list("trials/a") == ["checkpoint.pt"]


def test_a_copy_in_another_process_is_the_same_storage(storage: Storage) -> None:
    storage.write("a", b"x")
    there: Storage = pickle.loads(pickle.dumps(storage))
    assert there.read("a") == b"x"
    assert str(there) == str(storage)


def test_of_many_who_create_one_succeeds(storage: Storage) -> None:
    with ThreadPoolExecutor(8) as pool:
        for number in range(20):
            made = list(pool.map(lambda who, name=f"lease/{number}": storage.create(name, bytes([who])), range(8)))
            assert sum(made) == 1
            assert storage.read(f"lease/{number}") == bytes([made.index(True)])
    assert storage.list("lease") == sorted(map(str, range(20)))


def test_readers_never_see_a_part(storage: Storage) -> None:
    contents = [bytes([letter]) * 200_000 for letter in range(4)]
    storage.write("a", contents[0])
    ended = threading.Event()

    def write() -> None:
        for number in range(60):
            storage.write("a", contents[number % 4])
        ended.set()

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        while not ended.is_set():
            assert storage.read("a") in contents
            assert storage.list() == ["a"]
            if writing.done():
                break
        writing.result()


def test_tidying_removes_no_object(storage: Storage, tmp_path: Path) -> None:
    storage.write("b", b"x")
    for left_behind in [each.with_name(f".b.host.{k}") for k, each in enumerate(tmp_path.rglob("b"))]:
        left_behind.write_bytes(b"half")
        (left_behind.parent / ".ipynb_checkpoints").mkdir(exist_ok=True)
    storage.tidy()
    assert storage.list() == ["b"]
    assert [each.name for each in tmp_path.rglob("*") if each.is_file()] in ([], ["b"])


TTL_S = 2.0  # a sync to a busy disk, or a request to a busy server, takes a good part of a second


def test_a_lease_has_one_holder_at_a_time(storage: Storage) -> None:
    first, second = Lease(storage), Lease(storage)
    with first.hold() as mine:
        assert mine
        assert first.held
        assert not second.acquire()
        assert second.holder.startswith(f"process {os.getpid()} on ")
    with second.hold() as mine:
        assert mine
        assert not first.held
        assert not first.renew()
        assert not first.acquire()
    assert len(storage.list("lease")) == 1


def test_of_many_who_want_a_lease_one_gets_it(storage: Storage) -> None:
    leases = [Lease(storage) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(10):
            got = list(pool.map(Lease.acquire, leases))
            assert sum(got) == 1
            leases[got.index(True)].release()


def test_a_lease_is_renewed_while_it_is_held(storage: Storage) -> None:
    with Lease(storage, ttl_s=TTL_S).hold() as mine:
        assert mine
        other = Lease(storage, ttl_s=TTL_S)
        end = time.monotonic() + 2 * TTL_S
        while time.monotonic() < end:
            assert not other.acquire()
            time.sleep(TTL_S / 10)


def elsewhere(storage: Storage, name: str, **changes: object) -> None:
    """Make the holder one of another machine."""
    found = json.loads(storage.read(name)) | {"place": "elsewhere", **changes}
    storage.write(name, json.dumps(found).encode())


def test_a_lease_that_nobody_renews_expires_and_is_lost(storage: Storage) -> None:
    lost, next_one = Lease(storage, ttl_s=TTL_S), Lease(storage, ttl_s=TTL_S)
    assert lost.acquire()
    elsewhere(storage, "lease/1")
    assert not next_one.acquire()
    time.sleep(1.1 * TTL_S)
    assert not lost.held
    assert next_one.acquire()
    assert not lost.renew()
    lost.release()  # gives back nothing of another one's
    assert next_one.renew()
    assert next_one.held


def test_a_holder_whose_clock_is_wrong_keeps_its_lease(storage: Storage) -> None:
    holder, other = Lease(storage, ttl_s=TTL_S), Lease(storage, ttl_s=TTL_S)
    assert holder.acquire()
    ended = threading.Event()

    def renew() -> None:
        while not ended.wait(TTL_S / 8):
            assert holder.renew()
            elsewhere(storage, "lease/1", seen="2020-01-01T00:00:00+00:00")

    elsewhere(storage, "lease/1", seen="2020-01-01T00:00:00+00:00")
    with ThreadPoolExecutor(1) as pool:
        renewing = pool.submit(renew)
        assert not other.acquire()
        ended.set()
        renewing.result()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'{"released": false, "seen": 3}'])
def test_a_damaged_lease_holds_nobody_off(storage: Storage, content: bytes) -> None:
    storage.write("lease/7", content)
    lease = Lease(storage, ttl_s=TTL_S)
    assert lease.acquire()
    assert storage.list("lease") == ["8"]


HOLD = """
import sys, time
from pathlib import Path
from study.lease import Lease
from study.storage import Folder
with Lease(Folder(Path(sys.argv[1]))).hold() as mine:
    print(mine, flush=True)
    time.sleep(60)
"""


def test_a_killed_holder_of_this_machine_holds_nothing(tmp_path: Path) -> None:
    """At once, not after the time to live, and even where nobody has asked for its exit status yet."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "True\n"
    lease = Lease(Folder(tmp_path))
    assert not lease.acquire()
    process.send_signal(signal.SIGKILL)
    while runs(process.pid):
        time.sleep(0.01)
    assert process.returncode is None
    assert lease.acquire()
    process.communicate()


def test_this_process_runs_here() -> None:
    assert runs(os.getpid())
    assert place() == place()
