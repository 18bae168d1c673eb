"""Repositories of other hubs on the routes of the Hub's protocol that read: what those hubs say, and the files.

Those without a namespace, such as gpt2, too: other hubs say which repository they mean.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from typing import Any
from urllib.parse import unquote

from django.conf import settings
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect, StreamingHttpResponse

from features.upstream import asking, documents, fetching, names, reading, records, store
from features.upstream.asking import UpstreamGated, UpstreamUnavailable, UpstreamWrong
from features.upstream.models import UpstreamRepository
from features.upstream.reading import Version
from hub.addresses import mounted_below, raw_path, split
from hub.answers import answer
from hub.hf import bodies, lists, pull, repos
from hub.hf.dialect import Elsewhere, NoNamespace, Route
from hub.hf.shapes import JSON
from hub.read_only import SAFE
from hub.server.large_bodies import Unsatisfiable, span, unsatisfiable
from registry.bytes import blocked_files
from registry.kernel.errors import NotSupported, RegistryError
from registry.kernel.policy import Permission
from registry.models import Revision
from registry.repos.manifest import Entry
from registry.repos.refs import Viewer

KEPT_SECONDS = 30 * 24 * 3600


def canonical(name: str, type: str) -> str | None:
    """Return the id that another hub gives a name without a namespace; None if it means nothing.

    Never return an id in a namespace of this hub: its owner could put other files in place of a well-known repository.
    Raises UpstreamUnavailable, UpstreamWrong.
    """
    if not settings.UPSTREAM.hubs or not names.may_be_asked_alone(name):
        return None
    key = documents.key_of("upstream-canonical", type, name.lower())
    full_name = cache.get(key)
    if full_name is None:
        full_name = _asked(name, type, key)
    return full_name if full_name and names.may_be_asked(full_name) else None


def _asked(name: str, type: str, key: str) -> str:
    """Return the id from the hubs, else the one they gave before if none can be asked; "" for no such name."""
    known = UpstreamRepository.objects.filter(type=type, short_name=name.lower()).order_by("-read_at").first()
    if not asking.may_ask():
        return known.full_name if known else ""
    try:
        stated = _stated(name, type)
    except UpstreamUnavailable:
        if known is None:
            raise
        return known.full_name
    cache.set(key, stated, KEPT_SECONDS if stated else settings.UPSTREAM.missing_seconds)
    if stated:
        _keep(name, stated, type)
    return stated


def _keep(name: str, stated: str, type: str) -> None:
    """Write the name to the row of the repository, for when the cache has lost it; the next request reads it anyway."""
    with suppress(UpstreamUnavailable, UpstreamWrong):
        row = reading.find(stated, type)
        if row is not None:
            UpstreamRepository.objects.filter(pk=row.pk).update(short_name=name.lower())


def _stated(name: str, type: str) -> str:
    for hub in settings.UPSTREAM.hubs:
        reply = asking.ask(hub, asking.api_path(type, name))
        stated = reply.value.get("id") if reply.status == 200 and isinstance(reply.value, dict) else None
        if isinstance(stated, str) and stated.lower().endswith(f"/{name.lower()}"):
            return stated
    return ""


SMALL_BYTES = 256 << 10  # a file up to here is proven before the first byte is sent


def _stated_info(request: HttpRequest, at: Version) -> JSON:
    """Return everything that the other hub says of a version, but that its files can be read by Xet here."""
    item = {key: value for key, value in at.info.items() if key not in {"xetEnabled", "securityStatus"}}
    item |= {"xetEnabled": False, "private": bool(item.get("private"))}
    with_blobs = bodies.truth(request.GET.get("blobs"))
    item["siblings"] = [_sibling(one, with_blobs) for one in item.get("siblings") or [] if isinstance(one, dict)]
    return item


def _sibling(item: JSON, with_blobs: bool) -> JSON:
    keys = ("rfilename", "size", "blobId", "lfs") if with_blobs else ("rfilename",)
    return {key: item[key] for key in keys if key in item}


def _version(row: UpstreamRepository, rev: str, viewer: Viewer) -> Version:
    """Return the version that a name means, if the reader may have it. Raises RevisionNotFound."""
    at = reading.version(row, rev)
    records.require_shown(at, viewer)
    return at


def _locate(request: HttpRequest, row: UpstreamRepository, tail: str, viewer: Viewer) -> tuple[Version, str]:
    """Return the version and the path in the rest of an address, rev/path. Raises RevisionNotFound."""
    at, path = reading.locate(row, *split(request, tail))
    records.require_shown(at, viewer)
    return at, path


def _file(request: HttpRequest, at: Version, entry: Entry) -> HttpResponseBase:
    """Return a file: by its headers alone, from the store, as it arrives, or where the other hub has it.

    Raises FileBlocked, UpstreamUnavailable, UpstreamWrong, UpstreamRefused.
    """
    kept = store.find(at.repository, entry)
    blocked_files.require_unblocked({entry.path: (kept or entry).sha256})  # no sweep holds it back: it is no revision
    if settings.UPSTREAM.mode == "redirect":
        return _redirect(at, entry)
    if request.method == "GET" and entry.path.rpartition("/")[2] == records.CONFIG:
        records.want(at)
    has_it = pull.has_already(request.META.get("HTTP_IF_NONE_MATCH", ""), entry)
    if kept or has_it or request.method == "HEAD":
        return pull.answer_file(request, kept or entry)
    with ExitStack() as undo:
        follower = fetching.follow(at.repository, at.oid, entry)
        undo.callback(follower.close)
        if entry.size <= SMALL_BYTES:
            follower.wait(fetching.SMALL_SECONDS)
        else:
            follower.wait_for_first()
        if kept := store.find(at.repository, entry):
            return pull.answer_file(request, kept)
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
    response["Content-Type"] = pull.content_type(entry)
    response["Content-Length"] = str(end - start)
    if bounds:
        response["Content-Range"] = f"bytes {start}-{end - 1}/{entry.size}"
    return _described(response, entry)


def _redirect(at: Version, entry: Entry) -> HttpResponseBase:
    hub = asking.hub_of(at.repository)
    response = HttpResponseRedirect(f"{hub.url}{asking.file_path(at.repository, at.oid, entry.path)}")
    response["Content-Length"] = "0"
    return _described(response, entry)


def _described(response: HttpResponseBase, entry: Entry) -> HttpResponseBase:
    for header, value in pull.headers_of(entry, is_signed=response.has_header("Location")).items():
        response[header] = value
    return response


def _stated_commits(request: HttpRequest, at: Version, limit: int) -> tuple[list[Any], dict[str, str]]:
    """Return a page of the history as the other hub states it, and the parameters of the next page."""
    query = {"limit": str(limit), "cursor": request.GET.get("cursor", "")[:1000], "p": request.GET.get("p", "")[:10]}
    if "formatted" in request.GET.getlist("expand[]") + request.GET.getlist("expand"):
        query["expand[]"] = "formatted"
    return reading.commits(at, {key: value for key, value in query.items() if value})


# --- the routes ------------------------------------------------------------------------------------------------------
Where = Mapping[str, str]  # the rest of an address: `rev`, or `tail` with a path in it


def _tree(route: pull.Tree, row: UpstreamRepository, where: Where) -> HttpResponseBase:
    at, folder = _locate(route.request, row, where["tail"], route.viewer)
    return route.page(at.revision, at.entries(), folder)


def _paths_info(route: pull.PathsInfo, row: UpstreamRepository, where: Where) -> HttpResponseBase:
    at = _version(row, where["rev"], route.viewer)
    return route.answered(at.revision, at.entries())


def _resolve(route: pull.Resolve, row: UpstreamRepository, where: Where) -> HttpResponseBase:
    at, path = _locate(route.request, row, where["tail"], route.viewer)
    try:
        entry = at.find_file(path)
        at.require_allowed()
        response = _file(route.request, at, entry)
    except RegistryError as error:
        return pull.at_commit(route.refuse(error), at.revision)
    return pull.at_commit(response, at.revision)


def _refs(route: repos.Refs, row: UpstreamRepository, where: Where) -> HttpResponseBase:
    query = route.request.GET
    with_pull_requests = bodies.truth(query.get("include_prs") or query.get("include_pull_requests"))
    return answer(reading.list_refs(row, with_pull_requests=with_pull_requests))


def _commits(route: repos.Commits, row: UpstreamRepository, where: Where) -> HttpResponseBase:
    request, limit = route.request, bodies.whole_in(route.request.GET, "limit", repos.HISTORY_PAGE, 1000)
    items, cursor = _stated_commits(request, _version(row, where["rev"], route.viewer), limit)
    response = answer(items)
    if cursor:
        response["Link"] = bodies.next_page(request, limit=str(limit), **cursor)
    return response


def _info(route: lists.Info, row: UpstreamRepository, where: Where) -> HttpResponseBase:
    fields = lists.expansions(route.request, route.type)
    item = _stated_info(route.request, _version(row, where.get("rev", "main"), route.viewer))
    lists.count_children([item], fields, route.caller)
    return answer(lists.only(item, fields))


ANSWERS: dict[type[Route], Callable[[Any, UpstreamRepository, Where], HttpResponseBase]] = {
    pull.Tree: _tree,
    pull.PathsInfo: _paths_info,
    pull.Resolve: _resolve,
    repos.Refs: _refs,
    repos.Commits: _commits,
    lists.Info: _info,
    repos.AuthCheck: lambda route, row, where: answer({}),
    repos.WriteCheck: lambda route, row, where: answer({}),
}


class Upstream(Elsewhere):
    """The hubs that DOVETAIL_UPSTREAM names."""

    def answer(self, route: Route, request: HttpRequest, full_name: str, where: Where) -> HttpResponseBase | None:
        with _came_through(request), documents.stale_ages() as ages:
            if isinstance(route, NoNamespace):
                return _at_whole_name(request, full_name)
            row = reading.find(full_name, route.type)
            if row is None:
                return None
            try:
                response = _read(route, full_name, row, where)
            except UpstreamGated:  # perhaps since just now: then whether the caller may read it is another question
                response = _read(route, full_name, row, where)
        response["X-Dovetail-Source"] = "upstream"
        if ages:
            response["X-Dovetail-Stale"] = str(round(max(ages).total_seconds()))
        return response

    def refresh(self, full_name: str, type: str) -> None:
        records.keep_current(full_name, type)

    def last_changes(self, revision: Revision, paths: Iterable[str]) -> dict[str, JSON]:
        row = reading.known(revision.repository.full_name, revision.repository.type)
        return reading.last_changes(row, revision.oid, paths) if row else {}


ELSEWHERE = Upstream()


def _read(route: Route, full_name: str, row: UpstreamRepository, where: Where) -> HttpResponseBase:
    records.require_not_held(row, asked=full_name)  # first: what is held is not said to be read-only either
    reading.renew_restriction(row)
    is_read = route.request.method in route.base_methods
    reading.require_permitted(route.caller, route.base_permission if is_read else Permission.PUSH, row, asked=full_name)
    try:
        if type(route) not in ANSWERS:
            raise NotSupported(f"{row.full_name} is mirrored from {row.origin}, which has this page.")
        return ANSWERS[type(route)](route, row, where)
    except UpstreamGated:
        raise
    except RegistryError as error:
        return route.refuse(error)


def _at_whole_name(request: HttpRequest, name: str) -> HttpResponseBase | None:
    """Lead an id without a namespace (gpt2) to the repository that another hub means by it."""
    if request.method not in SAFE:
        return None
    stated = canonical(name, "dataset" if request.path_info.startswith("/api/datasets/") else "model")
    if stated is None:
        return None
    segments = raw_path(request).split("/")
    segments[[unquote(segment) for segment in segments].index(name)] = stated
    query = request.META.get("QUERY_STRING", "")
    response = HttpResponse(status=307)
    response["Location"] = mounted_below() + "/".join(segments) + (f"?{query}" if query else "")
    response["X-Dovetail-Source"] = "upstream"
    return response


@contextmanager
def _came_through(request: HttpRequest) -> Iterator[None]:
    """Let requests to other hubs, while this one is answered, say how many it passed: hubs must not ask in a circle."""
    header = request.headers.get(asking.HOPS_HEADER, "0")
    token = asking.hops.set(int(header) if header.isdecimal() and len(header) < 4 else asking.MAX_HOPS)
    try:
        yield
    finally:
        asking.hops.reset(token)
