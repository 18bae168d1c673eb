"""Branches, tags and pull-request refs: which names they may have, and how they are made, listed and deleted."""

import re
from collections.abc import Iterable

from django.db import IntegrityError, transaction

from registry.kernel import policy
from registry.kernel.errors import QuotaExceeded, RefExists, RefProtected, RevisionNotFound, ValueInvalid
from registry.kernel.policy import Caller, Permission
from registry.models import Ref, Repository, Revision
from registry.talk import webhooks

MAIN = "refs/heads/main"
VERIFIED = "refs/verified"  # the newest revision of main that passed; only verdicts move it
BRANCHES, TAGS, PULL_REQUESTS = "refs/heads/", "refs/tags/", "refs/pr/"

MAX_REF_NAME = 200
MAX_REFS = 5_000  # branches and tags of an adapter: every page of it reads all their names
# What git refuses in a name, and control characters; see `git help check-ref-format`.
_UNLIKE_A_REF = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|\.lock(/|$)|^[./@-]|[./]$")
_LIKE_A_COMMIT = re.compile(r"[0-9a-fA-F]{40}")
_MEANS_SOMETHING = frozenset({"head", "verified", "none", "refs"})


def check_ref_name(name: str) -> str:
    """Return the name of a branch or tag, or raise ValueInvalid."""
    mistaken = name.lower() in _MEANS_SOMETHING or name.startswith("refs/") or _LIKE_A_COMMIT.fullmatch(name)
    if not name or len(name) > MAX_REF_NAME or not name.isprintable() or _UNLIKE_A_REF.search(name) or mistaken:
        raise ValueInvalid(
            f"Invalid rev id: {name[:MAX_REF_NAME]!r} cannot name a branch or a tag.",
            fix="Use letters, digits, `-`, `_`, `.` and `/`; not `verified`, `HEAD`, or something like a commit id.",
        )
    return name


def full_name(rev: str) -> str:
    """Return the ref that a push to `rev` means: a branch, or a ref spelled out such as refs/pr/1."""
    return rev if rev.startswith("refs/") else MAIN if rev == "HEAD" else BRANCHES + rev


def head(repository: Repository, ref: str) -> Revision:
    """Return what the ref points at. Raises RevisionNotFound."""
    found = repository.refs.filter(name=ref).select_related("revision__parent", "revision__author").first()
    if found is None:
        raise missing(short(ref))
    return found.revision


def heads(adapters: Iterable[Repository]) -> dict[int, Revision]:
    """Return what main of each adapter points at, by the adapters' row ids, in one query."""
    mains = Ref.objects.filter(repository__in=adapters, name=MAIN).select_related("revision")
    return {ref.repository_id: ref.revision for ref in mains}


def check_pushable(ref: str) -> None:
    """Raise RefProtected unless pushes move this ref: a tag stays where it was set, and verdicts move `verified`."""
    if not ref.startswith((BRANCHES, PULL_REQUESTS)):
        raise RefProtected(f"Cannot push to {short(ref)}: it is no branch.", fix="Push to a branch, such as main.")


def missing(rev: str, repository: Repository | None = None) -> RevisionNotFound:
    """The refusal for a revision that is not there; `Invalid rev id` is what the Hub's clients show."""
    if repository and rev in ("verified", VERIFIED) and repository.type == Repository.Type.MODEL:
        return RevisionNotFound(
            f"No version of {repository.full_name} has passed yet, so that none is `verified`.",
            fix=f"`dovetail verdict {repository.full_name}` says why; main is what was pushed last.",
        )
    return RevisionNotFound(f"Invalid rev id: {rev[:MAX_REF_NAME]}.")


def short(ref: str) -> str:
    """Return the name people use: main for refs/heads/main, v1 for refs/tags/v1."""
    return ref.removeprefix(BRANCHES) if ref.startswith(BRANCHES) else ref.removeprefix(TAGS)


def list_all(repository: Repository) -> Iterable[Ref]:
    """Return every ref by name, with its revision, in one query."""
    return repository.refs.select_related("revision").order_by("name")


def create(repository: Repository, ref: str, at: Revision, by: Caller) -> Ref:
    """Make a branch (refs/heads/…) or tag (refs/tags/…) at a revision.

    Raises ValueInvalid, RefExists, QuotaExceeded, and what policy.require raises for PUSH.
    """
    try:
        with transaction.atomic():
            policy.require_now(
                by, Permission.PUSH, repository
            )  # locks: whoever rewrites history moves every ref with it
            check_ref_name(short(ref))
            _require_place(repository)
            made = Ref.objects.create(repository=repository, name=ref, revision=at)
            _announce(repository, ref, None, at)
            return made
    except IntegrityError:
        raise RefExists(f"Reference {ref} already exists.") from None


def _require_place(repository: Repository) -> None:
    if repository.refs.exclude(name__startswith=PULL_REQUESTS).count() >= MAX_REFS:
        raise QuotaExceeded(f"{repository.full_name} has {MAX_REFS:,} branches and tags.", fix="Delete some first.")


def delete(repository: Repository, ref: str, by: Caller) -> None:
    """Delete a branch or tag; its revisions stay, by their ids. Raises RefProtected for main, RevisionNotFound."""
    with transaction.atomic():
        policy.require_now(by, Permission.PUSH, repository)
        if ref == MAIN:
            raise RefProtected(f"Cannot delete {ref}: it is in every adapter.", fix="Delete that, or push over it.")
        old = head(repository, ref)
        Ref.objects.filter(repository=repository, name=ref).delete()
        _announce(repository, ref, old, None)


def _announce(repository: Repository, ref: str, old: Revision | None, new: Revision | None) -> None:
    moved = {"ref": ref, "oldSha": old.oid if old else None, "newSha": new.oid if new else None}
    webhooks.announce(repository, "update", "repo.content", updatedRefs=[moved])
