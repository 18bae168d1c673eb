"""Make, edit, delete and read releases: tags that are semantic versions, with a title and notes.

A release is made of a revision that passed; another one needs force. Its tag resolves on every wire as any tag does,
and by it the revision keeps its files, whatever a rule of retention says.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from features.releases.models import MAX_NOTES, MAX_TITLE, Release
from registry.kernel import audit, outbox, policy, refusals
from registry.kernel.errors import Conflict, Missing, RefExists, RefProtected, ValueInvalid
from registry.kernel.outbox import Kind
from registry.kernel.policy import Caller, Permission
from registry.kernel.seams import Feature
from registry.kernel.texts import names
from registry.kernel.texts.cursors import Page
from registry.models import Ref, Repository, Revision
from registry.publish import branches
from registry.repos import eligibility, pull, refs
from registry.repos.eligibility import is_proven

MAX_VERSION = 64  # characters
_NUMBER = r"(0|[1-9]\d*)"
_IDENTIFIER = r"(?:0|[1-9]\d*|\d*[A-Za-z-][0-9A-Za-z-]*)"  # a number has no zeros before it
_VERSION = re.compile(
    rf"v?{_NUMBER}\.{_NUMBER}\.{_NUMBER}(?:-({_IDENTIFIER}(?:\.{_IDENTIFIER})*))?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?",
    re.ASCII,
)
# The first byte of each part of a key. A version that ends sorts before one that goes on, numbers before words.
_END, _AS_NUMBER, _AS_WORD, _STABLE = b"\x00", b"\x01", b"\x02", b"\x03"


@dataclass(frozen=True, slots=True)
class Version:
    """A version as it was written, `v` and build metadata included; its numbers and identifiers are digits or words."""

    text: str
    numbers: tuple[str, ...]  # major, minor, patch
    prerelease: tuple[str, ...]

    @property
    def is_prerelease(self) -> bool:
        return bool(self.prerelease)

    @property
    def precedence(self) -> bytes:
        """A key whose order, byte by byte, is the precedence of SemVer (section 11); build metadata does not count."""
        core = b"".join(map(_number, self.numbers))
        if not self.prerelease:
            return core + _STABLE
        return core + b"".join(map(_identifier, self.prerelease)) + _END


def is_version(text: str) -> bool:
    """Return whether a text is a semantic version that may have a `v` before it."""
    return _match(text) is not None


def parse(text: str) -> Version:
    """Return the version that a text such as `v1.2.0` or `1.2.0-rc.1` is. Raises ValueInvalid."""
    match = _match(text)
    if match is None:
        raise ValueInvalid(
            f"{text[:MAX_VERSION]!r} is not a semantic version.",
            fix=f"Use three numbers without leading zeros, such as `v1.2.0` or `v1.2.0-rc.1`; {MAX_VERSION} characters "
            "at most.",
            field="tag",
        )
    *numbers, prerelease = match.groups()
    return Version(text, tuple(numbers), tuple(prerelease.split(".")) if prerelease else ())


def _match(text: str) -> re.Match[str] | None:
    return _VERSION.fullmatch(text) if len(text) <= MAX_VERSION else None


def _number(digits: str) -> bytes:
    """A number of any size: more digits are more, equally many compare as text."""
    return bytes([len(digits)]) + digits.encode()


def _identifier(identifier: str) -> bytes:
    return _AS_NUMBER + _number(identifier) if identifier.isdigit() else _AS_WORD + identifier.encode() + _END


LATEST = "latest"  # no tag of a release has this name


class ReleaseNotFound(Missing):
    code = "release-not-found"


class ReleaseRefused(Conflict):
    """The revision has not passed, and `force` is not given; or it is yanked."""

    code = "release-refused"
    default_fix = "Choose a version that passed, such as `verified`, or force it."


def revision_for(repository: Repository, tag: str, named: str, by: Caller) -> Revision:
    """Return the revision of a new release: the named one, else that of the tag, else `verified`.

    Of what has no verdicts it is main in place of `verified`. Raises ValueInvalid for the tag, and RevisionNotFound.
    """
    parse(tag)
    if not named:
        is_tag = repository.refs.filter(name=refs.TAGS + tag).exists()
        named = refs.TAGS + tag if is_tag else "verified" if _has_verdicts(repository) else "main"
    revision = pull.resolve(repository, named)
    pull.require_shown(revision, by)
    return revision


def create(
    repository: Repository,
    tag: str,
    revision: Revision,
    by: Caller,
    *,
    title: str = "",
    notes: str = "",
    is_prerelease: bool = False,
    force: bool = False,
) -> Release:
    """Make a release of a revision, and its tag unless that is there and names the same revision.

    A version such as `v1.0.0-rc.1` is a pre-release by its name. Raises ValueInvalid for the tag and the texts,
    RefExists for a release of this tag or a tag of another revision, ReleaseRefused for a yanked revision and without
    `force` for one of an adapter that has not passed, RepositoryQuarantined, FilesExpired, QuotaExceeded, and what
    policy.require raises for PUSH.
    """
    version = parse(tag)
    title, notes = _check_texts(title, notes)
    with transaction.atomic():
        repository = policy.require_now(by, Permission.PUSH, repository)
        revision = _choose(repository, revision)
        is_forced = _has_verdicts(repository) and not is_proven(revision)
        if is_forced and not force:
            why_not = eligibility.of_revision(revision).reason
            problem = f"is not known to work: {why_not}" if why_not else "has not passed."
            raise ReleaseRefused(f"Revision {revision.oid} of {repository.full_name} {problem}")
        release = Release(
            repository=repository,
            ref=_ref(repository, version, revision, by),
            precedence=version.precedence,
            title=title,
            notes=notes,
            is_prerelease=is_prerelease or version.is_prerelease,
            is_forced=is_forced,
            created_by=by.user,
        )
        release.save()
        _log(by, "release:create", release, after={"revision": revision.oid, **_readable(release)})
        _announce(Kind.RELEASE_CREATED, release, by)
    return release


def edit(
    repository: Repository,
    tag: str,
    by: Caller,
    *,
    title: str | None = None,
    notes: str | None = None,
    is_prerelease: bool | None = None,
) -> bool:
    """Change what is given of a release; return whether anything changed. Its tag and its revision never change.

    Raises ReleaseNotFound, ValueInvalid, and what policy.require raises for PUSH.
    """
    with transaction.atomic():
        repository = policy.require_now(by, Permission.PUSH, repository)
        release = find(repository, tag, by)
        before = _readable(release)
        release.title, release.notes = _check_texts(
            release.title if title is None else title, release.notes if notes is None else notes
        )
        if is_prerelease is not None:
            release.is_prerelease = _check_prerelease(release.tag, is_prerelease)
        if _readable(release) == before:
            return False
        release.edited_at = timezone.now()
        release.save(update_fields=["title", "notes", "is_prerelease", "edited_at"])
        _log(by, "release:edit", release, before=before, after=_readable(release))
        _announce(Kind.RELEASE_EDITED, release, by)
    return True


def delete(repository: Repository, tag: str, by: Caller, *, keep_tag: bool = True) -> None:
    """Delete a release, and its tag too unless that is kept. Raises ReleaseNotFound, and as policy.require for PUSH."""
    with transaction.atomic():
        repository = policy.require_now(by, Permission.PUSH, repository)
        release = find(repository, tag, by)
        _log(by, "release:delete", release, before={"revision": release.ref.revision.oid, **_readable(release)})
        _announce(Kind.RELEASE_DELETED, release, by)
        ref = release.ref.name
        release.delete()
        if not keep_tag:
            branches.delete_ref(repository, ref, by)


def _check_texts(title: str, notes: str) -> tuple[str, str]:
    return names.check_text(title, "title", MAX_TITLE), names.check_text(notes, "notes", MAX_NOTES)


def _check_prerelease(tag: str, is_prerelease: bool) -> bool:
    if parse(tag).is_prerelease and not is_prerelease:
        raise ValueInvalid(
            f"{tag} is named as a pre-release.",
            fix="Use a final version, such as v1.2.0, for a release.",
            field="prerelease",
        )
    return is_prerelease


def _has_verdicts(repository: Repository) -> bool:
    return repository.type == Repository.Type.MODEL


def _choose(repository: Repository, revision: Revision) -> Revision:
    """Return the current row of a revision of which a release may be made."""
    current = Revision.objects.filter(pk=revision.pk, repository=repository).first()
    if current is None:
        raise refs.revision_not_found(revision.oid)
    current.repository = repository
    if current.is_quarantined:
        raise refusals.quarantined_revision(current)
    if current.is_expired:
        raise refusals.files_expired(current)
    if current.is_yanked:
        raise ReleaseRefused(
            f"Revision {current.oid} of {repository.full_name} is yanked: {current.yank_reason}",
            fix="Choose another version.",
        )
    return current


def _ref(repository: Repository, version: Version, revision: Revision, by: Caller) -> Ref:
    """Return the tag of a release that is made now: a new one, or one that names this revision."""
    existing = Ref.objects.filter(repository=repository, name=refs.TAGS + version.text).first()
    if existing is None:
        return branches.create_ref(repository, refs.TAGS + version.text, revision, by)
    if existing.revision_id != revision.pk:
        raise RefExists(
            f"{repository.full_name} already has a tag {version.text!r} for another version.",
            fix="Release the version that it points to, or choose another tag.",
        )
    if Release.objects.filter(ref=existing).exists():
        raise RefExists(
            f"{repository.full_name} already has a release {version.text!r}.",
            fix="Edit that release, or choose another version.",
        )
    return existing


def _readable(release: Release) -> dict[str, str | bool]:
    return {"title": release.title, "notes": release.notes, "prerelease": release.is_prerelease}


def _log(
    by: Caller,
    action: str,
    release: Release,
    *,
    before: Mapping[str, str | bool] | None = None,
    after: Mapping[str, str | bool] | None = None,
) -> None:
    name = f"{release.repository.full_name}@{release.tag}"
    audit.record(by.user, action, name, about=release.repository, before=before, after=after)


def _announce(kind: Kind, release: Release, by: Caller) -> None:
    outbox.record(
        kind,
        release.repository,
        by.user,
        tag=release.tag,
        title=release.title,
        prerelease=release.is_prerelease,
        revision=release.ref.revision.oid,
    )


def protect_tag(repository: Repository, ref: str) -> None:
    """Raise RefProtected for the tag of a release."""
    if repository.releases.filter(ref__name=ref).exists():
        raise RefProtected(
            f"{refs.short_name(ref)} is a release of {repository.full_name}.",
            fix="Delete the release; you can delete its tag with it.",
        )


# --- reading ---------------------------------------------------------------------------------------------------------
def listed(repository: Repository, by: Caller, *, below: int = 0, limit: int) -> Page[Release]:
    """Return a page of the releases that the caller may see, the highest version first, from below a release's id."""
    rows = _shown(repository, by)
    if below:
        last = Release.objects.filter(repository=repository, pk=below).values_list("precedence", flat=True).first()
        rows = rows.filter(Q(precedence__lt=last) | Q(precedence=last, pk__lt=below)) if last else rows.none()
    found = [_of(repository, row) for row in rows[: limit + 1]]
    return Page(found[:limit], str(found[limit - 1].pk) if len(found) > limit else "")


