"""The S3 routes: the list of buckets, the lists of the objects in one, and one object.

Bucket `hub` holds all repositories; every other bucket is the namespace of that name. An object is a file of a
repository at namespace/name/revision/path.
"""

import base64
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import include, path
from django.utils.http import http_date, parse_http_date_safe

from features.s3 import access_keys, keys
from features.s3.keys import EVERYTHING, ListedFile
from features.s3.wire import signatures
from hub import limits
from hub.addresses import locate
from hub.answers import DialectView, Refused, mark_yanked
from hub.errors import http_form, in_full
from hub.identity import caller_of
from hub.server.large_bodies import send
from registry.kernel import audit, errors
from registry.kernel.errors import FileNotFound, RegistryError, RepositoryNotFound
from registry.kernel.policy import NOBODY, Caller, Permission
from registry.repos import bases, downloads, lookup, pull
from registry.repos.derived import DerivedEntry
from registry.repos.manifest import Entry

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
STATUS = {
    "AccessDenied": 403,
    "AuthorizationHeaderMalformed": 400,
    "AuthorizationQueryParametersError": 400,
    "InvalidAccessKeyId": 403,
    "InvalidArgument": 400,
    "InvalidRange": 416,
    "InvalidRequest": 400,
    "MethodNotAllowed": 405,
    "NoSuchBucket": 404,
    "NoSuchKey": 404,
    "NotImplemented": 501,
    "PreconditionFailed": 412,
    "RequestTimeTooSkewed": 403,
    "ServiceUnavailable": 503,
    "SignatureDoesNotMatch": 403,
    "SlowDown": 503,
    "XAmzContentSHA256Mismatch": 400,
}
CODES: dict[type[RegistryError], str] = {
    errors.TokenInvalid: "InvalidAccessKeyId",
    errors.TooOften: "SlowDown",
    errors.StoreUnavailable: "ServiceUnavailable",
    errors.FileNotSearched: "ServiceUnavailable",
    errors.NotSupported: "NotImplemented",
    errors.ValueInvalid: "InvalidArgument",
}
MISSING = (errors.RepositoryNotFound, errors.RevisionNotFound, errors.FileNotFound)
Fields = Iterable[tuple[str, Any]]


def xml(root: str, fields: Fields, status: int = 200, *, namespace: str = NAMESPACE) -> HttpResponse:
    """Return an XML answer; a value is a text, or the fields of an element inside."""
    element = ElementTree.Element(root, {"xmlns": namespace} if namespace else {})
    _fill(element, fields)
    body = b'<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(element)
    response = HttpResponse(body, status=status, content_type="application/xml")
    response["Content-Length"] = str(len(body))
    response["Cache-Control"] = "private, no-store"
    return response


def _fill(element: ElementTree.Element, fields: Fields) -> None:
    for name, value in fields:
        child = ElementTree.SubElement(element, name)
        if isinstance(value, str):
            child.text = value
        else:
            _fill(child, value)


def problem(request: HttpRequest, code: str, message: str, reason: str = "") -> HttpResponse:
    """Return an error as S3 words it; `reason` is our own code of it."""
    fields = [("Code", code), ("Message", message), ("Resource", request.path)]
    response = xml("Error", [*fields, ("Reason", reason)] if reason else fields, STATUS[code], namespace="")
    response.refusal = reason or code, message  # type: ignore[attr-defined]  # for the log
    return response


def refused(request: HttpRequest, code: str, message: str) -> Refused:
    """Return an error to be raised."""
    return Refused(problem(request, code, message))


