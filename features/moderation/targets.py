"""The targets of abuse reports: found by the id that a caller gave, if that caller may see them."""

import hashlib
from dataclasses import dataclass

from registry.kernel.errors import CommentNotFound, DiscussionNotFound, NamespaceNotFound, ValueInvalid
from registry.kernel.policy import Caller, Permission
from registry.models import Case, Discussion, DiscussionEvent, Namespace, Repository, Revision, User
from registry.people import accounts
from registry.repos import lookup, pull

Kind = Case.Target


@dataclass(frozen=True)
class Target:
    """One thing that can be reported: the rows that it is made of, and its name for people."""

    kind: Case.Target
    label: str
    repository: Repository | None = None
    revision: Revision | None = None
    path: str = ""
    discussion: Discussion | None = None
    comment: DiscussionEvent | None = None
    namespace: Namespace | None = None

    @property
    def key(self) -> str:
        """The text by which reports of the same thing are merged."""
        row = self.comment or self.discussion or self.revision or self.repository or self.namespace
        assert row is not None, "a target is about some row"
        where = f":{hashlib.sha256(self.path.encode()).hexdigest()[:32]}" if self.path else ""
        return f"{self.kind}:{row.pk}{where}"


def find(kind: str, id: str, by: Caller) -> Target:
    """Return the target of that kind and id; see docs/moderation.md for how ids are written.

    Raises ValueInvalid for an id that names nothing of this kind, and the refusal of a missing thing for what does not
    exist or the caller may not see.
    """
    if kind not in Kind.values:
        raise ValueInvalid(f"Items of type {kind!r} cannot be reported.", fix=f"Use one of {', '.join(Kind.values)}.")
    if kind in (Kind.PERSON, Kind.ORGANIZATION):
        return _namespace(Kind(kind), id, by)
    full_name, mark, rest = _split(id)
    repository = _repository(full_name, by)
    if kind == Kind.REPOSITORY:
        return of_repository(repository)
    if kind in (Kind.REVISION, Kind.FILE):
        rev, _, path = rest.partition(":") if mark == "@" else ("main", "", "")
        return _revision(Kind(kind), repository, rev or "main", path, by)
    return _discussion(Kind(kind), repository, rest if mark == "#" else "")


def _repository(full_name: str, by: Caller) -> Repository:
    """Return the repository of `ns/name`, `datasets/ns/name` or `spaces/ns/name`, if the caller may see it."""
    for prefix, type in (("datasets/", Repository.Type.DATASET), ("spaces/", Repository.Type.SPACE)):
        if full_name.startswith(prefix):
            return lookup.find(full_name.removeprefix(prefix), by, Permission.READ, type=type)
    return lookup.find(full_name, by)


def _split(id: str) -> tuple[str, str, str]:
    """Return the repository's id, `@` or `#`, and what follows; a file's path may hold both signs."""
    marks = [position for mark in "@#" if (position := id.find(mark)) >= 0]
    at = min(marks, default=len(id))
    return id[:at], id[at : at + 1], id[at + 1 :]


def of_repository(repository: Repository) -> Target:
    """Return a repository as a target."""
    return Target(Kind.REPOSITORY, repository.full_name, repository=repository, namespace=repository.namespace)


def of_revision(revision: Revision) -> Target:
    """Return a revision as a target."""
    repository = revision.repository
    label = f"{repository.full_name}@{revision.oid}"
    return Target(Kind.REVISION, label, repository=repository, revision=revision, namespace=repository.namespace)


def _revision(kind: Case.Target, repository: Repository, rev: str, path: str, by: Caller) -> Target:
    revision = pull.resolve(repository, rev)
    pull.require_shown(revision, by)
    if kind == Kind.REVISION:
        return of_revision(revision)
    entry = pull.find_file(revision, path)
    label = f"{repository.full_name}@{revision.oid[:12]}:{entry.path}"[:400]
    return Target(
        kind, label, repository=repository, revision=revision, path=entry.path, namespace=repository.namespace
    )


def _discussion(kind: Case.Target, repository: Repository, rest: str) -> Target:
    number, _, comment = rest.partition(":")
    discussion = repository.discussions.filter(number=number).first() if _is_number(number) else None
    if discussion is None:
        raise DiscussionNotFound(f"{repository.full_name} has no discussion #{number[:20]}.")
    if kind == Kind.DISCUSSION:
        return Target(
            kind, str(discussion), repository=repository, discussion=discussion, namespace=repository.namespace
        )
    rows = discussion.events.filter(kind=DiscussionEvent.Kind.COMMENT, hidden=False)
    row = rows.filter(pk=int(comment)).first() if _is_number(comment) else None
    if row is None:
        raise CommentNotFound(f"{discussion} has no comment {comment[:20]!r}.")
    return Target(
        kind,
        f"{discussion}, comment of {row.author.username}",
        repository=repository,
        discussion=discussion,
        comment=row,
        namespace=repository.namespace,
    )


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10


def _namespace(kind: Case.Target, name: str, by: Caller) -> Target:
    namespace = accounts.get_namespace(name)
    is_person = namespace.kind == Namespace.Kind.PERSON
    is_hidden = is_person and not namespace.person.is_active and not by.is_staff
    if is_person != (kind == Kind.PERSON) or is_hidden:
        raise NamespaceNotFound(f"There is no {kind} {name!r}.")
    return of_namespace(namespace)


def of_namespace(namespace: Namespace) -> Target:
    """Return a person or an organisation as a target."""
    is_person = namespace.kind == Namespace.Kind.PERSON
    return Target(Kind.PERSON if is_person else Kind.ORGANIZATION, namespace.name, namespace=namespace)


def responsible(case: Case) -> User | None:
    """Return the person who wrote, pushed or made what a case is about; None for an organisation.

    For a machine answers the person for whom it works.
    """
    author = _author(case)
    return getattr(author.works_for, "person", None) if author is not None and author.is_machine else author


def _author(case: Case) -> User | None:
    if case.comment is not None:
        return case.comment.author
    if case.discussion is not None:
        return case.discussion.author
    if case.revision is not None:
        return case.revision.author
    if case.repository is not None:
        return case.repository.created_by
    if case.namespace is not None and case.namespace.kind == Namespace.Kind.PERSON:
        return case.namespace.person
    return None
