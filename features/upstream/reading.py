"""Find a repository of another hub by its name here, and read it as that hub states it: versions, refs, history."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode

from django.conf import settings
from django.core.cache import cache
from django.utils import timezone

from features.upstream import asking, documents, names
from features.upstream.asking import UpstreamGated, UpstreamUnavailable, UpstreamWrong
from features.upstream.models import UpstreamRepository
from registry.kernel import refusals
from registry.kernel.callers import Caller, Permission
from registry.kernel.errors import FileNotFound, RevisionNotFound
from registry.models import Namespace, Repository, Revision, User
from registry.repos import refs
from registry.repos.manifest import Entry

USED_SECONDS = 3600
JSON = dict[str, Any]
PATHS = 1000  # that a hub is asked about at once
MAX_CHANGES = 5000  # that are kept of one commit


def find(full_name: str, type: str) -> UpstreamRepository | None:
    """Return the repository of another hub with that id; None if a name of ours is meant, or no hub has one.

    Raises UpstreamUnavailable if a hub that could have it does not answer.
    """
    if not settings.UPSTREAM.hubs or not full_name.isascii() or not names.may_be_asked(full_name):
        return None
    row = known(full_name, type)
    if row is not None and _used(row):
        return row
    missing = documents.key_of("upstream-missing", type, full_name.lower())
    if not asking.may_ask() or cache.get(missing):
        return None
    row = _found(full_name, type)
    if row is None:
        cache.set(missing, 1, settings.UPSTREAM.missing_seconds)
    return row


def known(full_name: str, type: str) -> UpstreamRepository | None:
    """Return the repository of another hub if it was read here before."""
    urls = [hub.url for hub in settings.UPSTREAM.hubs]
    return UpstreamRepository.objects.filter(type=type, folded=full_name.lower(), origin__in=urls).first()


def _found(full_name: str, type: str) -> UpstreamRepository | None:
    for hub in settings.UPSTREAM.hubs:
        reply = asking.ask(hub, f"{asking.api_path(type, full_name)}?blobs=true")
        if reply.status != 200:
            continue
        info = _checked(hub.url, full_name, reply.value)
        stated = str(info["id"])
        is_same = stated.lower() == full_name.lower()
        row, _ = UpstreamRepository.objects.update_or_create(
            type=type,
            folded=full_name.lower(),
            defaults={
                "full_name": stated if is_same else full_name,
                "namespace": full_name.lower().partition("/")[0],
                "origin": hub.url,
                "restricted": _restriction_in(info),
            },
        )
        _remember_restriction(row)
        _keep(row, "main", info)
        return row
    return None


def _used(row: UpstreamRepository) -> bool:
    """Note about once an hour that somebody reads it; return False if it was forgotten at this moment."""
    if timezone.now() - row.read_at <= timedelta(seconds=USED_SECONDS):
        return True
    return bool(UpstreamRepository.objects.filter(pk=row.pk).update(read_at=timezone.now()))


def _checked(origin: str, full_name: str, info: Any) -> JSON:
    wrong = UpstreamWrong(f"{origin} says nothing of {full_name} that can be understood.")
    if not isinstance(info, dict) or not isinstance(info.get("id"), str) or not is_commit(info.get("sha")):
        raise wrong
    if not isinstance(info.get("siblings") or [], list):
        raise wrong
    return info


def is_commit(value: object) -> bool:
    """Return whether a value that another hub states is the id of a commit."""
    return isinstance(value, str) and len(value) == 40 and refs.HEX.issuperset(value)


def _keep(row: UpstreamRepository, rev: str, info: JSON) -> str:
    """Keep what the hub said of a revision, and return its commit id."""
    oid = str(info["sha"])
    documents.store(row, documents.key_of("info", oid), info)
    documents.store(row, documents.key_of("rev", rev), oid)
    return oid


# --- revisions -------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Version:
    """A commit of another hub: the commit as a revision that is no row, and everything the hub says of it."""

    repository: UpstreamRepository
    revision: Revision
    info: JSON

    @property
    def oid(self) -> str:
        return self.revision.oid

    def entries(self) -> dict[str, Entry]:
        """Return path → entry of every file. Raises UpstreamUnavailable and UpstreamWrong."""
        return documents.tree_entries(self.repository, self.oid)

    def find_file(self, path: str) -> Entry:
        """Return one file. Raises FileNotFound, UpstreamUnavailable and UpstreamWrong."""
        entry = self.entries().get(path)
        if entry is None:
            raise FileNotFound(f"Entry not found: {path[:200]!r} is not in {self.oid}.")
        return entry

    def require_allowed(self) -> None:
        """Raise UpstreamRefused for files that the operator's rules keep out."""
        asking.require_license(self.info)


