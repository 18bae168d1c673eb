"""Requests of the S3 driver: its clients and how long they wait, its errors and second calls, and parts of objects."""

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING, Any, Self, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ConnectionClosedError, ConnectTimeoutError, HTTPClientError

from registry.bytes.blobs.contract import BlobMissing, Bytes, BytesChanged, called
from registry.kernel.errors import StoreUnavailable

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

FAILURES = 3  # in a row, after which the store counts as away
PAUSE_SECONDS = 5.0  # until one call may look whether it is back
PLACES = 48  # calls at once; a web process has 64 threads (deploy/gunicorn.conf.py)


class Breaker:
    """Refuses calls at once while the store is away or too many wait for it; of one store in one process."""

    def __init__(self, unanswered: type[Exception] | tuple[type[Exception], ...], places: int = PLACES) -> None:
        """`unanswered` are the errors of a call to which nothing answered in time; any other one is an answer."""
        self._unanswered = unanswered
        self._places = threading.BoundedSemaphore(places)
        self._lock = threading.Lock()
        self._failures = 0
        self._closed_until = 0.0

    @contextmanager
    def call(self) -> Iterator[None]:
        """Let the block call the store. Raises StoreUnavailable at once while it is away or too many calls wait."""
        if not self._may_call():
            self._tell(0.0, "refused")
            raise StoreUnavailable("The file store does not respond.")
        if not self._places.acquire(blocking=False):
            self._tell(0.0, "refused")
            raise StoreUnavailable("Too many requests are waiting for the file store.")
        began, failed = time.monotonic(), 0
        try:
            yield
        except self._unanswered:
            failed = 1
            raise
        finally:
            self._count(failed)
            self._places.release()
            self._tell(time.monotonic() - began, "silent" if failed else "answered")

    def _tell(self, seconds: float, outcome: str) -> None:
        called.send(type(self), seconds=seconds, outcome=outcome)

    def _may_call(self) -> bool:
        with self._lock:
            if self._failures < FAILURES:
                return True
            if (now := time.monotonic()) < self._closed_until:
                return False
            self._closed_until = now + PAUSE_SECONDS  # this call looks, the others go on being refused
            return True

    def _count(self, failed: int) -> None:
        with self._lock:
            self._failures = (self._failures + 1) * failed
            if self._failures >= FAILURES:
                self._closed_until = time.monotonic() + PAUSE_SECONDS


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


Answer = TypeVar("Answer")

ABSENT = {"404", "NoSuchKey", "NoSuchBucket", "NotFound", "NoSuchUpload"}
TAKEN = {"412", "PreconditionFailed"}


def error_code(error: ClientError) -> str:
    """Return the code that S3 gave, or ""."""
    return error.response["Error"].get("Code", "")


@contextmanager
def translated_errors(key: str) -> Iterator[None]:
    """Raise BlobMissing or StoreUnavailable in place of errors of S3 and of the way to it."""
    try:
        yield
    except ClientError as error:
        if error_code(error) in ABSENT:
            raise BlobMissing(key) from None
        raise StoreUnavailable(f"The file store answered {error_code(error)}.") from error
    except BotoCoreError as error:
        raise StoreUnavailable("The file store does not respond.") from error


@contextmanager
def unless_changed(staged: str) -> Iterator[None]:
    """Raise BytesChanged where a condition on the version of the staged object was not met."""
    try:
        yield
    except ClientError as error:
        if error_code(error) in TAKEN:
            raise BytesChanged(staged) from None
        raise


def once_more(call: Callable[[], Answer]) -> Answer:
    """Call again where S3 closed a connection that was kept, or had a moment's trouble; never where it is silent."""
    try:
        return call()
    except ConnectionClosedError:
        return call()
    except ClientError as error:
        if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) < 500:
            raise
        return call()


class S3Reader:
    """A Reader (contract.py) of the body of an answer."""

    def __init__(self, body: Any, version: str, key: str) -> None:
        self._body, self.version, self._key = body, version, key

    def read(self, size: int = -1, /) -> bytes:
        with translated_errors(self._key):
            data: bytes = self._body.read(None if size < 0 else size)
            return data

    def close(self) -> None:
        self._body.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


PART = 8 << 20
OTHER_PARTS = {"InvalidPart", "InvalidPartOrder", "EntityTooSmall"}


def regroup(parts: Iterable[Bytes]) -> Iterator[bytes]:
    """Yield the same bytes in parts of at least 8 MiB (S3 refuses parts below 5 MiB, except the last)."""
    buffer = bytearray()
    for part in parts:
        buffer += part
        if len(buffer) >= PART:
            yield bytes(buffer)
            buffer.clear()
    if buffer:
        yield bytes(buffer)


class S3Parts:
    """The PartUploads (contract.py) of one bucket; `asking` translates errors, `sign` returns presigned URLs."""

    def __init__(
        self,
        client: "S3Client",
        bucket: str,
        asking: Callable[[str], AbstractContextManager[None]],
        sign: Callable[..., str],
    ) -> None:
        self._s3, self._bucket, self._asking, self._sign = client, bucket, asking, sign

    def begin(self, key: str) -> str:
        with self._asking(key):
            return self._s3.create_multipart_upload(Bucket=self._bucket, Key=key)["UploadId"]

    def presigned(self, key: str, upload: str, number: int, seconds: int) -> str:
        return self._sign("upload_part", key, seconds, UploadId=upload, PartNumber=number)

    def join(self, key: str, upload: str, etags: Sequence[str]) -> None:
        completed_parts: list[CompletedPartTypeDef] = [
            {"PartNumber": number, "ETag": etag} for number, etag in enumerate(etags, 1)
        ]
        with self._asking(key):
            try:
                self._s3.complete_multipart_upload(
                    Bucket=self._bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": completed_parts}
                )
            except ClientError as error:
                if error_code(error) in OTHER_PARTS:
                    raise BytesChanged(key) from None
                raise
