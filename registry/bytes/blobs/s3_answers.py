"""Answers of S3: which error of ours each of its errors is, which calls are made again, and the bytes of an object."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self, TypeVar

from botocore.exceptions import BotoCoreError, ClientError, ConnectionClosedError

from registry.bytes.blobs.contract import BlobMissing, BytesChanged
from registry.kernel.errors import StoreUnavailable

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
        raise StoreUnavailable(f"The store of files answered {error_code(error)}.") from error
    except BotoCoreError as error:
        raise StoreUnavailable("The store of files does not answer.") from error


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
