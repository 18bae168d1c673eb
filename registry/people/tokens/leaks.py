"""Access tokens of this hub that leaked: recognised in files, and revoked at once; their owners are alerted."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping

from registry.kernel import outbox, seams
from registry.kernel.outbox import Kind
from registry.kernel.seams import TokenKind
from registry.models import Repository, Revision, Token
from registry.people.tokens import tokens

MAX_CANDIDATES = 1000  # of one text
MAX_IN_ALL = 10_000  # of all files of a push together, which holds the repository's lock
BATCH = 500  # values that one query asks for: SQLite takes a limited number
MAX_NAMED = 20  # files that the event names
_OF_PEOPLE = rb"\b(?:dvt|hf)_[A-Za-z0-9_]{8,200}\b"
_STORING = ("q", "r")  # instructions of a pickle, BINPUT and LONG_BINPUT, which follow a text without a gap


def candidates(content: bytes) -> set[str]:
    """Return the parts of a file that look like tokens of this hub, of people, robots or features."""
    pattern = b"|".join((_OF_PEOPLE, *(kind.pattern for kind in _kinds())))
    values = {value.decode() for value in re.findall(pattern, content)[:MAX_CANDIDATES]}
    return values | {value[:-1] for value in values if value.endswith(_STORING)}


def revoke_in(found: Mapping[str, set[str]], repository: Repository, revision: Revision) -> list[str]:
    """Revoke those of the candidates in files (path → candidates) of a revision that work; return the paths of these.

    Call it in a transaction. Two queries for up to BATCH candidates, none without one.
    """
    values = sorted(set().union(*found.values()))[:MAX_IN_ALL]
    working = _working(values) if values else set()
    files = sorted(path for path, values in found.items() if values & working)
    if files:
        _revoke(working, repository, revision=revision.oid, files=files[:MAX_NAMED])
    return files


def revoke_values(values: Collection[str]) -> None:
    """Revoke leaked tokens; anyone who knows a value may, and learns nothing by trying."""
    if working := _working(values):
        _revoke(working, None)


def _working(values: Iterable[str]) -> set[str]:
    """Return those of these values that are tokens of this hub."""
    by_digest = {tokens.digest(value): value for value in values}
    known: set[str] = set()
    digests = list(by_digest)
    for start in range(0, len(digests), BATCH):
        for table in (Token.objects.all(), *(kind.rows() for kind in _kinds())):
            known.update(table.filter(sha256__in=digests[start : start + BATCH]).values_list("sha256", flat=True))
    return {by_digest[sha256] for sha256 in known}


def _revoke(values: Collection[str], repository: Repository | None, **where: object) -> None:
    """Revoke tokens, and record the event from which moderators and the owners of the tokens learn of it."""
    digests = [tokens.digest(value) for value in values]
    people = Token.objects.filter(sha256__in=digests).order_by("pk").values_list("name", "user")
    revoked = [{"name": name, "owner": owner} for name, owner in people]
    tokens.revoke_values(values)
    for kind in _kinds():
        names = kind.rows().filter(sha256__in=digests).order_by("pk").values_list("name", flat=True)
        revoked += [{"name": name, "owner": None} for name in names]
        kind.revoke_values(values)
    outbox.record(Kind.TOKENS_LEAKED, repository, None, tokens=revoked, **where)


def _kinds() -> Iterator[TokenKind]:
    return (kind for feature in seams.joined() for kind in feature.tokens)
