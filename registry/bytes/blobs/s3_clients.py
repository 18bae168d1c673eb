"""The clients with which the S3 driver asks, and how long they wait."""

import os
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import ConnectTimeoutError, HTTPClientError

from registry.bytes.blobs.breaker import Breaker

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

CONNECT_SECONDS = 1
LOOK_SECONDS = 2.0  # until an answer begins for which somebody waits; connecting included, where the network is near


def make_client(endpoint: str | None, seconds: float = LOOK_SECONDS, attempts: int = 1) -> "S3Client":
    """Return a client whose answers begin within `seconds`; one without an endpoint asks AWS itself."""
    config = Config(
        retries={"total_max_attempts": attempts, "mode": "standard"},
        max_pool_connections=64,
        connect_timeout=CONNECT_SECONDS,
        read_timeout=seconds,
        signature_version="s3v4",
        s3={"addressing_style": "path" if endpoint else "auto"},
        # Self-hosted servers differ in the trailing checksums of newer SDKs; we hash every byte ourselves anyway.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    region = os.environ.get("AWS_DEFAULT_REGION", "us-east-1")
    with _making:
        keys = (os.environ.get("AWS_ACCESS_KEY_ID"), os.environ.get("AWS_SECRET_ACCESS_KEY"))
        return _session(keys).client("s3", endpoint_url=endpoint, region_name=region, config=config)


_making = Lock()  # the first client reads S3's description, a quarter of a second of CPU: not in each thread


@cache
def _session(_: tuple[str | None, ...]) -> boto3.session.Session:
    return boto3.session.Session()  # it finds the keys itself, and those of the machine where none are given


@cache  # also while no store can be made, because it does not answer
def breaker_of(bucket: str, endpoint: str | None) -> Breaker:
    """Return the breaker of a bucket, one for all threads of this process."""
    return Breaker((HTTPClientError, ConnectTimeoutError))
