"""JSON answers of other hubs, kept: those about a commit, such as its tree, for ever, those about a name for a while.

When a hub fails, what it said last is still good: a document that is too old is better than none. Every word of a tree
is checked before it is kept.
"""

import gzip
import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from django.conf import settings
from django.core.cache import cache
from django.db.models import BooleanField, ExpressionWrapper, Q
from django.utils import timezone

from features.upstream import asking
from features.upstream.asking import UpstreamUnavailable, UpstreamWrong
from features.upstream.models import UpstreamDocument, UpstreamRepository
from registry.kernel.errors import PathInvalid
from registry.kernel.texts import names
from registry.repos import refs
from registry.repos.manifest import Entry

MAX_DOCUMENTS = 500  # of one repository; pages of histories go first, then what nobody read for longest
USED_SECONDS = 3600
MAIN = "rev:main"
OF_A_COMMIT = ("info", "tree", "changes")  # used together, so kept together
REFRESH_SECONDS = 20  # within which one request asks again, and the others take what is here
MAX_KEY = 400
PAGE, MAX_PAGES = 1000, 50
MAX_FILES = PAGE * MAX_PAGES
MAX_SIZE = 1 << 50
Row = tuple[str, str, int, bool, str]  # the fields of an Entry
MAX_KNOWN = 64
_KNOWN: dict[tuple[int, str], tuple[Row, ...]] = {}  # trees, of this process: parsing a long one takes milliseconds


def key_of(*parts: str) -> str:
    """Return a key of bounded length for these words."""
    text = ":".join(parts)
    return text if len(text) <= MAX_KEY else f"{parts[0]}:{hashlib.sha256(text.encode()).hexdigest()}"


def stored(repository: UpstreamRepository, key: str) -> Any:
    """Return a document that is here, however old; None if it is not."""
    row = repository.documents.filter(key=key).first()
    return None if row is None else _read(row)


def store(repository: UpstreamRepository, key: str, value: Any) -> Any:
    """Keep a document, and return it."""
    body = gzip.compress(json.dumps(value, separators=(",", ":")).encode(), 3, mtime=0)
    now = timezone.now()
    defaults = {"body": body, "asked_at": now, "read_at": now}
    _, is_new = repository.documents.update_or_create(key=key, defaults=defaults)
    if is_new and repository.documents.count() > MAX_DOCUMENTS:
        _make_room(repository)
    return value


