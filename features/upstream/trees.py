"""The files of a commit of another hub, as its tree lists them; every word of it is checked before it is kept."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from features.upstream import asking, documents
from features.upstream.errors import UpstreamUnavailable, UpstreamWrong
from features.upstream.models import UpstreamRepository
from registry.kernel.errors import PathInvalid
from registry.kernel.texts import names
from registry.repos import refs
from registry.repos.manifest import Entry

PAGE, MAX_PAGES = 1000, 50
MAX_FILES = PAGE * MAX_PAGES
MAX_SIZE = 1 << 50
Row = tuple[str, str, int, bool, str]  # the fields of an Entry


def entries(repository: UpstreamRepository, oid: str) -> dict[str, Entry]:
    """Return path → entry of every file. Of a small file that was not fetched yet the sha256 is not known, and empty.

    Raises UpstreamUnavailable and UpstreamWrong.
    """
    return {row[0]: Entry(*row) for row in _rows(repository, oid)}


def _rows(repository: UpstreamRepository, oid: str) -> tuple[Row, ...]:
    known = _KNOWN.get((repository.pk, oid))
    if known is None:
        key = documents.key_of("tree", oid)
        value = documents.lasting(repository, key, lambda: list(_fetched(repository, oid)))
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


MAX_KNOWN = 64
_KNOWN: dict[tuple[int, str], tuple[Row, ...]] = {}  # of this process: parsing a long tree takes milliseconds
