"""The S3 driver of the blob store, which with the files s3_….py beside it alone knows boto3."""

import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote

from botocore.exceptions import BotoCoreError, ClientError

from features.buckets.s3_requests import (
    ABSENT,
    LOOK_SECONDS,
    PART,
    TAKEN,
    S3Parts,
    S3Reader,
    breaker_of,
    error_code,
    make_client,
    once_more,
    regroup,
    translated_errors,
    unless_changed,
)
from registry.bytes.blobs.contract import BlobMissing, Bytes, BytesChanged, Entry, PartUploads, Reader

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef, CopySourceTypeDef

Piece = TypeVar("Piece")

WRITE_SECONDS = 20.0  # until an answer to a write or a copy begins, which take S3 long
BODY_SECONDS = 5.0  # without a byte of an object that is being read


class S3Store:
    """Objects in one bucket of any S3 service; uploads go in parts, and conditional writes decide races."""

    keeps_headers = True

    def __init__(
        self,
        bucket: str,
        endpoint: str | None = None,
        *,
        public: str | None = None,
        copy_limit: int = 5 << 30,
        seconds: float = LOOK_SECONDS,
        attempts: int = 1,
    ) -> None:
        """Ask nothing yet: links to download are signed while S3 is away.

        `public` is the endpoint as clients outside see it, for signed URLs; `seconds` is how long each of so many
        attempts waits for an answer to begin.
        """
        self._bucket = bucket
        self._copy_limit = copy_limit  # S3 copies at most 5 GiB in one call
        self._seconds = seconds
        self._looking = make_client(endpoint, seconds, attempts)
        self._s3 = make_client(endpoint, max(WRITE_SECONDS, seconds), max(2, attempts))
        self._calls = breaker_of(bucket, endpoint)
        self._signer = self._s3 if public == endpoint else make_client(public)
        self._has_bucket = False

    @contextmanager
    def _asking(self, key: str) -> Iterator[None]:
        with translated_errors(key), self._calls.call():
            if not self._has_bucket:
                self._make_bucket()
            yield

    def _is_there(self) -> bool:
        try:
            once_more(lambda: self._looking.head_bucket(Bucket=self._bucket))
        except ClientError as error:
            if error_code(error) not in ABSENT:
                raise
            return False
        return True

    def _make_bucket(self) -> None:
        """Make the bucket where it is missing, before the first call."""
        region = self._s3.meta.region_name
        # us-east-1 is the one region that must not be named.
        options = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        if not self._is_there():
            try:
                self._s3.create_bucket(Bucket=self._bucket, **options)  # type: ignore[arg-type]  # the stubs know no dict of options
            except ClientError:
                if not self._is_there():  # else another process was faster
                    raise
        self._has_bucket = True

    def check(self) -> None:
        with self._asking(self._bucket):
            once_more(lambda: self._looking.head_bucket(Bucket=self._bucket))

    def put(self, key: str, parts: Iterable[Bytes]) -> bool:
        grouped = regroup(parts)
        first = next(grouped, b"")
        if len(first) >= PART:
            return self._put_parts(key, chain([first], grouped))
        return self._unless_taken(
            key, lambda: self._s3.put_object(Bucket=self._bucket, Key=key, Body=first, IfNoneMatch="*")
        )

    def _put_parts(self, key: str, parts: Iterable[bytes]) -> bool:
        def send(upload: str, number: int, part: bytes) -> str:
            answer = self._s3.upload_part(Bucket=self._bucket, Key=key, UploadId=upload, PartNumber=number, Body=part)
            return answer["ETag"]

        return self._multipart(key, parts, send)

    def _multipart(self, key: str, parts: Iterable[Piece], send: Callable[[str, int, Piece], str]) -> bool:
        with self._asking(key):
            upload = self._s3.create_multipart_upload(Bucket=self._bucket, Key=key)["UploadId"]
        complete = False
        try:
            completed_parts: list[CompletedPartTypeDef] = []
            for number, part in enumerate(parts, 1):
                with self._asking(key):
                    completed_parts.append({"PartNumber": number, "ETag": send(upload, number, part)})
            complete = self._unless_taken(
                key,
                lambda: self._s3.complete_multipart_upload(
                    Bucket=self._bucket,
                    Key=key,
                    UploadId=upload,
                    MultipartUpload={"Parts": completed_parts},
                    IfNoneMatch="*",
                ),
            )
            return complete
        finally:
            if not complete:
                self._abort(key, upload)

    def _abort(self, key: str, upload: str) -> None:
        # The error that led here matters more than one of this call, and tidy() finds the upload again.
        with suppress(ClientError, BotoCoreError):
            self._s3.abort_multipart_upload(Bucket=self._bucket, Key=key, UploadId=upload)

    def _unless_taken(self, key: str, write: Callable[[], object]) -> bool:
        with self._asking(key):
            try:
                write()
            except ClientError as error:
                if error_code(error) in TAKEN:
                    return False
                raise
        return True

    def open(self, key: str, start: int = 0, end: int | None = None) -> Reader:
        if end is not None and end <= start:  # S3 has no empty ranges
            return self._nothing(key)
        last = "" if end is None else end - 1
        options = {} if (start, end) == (0, None) else {"Range": f"bytes={start}-{last}"}
        with self._asking(key):
            try:
                answer = once_more(lambda: self._looking.get_object(Bucket=self._bucket, Key=key, **options))  # type: ignore[arg-type]  # the stubs know no dict of options
            except ClientError as error:
                if error_code(error) in {"InvalidRange", "416"}:  # the range begins at or past the end
                    return self._nothing(key)
                raise
        if answer["ContentLength"]:  # else the connection is free again
            answer["Body"].set_socket_timeout(max(BODY_SECONDS, self._seconds))
        return S3Reader(answer["Body"], answer["ETag"], key)

    def _nothing(self, key: str) -> Reader:
        with self._asking(key):
            head = once_more(lambda: self._looking.head_object(Bucket=self._bucket, Key=key))
        return S3Reader(io.BytesIO(), head["ETag"], key)

    def size(self, key: str) -> int:
        with self._asking(key):
            return once_more(lambda: self._looking.head_object(Bucket=self._bucket, Key=key))["ContentLength"]

    def promote(self, staged: str, key: str, version: str) -> None:
        with self._asking(staged):
            head = self._s3.head_object(Bucket=self._bucket, Key=staged)
        if head["ETag"] != version:
            raise BytesChanged(staged)
        if not self._has(key):
            # A signed URL leaves Content-Encoding and other headers to its client: they would go to all readers.
            self._copy(staged, key, version, head["ContentLength"], MetadataDirective="REPLACE")
        self.delete(staged)

    def _has(self, key: str) -> bool:
        try:
            self.size(key)
        except BlobMissing:
            return False
        return True

    def _copy(self, staged: str, key: str, version: str, size: int, **headers: str) -> None:
        """Copy inside S3, on condition of the hashed version: a signed URL may still allow replacing the source.

        A copy in parts, of a larger object than S3 copies at once, has no `headers`.
        """
        source: CopySourceTypeDef = {"Bucket": self._bucket, "Key": staged}

        def send(upload: str, number: int, span: tuple[int, int]) -> str:
            with unless_changed(staged):
                answer = self._s3.upload_part_copy(
                    Bucket=self._bucket,
                    Key=key,
                    UploadId=upload,
                    PartNumber=number,
                    CopySource=source,
                    CopySourceIfMatch=version,
                    CopySourceRange=f"bytes={span[0]}-{span[1]}",
                )
            return answer["CopyPartResult"]["ETag"]

        if size > self._copy_limit:
            starts = range(0, size, self._copy_limit)
            self._multipart(key, [(at, min(at + self._copy_limit, size) - 1) for at in starts], send)
            return
        with self._asking(staged), unless_changed(staged):
            self._s3.copy_object(
                Bucket=self._bucket,
                Key=key,
                CopySource=source,
                CopySourceIfMatch=version,
                **headers,  # type: ignore[arg-type]  # the stubs know no dict of options
            )

    def publish(self, key: str, data: bytes, *, kind: str, cache: str, facts: Mapping[str, str]) -> None:
        with self._asking(key):
            self._s3.put_object(
                Bucket=self._bucket, Key=key, Body=data, ContentType=kind, CacheControl=cache, Metadata=dict(facts)
            )

    def share(self, key: str, public_key: str, cache: str) -> None:
        if not self._has(public_key):
            with self._asking(key):
                head = self._s3.head_object(Bucket=self._bucket, Key=key)
            self._copy(
                key, public_key, head["ETag"], head["ContentLength"], MetadataDirective="REPLACE", CacheControl=cache
            )

    def let_anybody_read(self, prefix: str) -> str:
        """Set the policy of the bucket that objects below a prefix need no key, and return it; others are kept."""
        policy = {
            "Sid": "DovetailReadPlane",
            "Effect": "Allow",
            "Principal": "*",
            "Action": "s3:GetObject",
            "Resource": f"arn:aws:s3:::{self._bucket}/{prefix}*",
        }
        with self._asking(self._bucket):
            try:
                document = json.loads(self._s3.get_bucket_policy(Bucket=self._bucket)["Policy"])
            except ClientError as error:
                if error_code(error) != "NoSuchBucketPolicy":
                    raise
                document = {"Version": "2012-10-17", "Statement": []}
            others = [one for one in document["Statement"] if one.get("Sid") != policy["Sid"]]
            text = json.dumps(document | {"Statement": [*others, policy]})
            self._s3.put_bucket_policy(Bucket=self._bucket, Policy=text)
        return text

    def delete(self, key: str) -> None:
        with self._asking(key):
            self._s3.delete_object(Bucket=self._bucket, Key=key)

    def list(self, prefix: str) -> Iterator[Entry]:
        with self._asking(prefix):
            for page in self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix):
                for item in page.get("Contents", []):
                    yield Entry(item["Key"], item["Size"], item["LastModified"], item["ETag"].strip('"'))

    def tidy(self, before: datetime) -> int:
        dropped = 0
        with self._asking(self._bucket):
            for page in self._s3.get_paginator("list_multipart_uploads").paginate(Bucket=self._bucket):
                for upload in page.get("Uploads", []):
                    if upload["Initiated"] < before:
                        self._abort(upload["Key"], upload["UploadId"])
                        dropped += 1
        return dropped

    def presigned_get(self, key: str, filename: str, seconds: int) -> str | None:
        return self._sign(
            "get_object",
            key,
            seconds,
            ResponseContentDisposition=f"attachment; filename*=UTF-8''{quote(filename, safe='')}",
            ResponseContentType="application/octet-stream",
        )

    def presigned_put(self, key: str, seconds: int) -> str | None:
        with self._asking(key):
            return self._sign("put_object", key, seconds)

    def _sign(self, verb: str, key: str, seconds: int, **more: str | int) -> str:
        with translated_errors(key):
            params = {"Bucket": self._bucket, "Key": key, **more}
            return self._signer.generate_presigned_url(verb, Params=params, ExpiresIn=seconds)

    def in_parts(self) -> PartUploads | None:
        return S3Parts(self._s3, self._bucket, self._asking, self._sign)

    def local_path(self, key: str) -> Path | None:
        return None