def _make_room(repository: UpstreamRepository) -> None:
    """Drop a tenth, and nothing of main: readers choose what else they ask for, pages of histories above all."""
    main = repository.documents.filter(key=MAIN).first()
    kept = {MAIN, *(f"{kind}:{_unpacked(main)}" for kind in OF_A_COMMIT if main)}
    others = ExpressionWrapper(~Q(key__startswith="commits:"), BooleanField())
    oldest = repository.documents.exclude(key__in=kept).order_by(others, "read_at", "pk")
    repository.documents.filter(pk__in=list(oldest.values_list("pk", flat=True)[: MAX_DOCUMENTS // 10])).delete()


def lasting(repository: UpstreamRepository, key: str, fetch: Callable[[], Any]) -> Any:
    """Return a document that never changes; `fetch` is called once."""
    value = stored(repository, key)
    return store(repository, key, fetch()) if value is None else value


def passing(repository: UpstreamRepository, key: str, fetch: Callable[[], Any]) -> Any:
    """Return a document that is younger than DOVETAIL_UPSTREAM_REFS_TTL, asked for again if need be.

    An older one is returned while the other hub fails, while another request asks, and offline.
    """
    row = repository.documents.filter(key=key).first()
    if row is None:
        if settings.UPSTREAM.offline:
            raise UpstreamUnavailable(f"This of {repository.full_name} was never read here, and this hub is offline.")
        return store(repository, key, fetch())
    age = timezone.now() - row.asked_at
    is_fresh = age < timedelta(seconds=settings.UPSTREAM.refs_seconds)
    if is_fresh:
        return _read(row)
    if not settings.UPSTREAM.offline and cache.add(f"upstream:asking:{row.pk}", 1, REFRESH_SECONDS):
        try:
            with asking.impatiently():
                return store(repository, key, fetch())
        except (UpstreamUnavailable, UpstreamWrong):
            pass  # what it said before is here
        finally:
            cache.delete(f"upstream:asking:{row.pk}")
    _note_stale(age)
    return _read(row)


def _read(row: UpstreamDocument) -> Any:
    """Return what a row holds; about once an hour it notes that it, and what else is kept of its commit, was read."""
    now, word = timezone.now(), row.key.partition(":")[2]
    if now - row.read_at > timedelta(seconds=USED_SECONDS):
        keys = {row.key, *(f"{kind}:{word}" for kind in OF_A_COMMIT)}
        UpstreamDocument.objects.filter(repository=row.repository_id, key__in=keys).update(read_at=now)
    return _unpacked(row)


def _unpacked(row: UpstreamDocument) -> Any:
    return json.loads(gzip.decompress(bytes(row.body)))


# --- answers that should have been asked again ---
_ages: ContextVar[list[timedelta] | None] = ContextVar("stale", default=None)


@contextmanager
def stale_ages() -> Iterator[list[timedelta]]:
    """Collect the ages of stale answers that are used meanwhile."""
    ages: list[timedelta] = []
    token = _ages.set(ages)
    try:
        yield ages
    finally:
        _ages.reset(token)


def _note_stale(age: timedelta) -> None:
    """Say that an answer of this age was used."""
    ages = _ages.get()
    if ages is not None:
        ages.append(age)


def tree_entries(repository: UpstreamRepository, oid: str) -> dict[str, Entry]:
    """Return path → entry of every file. Of a small file that was not fetched yet the sha256 is not known, and empty.

    Raises UpstreamUnavailable and UpstreamWrong.
    """
    return {row[0]: Entry(*row) for row in _rows(repository, oid)}


def _rows(repository: UpstreamRepository, oid: str) -> tuple[Row, ...]:
    known = _KNOWN.get((repository.pk, oid))
    if known is None:
        key = key_of("tree", oid)
        value = lasting(repository, key, lambda: list(_fetched(repository, oid)))
        known = tuple((path, sha256, size, is_lfs, git_oid) for path, sha256, size, is_lfs, git_oid in value)
        if len(_KNOWN) >= MAX_KNOWN:
            _KNOWN.clear()
        _KNOWN[repository.pk, oid] = known
    return known


def _fetched(repository: UpstreamRepository, oid: str) -> Iterator[Row]:
    if not asking.may_ask():
        raise UpstreamUnavailable(f"{oid} of {repository.full_name} was never read here, and this hub is offline.")
    query = {"recursive": "true", "expand": "false", "limit": str(PAGE)}
    seen: set[str] = set()
    too_many = UpstreamWrong(f"{repository.full_name} has more than {MAX_FILES:,} files.")
    for _ in range(MAX_PAGES):
        reply = asking.ask_about(repository, f"/tree/{oid}?{urlencode(query)}")
        if reply.status != 200 or not isinstance(reply.value, list):
            raise UpstreamWrong(f"{repository.origin} does not list the files of {repository.full_name}.")
        for item in reply.value:
            if row := _checked(repository, item):
                if row[0] in seen:
                    raise UpstreamWrong(f"{repository.origin} lists a file of {repository.full_name} twice.")
                if len(seen) == MAX_FILES:  # pages may be longer than asked for
                    raise too_many
                seen.add(row[0])
                yield row
        following = next_page(reply.link)
        if not following:
            return
        query |= following
    raise too_many


def next_page(link: str) -> dict[str, str]:
    """Return what names the next page in a Link header, nothing on the last; the address itself is not believed.

    Raises UpstreamWrong.
    """
    if 'rel="next"' not in link:
        return {}
    try:
        query = parse_qs(urlsplit(link.partition("<")[2].partition(">")[0]).query)
    except ValueError:
        raise UpstreamWrong("The other hub names a next page whose address cannot be read.") from None
    return {key: query[key][0][:2000] for key in ("cursor", "p") if key in query}


def _checked(repository: UpstreamRepository, item: Any) -> Row | None:
    """Return a file as it is kept, None for a folder. Raises UpstreamWrong."""
    wrong = UpstreamWrong(f"{repository.origin} lists a file of {repository.full_name} that cannot be.")
    if not isinstance(item, dict):
        raise wrong
    if item.get("type") == "directory":
        return None
    path, size, oid, lfs = item.get("path"), item.get("size"), item.get("oid"), item.get("lfs")
    if not isinstance(path, str) or not isinstance(size, int) or not _is_hex(oid, 40) or not 0 <= size <= MAX_SIZE:
        raise wrong
    try:
        names.check_path(path)
    except PathInvalid:
        raise wrong from None
    if not lfs:
        return path, "", size, False, str(oid)
    if not isinstance(lfs, dict) or not _is_hex(lfs.get("oid"), 64) or lfs.get("size", size) != size:
        raise wrong
    return path, lfs["oid"], size, True, str(oid)


def _is_hex(value: object, length: int) -> bool:
    return isinstance(value, str) and len(value) == length and refs.HEX.issuperset(value)
