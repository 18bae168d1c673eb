"""Parts of objects in S3: those that clients send to S3 themselves, and those that a stream is cut into."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from registry.bytes.blobs.contract import BytesChanged
from registry.bytes.blobs.hashing import Bytes
from registry.bytes.blobs.s3_answers import error_code

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

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