class S3Door(DialectView):
    """One S3 route. A signature says who asks, or a token in its place; cookies count for nothing."""

    def identify(self, request: HttpRequest) -> Caller:
        header = request.META.get("HTTP_AUTHORIZATION", "")
        if header and not header.startswith("AWS"):
            return caller_of(request)
        try:
            signature = signatures.read_signature(request)
        except signatures.SignatureProblem as malformed:
            raise refused(request, malformed.code, malformed.message) from None
        if signature is None:
            return NOBODY
        caller = access_keys.caller_of(
            signature.key_id, lambda secret: signatures.is_signed_with(request, signature, secret)
        )
        if caller is None:
            raise refused(request, "SignatureDoesNotMatch", "The signature is not that of this request and this key.")
        audit.credential.set(f"token:{caller.token.name}" if caller.token else "")
        return caller

    def refuse(self, error: RegistryError) -> HttpResponseBase:
        if isinstance(error, MISSING):
            return problem(self.request, "NoSuchKey", "There is no such object, or you may not see it.")
        code = CODES.get(type(error), "AccessDenied")
        detail, fix = in_full(error.detail, self.request), in_full(error.fix, self.request)
        response = problem(self.request, code, f"{detail} {fix}".strip(), error.code)
        if seconds := http_form(error).retry_seconds:
            response["Retry-After"] = str(seconds)
        return response

    def http_method_not_allowed(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        response = problem(request, "MethodNotAllowed", "By S3 this hub is read-only. Push with `hf upload`.")
        response["Allow"] = "GET, HEAD"
        return response


MOST_KEYS = 1000
# By these words a GET of a bucket asks for something other than its objects; S3 has more, which begin with one of them.
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
        query = dict(reversed(signatures.query_of(request)))
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
        top = "" if bucket == EVERYTHING else f"{bucket}/"
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
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


# --- one object ------------------------------------------------------------------------------------------------------
# An object is bytes, never a page: presigned addresses are opened in browsers, on the hub's own host.
HEADERS = {
    "Accept-Ranges": "bytes",
    "Cache-Control": "private, no-cache",
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


class Object(S3Door):
    """GET and HEAD /s3/BUCKET/KEY; in bucket `hub` a key begins with the namespace, in others the bucket is one."""

    def get(self, request: HttpRequest, bucket: str, object_key: str) -> HttpResponseBase:
        full_name, tail = split_key(object_key if bucket == EVERYTHING else f"{bucket}/{object_key}")
        try:
            repository = lookup.find_by_any_name(full_name, self.caller, Permission.DOWNLOAD)
        except RepositoryNotFound as missing:
            return self._of_base(full_name, tail, missing)
        revision, path = locate(request, repository, tail, self.viewer)
        pull.require_shown(revision, self.caller)
        entry = downloads.find_served(revision, path, self.caller)
        response = _answer(request, entry, revision.created_at, revision.oid)
        if request.method == "GET" and response.status_code < 300 and entry.is_lfs:
            limits.count_download(request, repository, self.caller, revision.oid)
        return mark_yanked(response, revision)

    def _of_base(self, full_name: str, tail: str, missing: RepositoryNotFound) -> HttpResponseBase:
        base = bases.find(full_name)
        if base is None:
            raise missing
        bases.require_base(self.caller, Permission.DOWNLOAD, base, full_name)
        entry = bases.find_file(base, bases.locate(base, tail))
        return _answer(self.request, entry, base.added_at, bases.oid_of(base))


def split_key(key: str) -> tuple[str, str]:
    """Return namespace/name and revision/path of a whole key. Raises FileNotFound for one that is too short."""
    parts = key.split("/", 2)
    if len(parts) < 3:
        raise FileNotFound(f"Entry not found: {key[:200]!r} names no file.")
    return f"{parts[0]}/{parts[1]}", parts[2]


def _answer(request: HttpRequest, entry: Entry, changed_at: datetime, commit: str) -> HttpResponseBase:
    facts = HEADERS | {
        "ETag": f'"{entry.sha256}"',
        "Last-Modified": http_date(changed_at.timestamp()),
        "x-amz-meta-commit": commit,
    }
    if isinstance(entry, DerivedEntry):
        facts["X-Dovetail-Derived"] = quote(entry.source)
    status = _condition(request, entry, changed_at)
    if status == 412:
        raise refused(request, "PreconditionFailed", "The object is not as the condition says.")
    response = HttpResponse(status=304) if status == 304 else send(request, entry, "binary/octet-stream")
    if response.status_code == 416:
        wrong = problem(request, "InvalidRange", "There is no byte of the object in this range.")
        wrong["Content-Range"] = response["Content-Range"]
        return wrong
    if response.status_code == 200 and "HTTP_RANGE" not in request.META:  # nginx answers a range itself
        facts["x-amz-checksum-sha256"] = base64.b64encode(bytes.fromhex(entry.sha256)).decode()
        facts["x-amz-checksum-type"] = "FULL_OBJECT"
    for header, value in facts.items():
        response[header] = value
    return response


def _condition(request: HttpRequest, entry: Entry, changed_at: datetime) -> int:
    """Return 412 or 304 if a condition of the request says so, else 200; an ETag goes before a time."""
    meta, changed = request.META, int(changed_at.timestamp())
    if "HTTP_IF_MATCH" in meta:
        if not _names(meta["HTTP_IF_MATCH"], entry):
            return 412
    elif (before := parse_http_date_safe(meta.get("HTTP_IF_UNMODIFIED_SINCE", ""))) is not None and changed > before:
        return 412
    if "HTTP_IF_NONE_MATCH" in meta:
        return 304 if _names(meta["HTTP_IF_NONE_MATCH"], entry) else 200
    since = parse_http_date_safe(meta.get("HTTP_IF_MODIFIED_SINCE", ""))
    return 304 if since is not None and changed <= since else 200


def _names(header: str, entry: Entry) -> bool:
    tags = {tag.strip().removeprefix("W/").strip('"') for tag in header.split(",")}
    return bool(tags & {"*", entry.sha256})


ROUTES = [
    path("s3", Service.as_view(), name="service"),
    path("s3/", Service.as_view()),
    path("s3/<str:bucket>", Bucket.as_view(), name="bucket"),
    path("s3/<str:bucket>/", Bucket.as_view()),
    path("s3/<str:bucket>/<path:object_key>", Object.as_view(), name="object"),
]
WIRE = [path("", include((ROUTES, "s3")))]
