"""Pulling on the wire: file listings, and the bytes with every header that client caches depend on."""

import re
from urllib.parse import quote

from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse

from hub import limits
from hub.addresses import absolute, locate
from hub.answers import answer, mark_yanked
from hub.hf import bodies, dialect, shapes
from hub.hf.dialect import Route
from hub.hf.shapes import JSON
from hub.server.large_bodies import send
from registry.kernel import seams
from registry.kernel.errors import FileNotFound, RegistryError
from registry.kernel.policy import Permission
from registry.models import Base, Revision
from registry.repos import bases, derived, downloads, histories, manifest, pull, refs
from registry.repos.contents import weight_files
from registry.repos.derived import DerivedEntry
from registry.repos.manifest import Entry

# The types that cards may show, and none that runs; browsers are told not to guess.
IMAGES = {suffix: f"image/{suffix}" for suffix in ("png", "gif", "webp", "jpeg")}
TYPES = {"json": "application/json", "jpg": "image/jpeg", **IMAGES}


# Clients may keep it for ever; caches that others share ask the hub each minute whether it is still public.
PUBLIC = "public, max-age=31536000, s-maxage=60, immutable"


def answer_file(request: HttpRequest, entry: Entry, revision: Revision | None = None) -> HttpResponseBase:
    """Return the answer for one file, without what depends on where it is kept.

    Caches may keep what anybody may have of a `revision` that is asked for by its commit.
    """
    # Never for HEAD: the Hub's clients take their metadata from it, and a 304 has none.
    same = request.method == "GET" and has_already(request.META.get("HTTP_IF_NONE_MATCH", ""), entry)
    response = HttpResponse(status=304) if same else file_response(request, entry, revision)
    for header, value in headers_of(entry, is_signed=response.has_header("Location")).items():
        response[header] = value
    is_bytes = response.status_code in (200, 206, 304)
    if is_bytes and revision and _is_fixed(revision, entry) and pull.is_for_anybody(revision, entry):
        response["Cache-Control"] = PUBLIC
    return response


def _is_fixed(revision: Revision, entry: Entry) -> bool:
    """Return whether the answer stays as it is: a derived file can be made again, and a header tells of a yank."""
    return revision.asked == revision.oid and not (revision.is_yanked or isinstance(entry, DerivedEntry))


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


def file_response(request: HttpRequest, entry: Entry, revision: Revision | None = None) -> HttpResponseBase:
    """Return a file's bytes, or where the store serves them. Raises StoreUnavailable for what the store has lost."""
    # A client follows a redirect on its own host with HEAD too, and a link signed for GET answers that with 403.
    if request.method != "HEAD" and (url := pull.download_url(entry, revision)):
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


TREE_PAGE, EXPANDED_PAGE = 1000, 100


class Tree(Route):
    """GET /api/models/{id}/tree/{rev}[/{path}]"""

    base_methods = ("GET", "HEAD")

    def get(self, request: HttpRequest, ns: str, name: str, tail: str) -> HttpResponseBase:
        repository = self.repository(ns, name)
        revision, folder = locate(request, repository, tail, self.viewer)
        pull.require_shown(revision, self.caller)
        return self.page(revision, pull.entries(revision), folder)

    def answer_for_base(self, request: HttpRequest, base: Base, **where: str) -> HttpResponseBase:
        folder = bases.locate(base, where["tail"])
        return self.page(bodies.base_revision(base, refs.MAIN), bases.entries(base), folder)

    def page(self, revision: Revision, entries: dict[str, Entry], folder: str) -> HttpResponseBase:
        query = self.request.GET
        try:
            items = _listing(entries, folder.strip("/"), bodies.truth(query.get("recursive")), revision)
        except FileNotFound as error:
            return at_commit(self.refuse(error), revision)
        is_expanded = bodies.truth(query.get("expand"))
        limit = bodies.whole_in(query, "limit", TREE_PAGE, EXPANDED_PAGE if is_expanded else TREE_PAGE)
        cursor = query.get("cursor", "")
        rest = [item for item in items if item["path"] > cursor]
        page = _completed(rest[:limit], revision, is_expanded=is_expanded)
        response = mark_yanked(answer(page), revision)
        if len(rest) > limit:
            response["Link"] = bodies.next_page(self.request, cursor=page[-1]["path"], limit=str(limit))
        return response


class PathsInfo(Route):
    """POST /api/models/{id}/paths-info/{rev}: paths that are not there are left out"""

    base_methods = ("POST",)

    def post(self, request: HttpRequest, ns: str, name: str, rev: str) -> HttpResponse:
        revision = pull.resolve_pulled(self.repository(ns, name), rev, self.viewer)
        pull.require_shown(revision, self.caller)
        return self.answered(revision, pull.entries(revision))

    def answer_for_base(self, request: HttpRequest, base: Base, **where: str) -> HttpResponse:
        return self.answered(bodies.base_revision(base, where["rev"]), bases.entries(base))

    def answered(self, revision: Revision, entries: dict[str, Entry]) -> HttpResponse:
        paths, is_expanded = bodies.form_or_json(self.request)
        folders = manifest.folder_oids(entries.values())
        entries |= _derived(entries, revision)
        items = []
        for path in dict.fromkeys(path.strip("/") for path in paths):
            if path in entries:
                items.append(shapes.file_entry(entries[path]))
            elif path and path in folders:
                items.append(shapes.folder_entry(path, folders[path]))
        return mark_yanked(answer(_completed(items, revision, is_expanded=is_expanded)), revision)


def _completed(items: list[JSON], revision: Revision, *, is_expanded: bool) -> list[JSON]:
    """Add what is asked of the database: who changed each file last, and its Xet hash; a base has neither."""
    if is_expanded:
        _expand(items, revision)
    if revision.pk is not None:
        _name_for_xet(items)
    return items


