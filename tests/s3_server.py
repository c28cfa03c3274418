"""A server that speaks S3, on loopback: moto's, which keeps its objects in memory."""

import logging
import os
import uuid
from functools import cache

import pytest


@cache
def start() -> str:
    """Its URL; boto3, pyarrow and the processes that tests start find it in the environment."""
    server = pytest.importorskip("moto.server")
    pytest.importorskip("boto3")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line per request
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    url = "http://{}:{}".format(*running.get_host_and_port())
    os.environ.update(environment(url))
    return url


def environment(url: str) -> dict[str, str]:
    """What a process needs to use the server."""
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def place() -> str:
    """A folder on it that nobody has used, in a bucket of its own: whoever pretends an AWS account in this process
    makes all buckets that were there before vanish."""
    start()
    import boto3

    bucket = f"study-tests-{uuid.uuid4().hex[:8]}"
    boto3.client("s3").create_bucket(Bucket=bucket)
    return f"s3://{bucket}/folder"