def version(row: UpstreamRepository, rev: str) -> Version:
    """Return the version that a branch, tag or commit id means there.

    Raises RevisionNotFound, UpstreamUnavailable, UpstreamWrong, and UpstreamGated of what only now is private or gated.
    """
    rev = "main" if rev in refs.MAIN_NAMES else rev
    if not rev or "\0" in rev or len(rev) > refs.MAX_REF_NAME:
        raise refs.revision_not_found(rev)
    if is_commit(rev.lower()):
        _renew_openness(row)
        oid = rev.lower()
    else:
        oid = documents.passing(row, documents.key_of("rev", rev), lambda: _asked(row, rev))
    info = documents.stored(row, documents.key_of("info", oid))
    if info is None:
        oid = _asked(row, oid)
        info = documents.stored(row, documents.key_of("info", oid))
    return Version(row, _as_revision(row, oid, info), info)


def main_of(row: UpstreamRepository) -> str:
    """Return the commit that main meant when the other hub was last asked; "" if it never was."""
    return str(documents.stored(row, documents.key_of("rev", "main")) or "")


def _asked(row: UpstreamRepository, rev: str) -> str:
    """Ask what a name means, keep it, and return the commit id."""
    missing = documents.key_of("upstream-no-rev", str(row.pk), rev)
    if cache.get(missing):
        raise refs.revision_not_found(rev)
    if not asking.may_ask():
        raise UpstreamUnavailable(f"{rev} of {row.full_name} was never read here, and this hub is offline.")
    reply = asking.ask_about(row, f"/revision/{quote(rev, safe='')}?blobs=true")
    if reply.status in (401, 403, 404):
        if not is_commit(rev):
            cache.set(missing, 1, settings.UPSTREAM.missing_seconds)
        raise refs.revision_not_found(rev)
    if reply.status != 200:
        raise UpstreamUnavailable(f"{row.origin} answered {reply.status}.")
    info = _checked(row.origin, row.full_name, reply.value)
    if is_commit(rev) and info["sha"] != rev:
        raise UpstreamWrong(f"{row.origin} answered another commit of {row.full_name} than {rev}.")
    _note_restriction(row, info)
    return _keep(row, rev, info)


def renew_restriction(row: UpstreamRepository) -> None:
    """Ask for whom a private or gated repository is by now, once in DOVETAIL_UPSTREAM_MISSING_TTL.

    A caller who may not read it never gets as far as asking for a revision, and would never learn that it was opened.
    """
    if row.restricted and asking.may_ask() and _is_restriction_old(row):
        with asking.impatiently(), suppress(RevisionNotFound, UpstreamGated, UpstreamUnavailable, UpstreamWrong):
            _asked(row, "main")


def _renew_openness(row: UpstreamRepository) -> None:
    """Learn that the hub restricts a repository of which everybody asks for commits alone. Raises UpstreamGated.

    Otherwise files that only the token of this hub opens there would go to everybody who knows a commit. The answer of
    before is good while that hub fails, and after it has deleted the repository.
    """
    with suppress(RevisionNotFound, UpstreamUnavailable, UpstreamWrong), documents.stale_ages():
        if row.restricted or not asking.may_ask() or not asking.hub_of(row).token:
            return
        if cache.add(f"upstream:open:{row.pk}", 1, settings.UPSTREAM.refs_seconds):
            documents.passing(row, documents.MAIN, lambda: _asked(row, "main"))


def _as_revision(row: UpstreamRepository, oid: str, info: JSON) -> Revision:
    namespace, _, name = row.full_name.partition("/")
    at = moment(info.get("lastModified")) or row.added_at
    repository = Repository(pk=0, namespace=Namespace(name=namespace), name=name, type=row.type, source=row.origin)
    author = User(username=namespace)
    return Revision(repository=repository, oid=oid, title="", author=author, created_at=at)


def moment(text: object) -> datetime | None:
    """Return the time that another hub states; None if it is none."""
    try:
        stated = datetime.fromisoformat(str(text))
        return stated.astimezone(UTC) if stated.tzinfo else None
    except (ValueError, OverflowError):
        return None


def locate(row: UpstreamRepository, rev: str, path: str) -> tuple[Version, str]:
    """Return the version and the path; a ref such as refs/pr/1 may have come with its slashes, as parts of the path."""
    parts = path.split("/")
    if rev == "refs" and len(parts) > 1:
        rev, path = "/".join([rev, *parts[:2]]), "/".join(parts[2:])
    return version(row, rev), path


