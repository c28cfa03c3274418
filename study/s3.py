"""Results on S3, or on a server that speaks its protocol: an object per file, by the contract of `study.storage`.

Needs conditional PUT (`If-None-Match`), which S3 has had since August 2024. Requests that fail or are not answered are
tried again with growing pauses, for a minute or two; AWS_MAX_ATTEMPTS says how often. Credentials, region and endpoint
come from where boto3 looks for them: environment, ~/.aws, the instance's profile.
"""

import errno
import hashlib
import os
import tempfile
import time
import uuid
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from qgan.errors import InputError
from qgan.files import own_folder, whole_file
from study.storage import StorageError

ATTEMPTS = 8  # of one request
CONNECT_S, READ_S = 10.0, 10.0  # without an answer for so long an attempt has failed
PATIENCE_S = 60.0  # after which none is begun anew where an answer broke off
_CONNECTIONS = 32
_T = TypeVar("_T")


class S3:
    """Objects under `s3://bucket/folder/`."""

    at_once = _CONNECTIONS  # requests: their time is spent waiting

    def __init__(self, uri: str) -> None:
        self.uri = uri.rstrip("/")
        self.bucket, _, self.prefix = self.uri.removeprefix("s3://").partition("/")

    def __str__(self) -> str:
        return self.uri

    def read(self, name: str) -> bytes:
        def read() -> bytes:
            content: bytes = _client().get_object(Bucket=self.bucket, Key=self._key(name))["Body"].read()
            return content

        return self._ask("read", name, read)

    def exists(self, name: str) -> bool:
        try:
            self._head(name)
        except FileNotFoundError:
            return False
        return True

    def write(self, name: str, content: bytes) -> None:
        self._ask("written", name, lambda: self._put(name, content))

    def create(self, name: str, content: bytes) -> bool:
        mine = uuid.uuid4().hex
        settings = {"IfNoneMatch": "*", "Metadata": {"creator": mine}}
        try:
            self._ask("written", name, lambda: self._put(name, content, **settings))
        except FileExistsError:
            # a request whose answer was lost is made again, and then meets its own object
            return bool(self._head(name)["Metadata"].get("creator") == mine)
        return True

    def delete(self, name: str) -> None:
        self._ask("deleted", name, lambda: _client().delete_object(Bucket=self.bucket, Key=self._key(name)))

    def list(self, group: str = "") -> list[str]:
        inside = f"{self._key(group)}/" if group or self.prefix else ""

        def names() -> list[str]:
            found: set[str] = set()
            pages = _client().get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self.bucket, Prefix=inside, Delimiter="/"):
                found |= {each["Key"].removeprefix(inside) for each in page.get("Contents", [])}
                found |= {each["Prefix"].removeprefix(inside).rstrip("/") for each in page.get("CommonPrefixes", [])}
            return sorted(found - {""})

        return self._ask("listed", group, names)

    def file(self, name: str) -> Path:
        path = self._here(name)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            content = self.read(name)
        except FileNotFoundError:
            path.unlink(missing_ok=True)
        else:
            with whole_file(path) as temporary:
                temporary.write_bytes(content)
        return path

    def keep(self, name: str) -> None:
        """Send the file, and remove it: nodes do not collect the checkpoints of all trials that they ever ran."""
        path = self._here(name)
        self.write(name, path.read_bytes())
        path.unlink()

    def tidy(self) -> None:
        for left_behind in self._here("").glob(".*"):
            left_behind.unlink(missing_ok=True)

    def _key(self, name: str) -> str:
        return "/".join(part for part in (self.prefix, name) if part)

    def _here(self, name: str) -> Path:
        """Where an object lies on this node while other code reads and writes it as a file."""
        folder, _, last = f"{self.uri}/{name}".rpartition("/")
        return node_folder() / hashlib.sha256(folder.encode()).hexdigest()[:16] / last

    def _put(self, name: str, content: bytes, **settings: Any) -> None:
        _client().put_object(Bucket=self.bucket, Key=self._key(name), Body=content, **settings)

    def _head(self, name: str) -> Any:
        return self._ask("read", name, lambda: _client().head_object(Bucket=self.bucket, Key=self._key(name)))

    def _ask(self, deed: str, name: str, request: Callable[[], _T]) -> _T:
        """The answer to a request, or a StorageError that says what could not be done where."""
        from botocore.exceptions import BotoCoreError, ClientError

        object_ = f"{self.uri}/{name}".rstrip("/")
        last, end = _attempts(), time.monotonic() + PATIENCE_S
        for attempt in range(1, last + 1):
            try:
                return request()
            except ClientError as error:
                code = error.response["Error"]["Code"]
                if code in ("404", "NoSuchKey"):
                    raise FileNotFoundError(errno.ENOENT, "no such object", object_) from None
                if code in ("412", "PreconditionFailed"):
                    raise FileExistsError(errno.EEXIST, "exists already", object_) from None
                if code not in ("409", "ConditionalRequestConflict") or attempt == last:
                    raise _failure(deed, object_, error.response["Error"].get("Message") or code) from None
            except BotoCoreError as error:  # boto3 has tried again itself, but not where an answer broke off
                if attempt == last or not _broke_off(error) or time.monotonic() > end:
                    raise _failure(deed, object_, str(error).splitlines()[0]) from None
            time.sleep(min(0.1 * 2**attempt, 20))
        raise AssertionError("every last attempt returns or raises")


def node_folder() -> Path:
    """Where this node keeps what it has fetched: this user's own folder below TMPDIR, made where it is missing."""
    return own_folder(Path(tempfile.gettempdir()) / f"study-{os.getuid()}")


def _attempts() -> int:
    try:
        return max(1, int(os.environ["AWS_MAX_ATTEMPTS"]))
    except (KeyError, ValueError):
        return ATTEMPTS


def _failure(deed: str, name: str, problem: str) -> StorageError:
    return StorageError(errno.EIO, f"cannot be {deed} ({problem.rstrip('.')})", name)


def _broke_off(error: Exception) -> bool:
    from botocore.exceptions import IncompleteReadError, ReadTimeoutError, ResponseStreamingError

    return isinstance(error, IncompleteReadError | ReadTimeoutError | ResponseStreamingError)


@cache
def _client() -> Any:
    """One client per process; its methods may be called from many threads."""
    try:
        import boto3
        from botocore.config import Config
    except ModuleNotFoundError:
        raise InputError("results on S3 need boto3; install it with: pip install --editable '.[aws]'") from None
    return boto3.session.Session().client(
        "s3",
        config=Config(
            retries={"mode": "standard", "total_max_attempts": _attempts()},
            connect_timeout=CONNECT_S,
            read_timeout=READ_S,
            max_pool_connections=_CONNECTIONS,
        ),
    )
