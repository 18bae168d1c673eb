"""The lists: of buckets, and of the objects in one."""

import base64
from collections.abc import Iterator
from datetime import datetime
from urllib.parse import quote

from django.http import HttpRequest, HttpResponse

from hub.s3.answers import S3Door, refused, xml
from hub.s3.signatures import query_of
from registry.repos.delivery import keys
from registry.repos.delivery.keys import EVERYTHING, ListedFile

MOST_KEYS = 1000
# What a GET of a bucket can ask for in place of its objects; S3 has more, which all begin with one of these words.
SUBRESOURCES = frozenset(
    """
    accelerate acl analytics attributes cors encryption intelligent-tiering inventory lifecycle logging metrics
    notification object-lock ownershipControls policy policyStatus publicAccessBlock replication requestPayment tagging
    uploads versions website
    """.split()  # noqa: SIM905  # as in names.RESERVED
)


class Service(S3Door):
    """GET /s3: the one bucket that everything is in; namespaces are buckets too, and are not listed."""

    def get(self, request: HttpRequest) -> HttpResponse:
        owner = self.caller.user.username if self.caller.user else "anonymous"
        bucket = [("Name", EVERYTHING), ("CreationDate", "2026-01-01T00:00:00.000Z")]
        fields = [("Owner", [("ID", owner), ("DisplayName", owner)]), ("Buckets", [("Bucket", bucket)])]
        return xml("ListAllMyBucketsResult", fields)


class Bucket(S3Door):
    """GET and HEAD /s3/BUCKET: the objects in it, 1,000 at most in a page."""

    def get(self, request: HttpRequest, bucket: str) -> HttpResponse:
        query = dict(reversed(query_of(request)))
        if bucket != EVERYTHING and not keys.is_namespace(bucket, self.caller):
            raise refused(
                request, "NoSuchBucket", f"There is no bucket {bucket[:100]!r}, or you may see nothing in it."
            )
        if request.method == "HEAD":
            response = HttpResponse()
            response["x-amz-bucket-region"] = "us-east-1"  # any region is right: clients sign for the one they know
            return response
        if "location" in query:
            return xml("LocationConstraint", [])
        if "versioning" in query:
            return xml("VersioningConfiguration", [])
        if unknown := sorted(SUBRESOURCES & query.keys()):
            raise refused(request, "NotImplemented", f"This hub has no {unknown[0]} of buckets.")
        return self._objects(bucket, query)

    def _objects(self, bucket: str, query: dict[str, str]) -> HttpResponse:
        is_second = query.get("list-type") == "2"
        limit = self._limit(query.get("max-keys", ""))
        top, prefix, delimiter = (
            "" if bucket == EVERYTHING else f"{bucket}/",
            query.get("prefix", ""),
            query.get("delimiter", ""),
        )
        token = query.get("continuation-token", "") if is_second else ""
        after = self._after(token) if token else query.get("start-after" if is_second else "marker", "")
        page = keys.list_keys(
            self.viewer, f"{top}{prefix}", delimiter=delimiter, after=f"{top}{after}" if after else "", limit=limit
        )
        spell = quote if query.get("encoding-type") == "url" else str

        def relative(key: str) -> str:
            return spell(key.removeprefix(top))

        fields: list[tuple[str, object]] = [("Name", bucket), ("Prefix", spell(prefix)), ("MaxKeys", str(limit))]
        if delimiter:
            fields.append(("Delimiter", spell(delimiter)))
        if "encoding-type" in query:
            fields.append(("EncodingType", "url"))
        fields += self._place(query, page, top) if is_second else self._marker(query, page, relative)
        fields.append(("IsTruncated", "true" if page.next else "false"))
        fields += [("Contents", list(_contents(file, relative(file.key)))) for file in page.files]
        fields += [("CommonPrefixes", [("Prefix", relative(folder))]) for folder in page.folders]
        return xml("ListBucketResult", fields)

    def _place(self, query: dict[str, str], page: keys.KeyPage, top: str) -> Iterator[tuple[str, object]]:
        yield "KeyCount", str(len(page.files) + len(page.folders))
        for name, field in (("start-after", "StartAfter"), ("continuation-token", "ContinuationToken")):
            if name in query:
                yield field, query[name]
        if page.next:
            yield "NextContinuationToken", base64.urlsafe_b64encode(page.next.removeprefix(top).encode()).decode()

    def _marker(self, query: dict[str, str], page: keys.KeyPage, relative: object) -> Iterator[tuple[str, object]]:
        yield "Marker", query.get("marker", "")
        if page.next and callable(relative):
            yield "NextMarker", relative(page.next)

    def _limit(self, text: str) -> int:
        if not text:
            return MOST_KEYS
        if not text.isascii() or not text.isdigit() or len(text) > 9:
            raise refused(self.request, "InvalidArgument", "max-keys must be a whole number.")
        return min(int(text), MOST_KEYS)

    def _after(self, token: str) -> str:
        try:
            return base64.urlsafe_b64decode(token).decode()
        except ValueError:
            raise refused(self.request, "InvalidArgument", "The continuation token is not one of this hub.") from None


def _contents(file: ListedFile, key: str) -> Iterator[tuple[str, str]]:
    yield "Key", key
    yield "LastModified", _time(file.changed_at)
    yield "ETag", f'"{file.entry.sha256}"'
    yield "Size", str(file.entry.size)
    yield "StorageClass", "STANDARD"


def _time(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.000Z")