def newest(repository: Repository, by: Caller, limit: int) -> list[Release]:
    """Return the releases that the caller may see, the one made last first."""
    return [_of(repository, row) for row in _shown(repository, by).order_by("-pk")[:limit]]


def find(repository: Repository, tag: str, by: Caller) -> Release:
    """Return the release of a tag, or for `latest` the latest stable one. Raises ReleaseNotFound."""
    release = None
    if tag == LATEST:
        release = latest(repository)
    elif is_version(tag):
        release = _shown(repository, by).filter(ref__name=refs.TAGS + tag).first()
    if release is None:
        noun = "stable release" if tag == LATEST else f"release {tag[: refs.MAX_REF_NAME]!r}"
        raise ReleaseNotFound(f"{repository.full_name} has no {noun}.")
    return _of(repository, release)


def latest(repository: Repository) -> Release | None:
    """Return the highest version that is no pre-release, and whose revision is neither held back nor yanked."""
    good = {"ref__revision__quarantined_at": None, "ref__revision__yanked_at": None}
    release = _rows(repository).filter(is_prerelease=False, **good).first()
    return release and _of(repository, release)


def _rows(repository: Repository) -> QuerySet[Release]:
    return Release.objects.filter(repository=repository).select_related("ref__revision", "created_by")


def _shown(repository: Repository, by: Caller) -> QuerySet[Release]:
    """Return the releases without those of revisions that the caller may not see, because they are held back."""
    rows = _rows(repository)
    sees_all = by.is_staff or policy.may_write(by, repository)
    return rows if sees_all else rows.filter(ref__revision__quarantined_at=None)


def _of(repository: Repository, release: Release) -> Release:
    """Give the release the repository that is loaded already, with its namespace."""
    release.repository = release.ref.repository = release.ref.revision.repository = repository
    return release


FEATURE = Feature(before_ref_deleted=(protect_tag,))
