"""One file as an answer: its bytes, or where the store serves them, with every header that client caches depend on."""

import re
from urllib.parse import quote

from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect

from hub.server.sending import send
from registry.repos import pull
from registry.repos.derived import DerivedEntry
from registry.repos.manifest import Entry

# The types that cards may show, and none that runs; browsers are told not to guess.
IMAGES = {suffix: f"image/{suffix}" for suffix in ("png", "gif", "webp", "jpeg")}
TYPES = {"json": "application/json", "jpg": "image/jpeg", **IMAGES}


def answer_file(request: HttpRequest, entry: Entry) -> HttpResponseBase:
    """Return the answer for one file, without what depends on where it is kept."""
    # Never for HEAD: the Hub's clients take their metadata from it, and a 304 has none.
    same = request.method == "GET" and has_already(request.META.get("HTTP_IF_NONE_MATCH", ""), entry)
    response = HttpResponse(status=304) if same else file_response(request, entry)
    for header, value in headers_of(entry, is_signed=response.has_header("Location")).items():
        response[header] = value
    return response


def has_already(header: str, entry: Entry) -> bool:
    """Return whether an If-None-Match header names this file."""
    etag = f'"{entry.sha256 if entry.is_lfs else entry.git_oid}"'
    return etag in {one.strip().removeprefix("W/") for one in header.split(",")}


def headers_of(entry: Entry, *, is_signed: bool) -> dict[str, str]:
    """Return the headers that say what a file is."""
    etag = f'"{entry.sha256 if entry.is_lfs else entry.git_oid}"'
    name = entry.path.rpartition("/")[2]
    plain = re.sub(r"[^A-Za-z0-9._ -]", "_", name)
    facts = {
        "ETag": etag,
        "Accept-Ranges": "bytes",
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}; filename=\"{plain}\";",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cache-Control": "private, no-store" if is_signed else "private, no-cache",
    }
    if isinstance(entry, DerivedEntry):
        facts["X-Dovetail-Derived"] = quote(entry.source)
    return facts | ({"X-Linked-Etag": etag, "X-Linked-Size": str(entry.size)} if entry.is_lfs else {})


def file_response(request: HttpRequest, entry: Entry) -> HttpResponseBase:
    """Return a file's bytes, or where the store serves them. Raises StoreUnavailable for what the store has lost."""
    # A client follows a redirect on its own host with HEAD too, and a link signed for GET answers that with 403.
    if request.method != "HEAD" and (url := pull.download_url(entry)):
        response: HttpResponseBase = HttpResponseRedirect(url)  # clients read the headers of this answer, not of S3's
        response["Content-Length"] = "0"
        return response
    return send(request, entry, content_type(entry))


def content_type(entry: Entry) -> str:
    """Return the type that browsers are told."""
    suffix = entry.path.rpartition(".")[2].lower()
    if suffix in TYPES:
        return TYPES[suffix]
    return "application/octet-stream" if entry.is_lfs else "text/plain; charset=utf-8"