# --- what only some people there, and the token of this hub, may read ---
def require_permitted(caller: Caller, permission: Permission, row: UpstreamRepository, asked: str) -> None:
    """Raise the refusal for a caller who may not do this with a repository of another hub.

    Repositories that only the token of this hub opens are for members, if the operator allows it. Nobody writes there.
    """
    is_member = caller.user is not None and (not caller.is_fine_grained or bool(caller.named_grant(row.full_name)))
    may_have = not row.restricted or (settings.UPSTREAM.gated == "members" and is_member)
    if row.restricted == "private" and not may_have:
        raise refusals.repository_not_found(asked)
    if permission in (Permission.READ, Permission.BROWSE):
        return
    if permission is not Permission.DOWNLOAD:
        raise refusals.read_elsewhere(row.full_name, row.origin)
    if not may_have:
        raise UpstreamGated(
            f"{row.origin} gives {row.full_name} to some people alone.",
            fix="Sign in to this hub, or ask its administrator."
            if settings.UPSTREAM.gated == "members"
            else "Ask there for access, and download it there; this hub passes on what everybody may have.",
        )


def _restriction_in(info: JSON) -> str:
    """Return whom a hub gives a repository to, by its info: private, gated, or "" for everybody."""
    return "private" if info.get("private") else "gated" if info.get("gated") else ""


def _note_restriction(row: UpstreamRepository, info: JSON) -> None:
    """Keep whom the hub gives the repository to. Raises UpstreamGated if it is private or gated by now."""
    was, row.restricted = row.restricted, _restriction_in(info)
    _remember_restriction(row)
    if row.restricted != was:
        UpstreamRepository.objects.filter(pk=row.pk).update(restricted=row.restricted)
        namespace, _, name = row.folded.partition("/")
        records = Repository.objects.filter(type=row.type, namespace__name__lower=namespace, name__lower=name)
        records.exclude(source="").update(private=bool(row.restricted))
        if row.restricted:  # who asked was let in by what the hub said before
            raise UpstreamGated(f"{row.origin} gives {row.full_name} to some people alone from now on.")


def _remember_restriction(row: UpstreamRepository) -> None:
    """Believe for DOVETAIL_UPSTREAM_MISSING_TTL what the hub just said."""
    if row.restricted:
        cache.set(_restriction_key(row), 1, settings.UPSTREAM.missing_seconds)


def _is_restriction_old(row: UpstreamRepository) -> bool:
    """Return whether the hub should be asked again for whom the repository is; True for one caller alone."""
    return cache.add(_restriction_key(row), 1, settings.UPSTREAM.missing_seconds)


def _restriction_key(row: UpstreamRepository) -> str:
    return f"upstream:restricted:{row.pk}"


def list_refs(row: UpstreamRepository, *, with_pull_requests: bool) -> JSON:
    """Return branches, tags and the rest as the hub states them. Raises UpstreamUnavailable, UpstreamWrong."""
    query = "?include_prs=1" if with_pull_requests else ""

    def fetch() -> JSON:
        reply = asking.ask_about(row, f"/refs{query}")
        if reply.status != 200 or not isinstance(reply.value, dict):
            raise UpstreamWrong(f"{row.origin} does not list the refs of {row.full_name}.")
        return dict(reply.value)

    return dict(documents.passing(row, documents.key_of("refs", query), fetch))


def commits(at: Version, query: dict[str, str]) -> tuple[list[JSON], dict[str, str]]:
    """Return a page of the history as the hub states it, and the parameters of the next. Raises as above."""
    row = at.repository

    def fetch() -> list[Any]:
        reply = asking.ask_about(row, f"/commits/{at.oid}?{urlencode(query)}")
        if reply.status != 200 or not isinstance(reply.value, list):
            raise UpstreamWrong(f"{row.origin} does not list the commits of {row.full_name}.")
        return [reply.value, reply.link]

    items, link = documents.passing(row, documents.key_of("commits", at.oid, urlencode(query)), fetch)
    return items, documents.next_page(link)


def last_changes(row: UpstreamRepository, oid: str, paths: Iterable[str]) -> dict[str, JSON]:
    """Return for each path the commit that changed it last, as the hub states it; paths without one are left out.

    Its answers are kept; while it cannot be asked, those are all.
    """
    key = documents.key_of("changes", oid)
    known: dict[str, JSON] = documents.stored(row, key) or {}
    unknown = [path for path in paths if path not in known][:PATHS]
    if not unknown or not asking.may_ask():
        return known
    try:
        with asking.impatiently():
            reply = asking.ask_about(row, f"/paths-info/{oid}", {"paths": unknown, "expand": True})
    except (UpstreamUnavailable, UpstreamWrong):
        return known
    items = reply.value if reply.status == 200 and isinstance(reply.value, list) else []
    stated = {item["path"]: _change(item) for item in items if isinstance(item, dict) and item.get("path") in unknown}
    known |= {path: change for path, change in stated.items() if change}
    if stated and len(known) <= MAX_CHANGES:
        documents.store(row, key, known)
    return known


def _change(item: JSON) -> JSON | None:
    commit = item.get("lastCommit")
    if not isinstance(commit, dict) or not is_commit(commit.get("id")):
        return None
    title, date = commit.get("title"), commit.get("date")
    if not isinstance(title, str) or not isinstance(date, str) or moment(date) is None:
        return None
    return {"id": commit["id"], "title": title[:500], "date": date}