def _listing(entries: dict[str, Entry], folder: str, is_recursive: bool, revision: Revision) -> list[JSON]:
    """Return files and folders below a folder, by path. Raises FileNotFound for a folder that is not there."""
    folders = manifest.folder_oids(entries.values())
    if folder not in folders:
        raise FileNotFound(f"Entry not found: there is no folder {folder[:200]!r} in {revision.oid}.")
    start = f"{folder}/" if folder else ""
    artifacts = _derived(entries, revision)  # no part of the folders' ids: those are the commit's
    items = [shapes.file_entry(entry) for path, entry in {**entries, **artifacts}.items() if path.startswith(start)]
    items += [shapes.folder_entry(path, oid) for path, oid in folders.items() if path and path.startswith(start)]
    if not is_recursive:
        items = [item for item in items if "/" not in item["path"][len(start) :]]
    return sorted(items, key=lambda item: str(item["path"]))


def _derived(entries: dict[str, Entry], revision: Revision) -> dict[str, DerivedEntry]:
    """Return the derived files of a revision that is here; digests that another hub states prove nothing."""
    return derived.derived_entries(entries) if revision.pk is not None else {}


def _expand(items: list[JSON], revision: Revision) -> None:
    """Add to each entry the newest commit that changed it, and that nobody scanned it."""
    commits = _last_commits(items, revision)
    for item in items:
        item["lastCommit"] = commits.get(item["path"])
        if item["type"] == "file":
            item["securityFileStatus"] = shapes.UNSCANNED


def _last_commits(items: list[JSON], revision: Revision) -> dict[str, JSON]:
    """Return path → commit; of a repository elsewhere those that are stated there: null where nobody knows."""
    paths = [item["path"] for item in items]
    if revision.repository.source:
        return {k: v for place in dialect.places for k, v in place.last_changes(revision, paths).items()}
    changed = histories.last_changes(revision) if revision.pk is not None else {}
    return {path: shapes.last_commit(changed.get(path, revision)) for path in paths}


def _name_for_xet(items: list[JSON]) -> None:
    """Add the Xet hash to the files that can be read so; clients skip asking for the headers then."""
    large = [item for item in items if "lfs" in item and "derived" not in item]
    file_ids = seams.xet_ids([item["lfs"]["oid"] for item in large])
    for item in large:
        if file_id := file_ids.get(item["lfs"]["oid"]):
            item["xetHash"] = file_id


def _xet_hash(entry: Entry) -> str | None:
    """Return under which name a file can be read by Xet; nobody pushed a derived one, so nobody may ask there."""
    if not entry.is_lfs or isinstance(entry, DerivedEntry):
        return None
    return seams.xet_ids([entry.sha256]).get(entry.sha256)


class Resolve(Route):
    """HEAD and GET /{id}/resolve/{rev}/{path}"""

    family = limits.Family.FILES
    base_methods = ("GET", "HEAD")
    base_permission = Permission.DOWNLOAD

    def get(self, request: HttpRequest, ns: str, name: str, tail: str) -> HttpResponseBase:
        repository = self.repository(ns, name, Permission.DOWNLOAD)
        revision, path = locate(request, repository, tail, self.viewer)
        pull.require_shown(revision, self.caller)  # first: neither its commit id nor its paths are told
        try:
            entry = downloads.find_served(revision, path, self.caller)
        except RegistryError as error:
            return at_commit(self.refuse(error), revision)
        response = answer_file(request, entry, revision)
        if file_id := _xet_hash(entry):
            response["X-Xet-Hash"] = file_id
            named = {"type": self.type, "full_name": repository.full_name, "rev": revision.oid}
            response["Link"] = f'<{absolute(request, reverse("xet:read-token", kwargs=named))}>; rel="xet-auth"'
        if request.method == "GET" and response.status_code != 304 and _is_counted(entry):
            limits.count_download(request, repository, self.caller, revision.oid)
        return at_commit(response, revision)

    def answer_for_base(self, request: HttpRequest, base: Base, **where: str) -> HttpResponseBase:
        path = bases.locate(base, where["tail"])
        revision = bodies.base_revision(base, refs.MAIN)
        try:
            entry = bases.find_file(base, path)
        except FileNotFound as error:
            return at_commit(self.refuse(error), revision)
        return at_commit(answer_file(request, entry), revision)


class Headers(Route):
    """GET /api/models/{id}/safetensors-metadata/{index}: the headers of weights in several files, on main"""

    family = limits.Family.FILES
    base_methods = ("GET", "HEAD")
    base_permission = Permission.DOWNLOAD

    def get(self, request: HttpRequest, ns: str, name: str, path: str) -> HttpResponse:
        revision = pull.resolve_pulled(self.repository(ns, name, Permission.DOWNLOAD), refs.MAIN, self.viewer)
        pull.require_served(revision, self.caller)
        return _headers(pull.entries(revision), path)

    def answer_for_base(self, request: HttpRequest, base: Base, **where: str) -> HttpResponse:
        return _headers(bases.entries(base), where["path"])


def _headers(entries: dict[str, Entry], path: str) -> HttpResponse:
    weights = weight_files.read_sharded_weights(entries, path)
    return answer({"index": weights.index, "headers": weights.headers})


def at_commit(response: HttpResponseBase, revision: Revision) -> HttpResponseBase:
    # Also on 404: without it clients cannot remember that a file does not exist, and ask again on every load.
    response["X-Repo-Commit"] = revision.oid
    return mark_yanked(response, revision)


def _is_counted(entry: Entry) -> bool:
    # Loaders ask for many optional files; these are what a download of an adapter always takes.
    return entry.is_lfs or entry.path.endswith("adapter_config.json")
