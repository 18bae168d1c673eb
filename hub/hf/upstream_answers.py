"""A repository of another hub on the routes that read: what that hub says of it, and its files."""

from collections.abc import Iterable
from contextlib import ExitStack
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect, StreamingHttpResponse

from hub.addresses import split
from hub.hf import bodies
from hub.hf.files import file_answers
from hub.hf.shapes import JSON
from hub.server.sending import Unsatisfiable, span, unsatisfiable
from registry.bytes import blocked_files
from registry.models import Revision, UpstreamRepository
from registry.repos.manifest import Entry
from registry.repos.viewers import Viewer
from registry.upstream import fetching, origins, reading, records, statements, store
from registry.upstream.reading import Version

SMALL_BYTES = 256 << 10  # a file up to here is proven before the first byte is sent


def info(request: HttpRequest, at: Version) -> JSON:
    """Return everything that the other hub says of a version, but that its files can be read by Xet here."""
    item = {key: value for key, value in at.info.items() if key not in {"xetEnabled", "securityStatus"}}
    item |= {"xetEnabled": False, "private": bool(item.get("private"))}
    with_blobs = bodies.truth(request.GET.get("blobs"))
    item["siblings"] = [_sibling(one, with_blobs) for one in item.get("siblings") or [] if isinstance(one, dict)]
    return item


def _sibling(item: JSON, with_blobs: bool) -> JSON:
    keys = ("rfilename", "size", "blobId", "lfs") if with_blobs else ("rfilename",)
    return {key: item[key] for key in keys if key in item}


def version(row: UpstreamRepository, rev: str, viewer: Viewer) -> Version:
    """Return the version that a name means, if the reader may have it. Raises RevisionNotFound."""
    at = reading.version(row, rev)
    records.require_shown(at, viewer)
    return at


def locate(request: HttpRequest, row: UpstreamRepository, tail: str, viewer: Viewer) -> tuple[Version, str]:
    """Return the version and the path in the rest of an address, rev/path. Raises RevisionNotFound."""
    at, path = reading.locate(row, *split(request, tail))
    records.require_shown(at, viewer)
    return at, path


def file(request: HttpRequest, at: Version, entry: Entry) -> HttpResponseBase:
    """Return a file: by its headers alone, from the store, as it arrives, or where the other hub has it.

    Raises FileBlocked, UpstreamUnavailable, UpstreamWrong, UpstreamRefused.
    """
    kept = store.find(at.repository, entry)
    blocked_files.require_unblocked({entry.path: (kept or entry).sha256})  # no sweep holds it back: it is no revision
    if settings.UPSTREAM.mode == "redirect":
        return _redirect(at, entry)
    if request.method == "GET" and entry.path.rpartition("/")[2] == records.CONFIG:
        records.want(at)
    has_it = file_answers.has_already(request.META.get("HTTP_IF_NONE_MATCH", ""), entry)
    if kept or has_it or request.method == "HEAD":
        return file_answers.answer_file(request, kept or entry)
    with ExitStack() as undo:
        follower = fetching.follow(at.repository, at.oid, entry)
        undo.callback(follower.close)
        if entry.size <= SMALL_BYTES:
            follower.wait(fetching.SMALL_SECONDS)
        else:
            follower.wait_for_first()
        if kept := store.find(at.repository, entry):
            return file_answers.answer_file(request, kept)
        response = _arriving(request, follower, entry)
        undo.pop_all()
        return response


def _arriving(request: HttpRequest, follower: fetching.Follower, entry: Entry) -> HttpResponseBase:
    """Return the bytes of a file, or of a range of it, while it is fetched."""
    try:
        bounds = span(request.META.get("HTTP_RANGE", ""), entry.size)
    except Unsatisfiable:
        follower.close()  # no other way of sending it: the digest is not proven, and may be that of somebody's file
        return _described(unsatisfiable(entry.size), entry)
    start, end = bounds or (0, entry.size)
    response = StreamingHttpResponse(fetching.Body(follower, start, end), status=206 if bounds else 200)
    response["Content-Type"] = file_answers.content_type(entry)
    response["Content-Length"] = str(end - start)
    if bounds:
        response["Content-Range"] = f"bytes {start}-{end - 1}/{entry.size}"
    return _described(response, entry)


def _redirect(at: Version, entry: Entry) -> HttpResponseBase:
    hub = origins.hub_of(at.repository)
    response = HttpResponseRedirect(f"{hub.url}{origins.file_path(at.repository, at.oid, entry.path)}")
    response["Content-Length"] = "0"
    return _described(response, entry)


def _described(response: HttpResponseBase, entry: Entry) -> HttpResponseBase:
    for header, value in file_answers.headers_of(entry, is_signed=response.has_header("Location")).items():
        response[header] = value
    return response


def last_changes(revision: Revision, row: UpstreamRepository | None, paths: Iterable[str]) -> dict[str, JSON]:
    """Return path → the commit that changed it last there; without a row for the record of such a repository."""
    repository = revision.repository
    row = row or reading.known(repository.full_name, repository.type)
    return statements.last_changes(row, revision.oid, paths) if row else {}


def commits(request: HttpRequest, at: Version, limit: int) -> tuple[list[Any], dict[str, str]]:
    """Return a page of the history as the other hub states it, and the parameters of the next page."""
    query = {"limit": str(limit), "cursor": request.GET.get("cursor", "")[:1000], "p": request.GET.get("p", "")[:10]}
    if "formatted" in request.GET.getlist("expand[]") + request.GET.getlist("expand"):
        query["expand[]"] = "formatted"
    return statements.commits(at, {key: value for key, value in query.items() if value})
