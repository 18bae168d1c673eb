"""GET and HEAD of one object: a file of a repository at namespace/name/revision/path."""

import base64
from datetime import datetime
from urllib.parse import quote

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.http import http_date, parse_http_date_safe

from hub.addresses import locate
from hub.answers import mark_yanked
from hub.s3.answers import S3Door, problem, refused
from hub.server import downloads
from hub.server.sending import send
from registry.kernel import base_policy
from registry.kernel.errors import FileNotFound, RepositoryNotFound
from registry.kernel.policy import Permission
from registry.repos import lookup, pull, served_bases, unsearched_files
from registry.repos.delivery.keys import EVERYTHING
from registry.repos.derived import DerivedEntry
from registry.repos.manifest import Entry

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
        entry = unsearched_files.find_served(revision, path, self.caller)
        response = _answer(request, entry, revision.created_at, revision.oid)
        if request.method == "GET" and response.status_code < 300 and entry.is_lfs:
            downloads.count(request, repository, self.caller)
        return mark_yanked(response, revision)

    def _of_base(self, full_name: str, tail: str, missing: RepositoryNotFound) -> HttpResponseBase:
        base = served_bases.find(full_name)
        if base is None:
            raise missing
        base_policy.require_base(self.caller, Permission.DOWNLOAD, base, full_name)
        entry = served_bases.find_file(base, served_bases.locate(base, tail))
        return _answer(self.request, entry, base.added_at, served_bases.oid_of(base))


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
