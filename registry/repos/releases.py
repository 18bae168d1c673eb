"""Reads releases: all of a repository by precedence, one by its tag, and the latest stable one."""

from django.db.models import Q, QuerySet

from registry.kernel import policy
from registry.kernel.errors import ReleaseNotFound
from registry.kernel.policy import Caller
from registry.kernel.texts import semver
from registry.kernel.texts.cursors import Page
from registry.models import Release, Repository
from registry.repos import refs
from registry.sql.prepared import Prepared

LATEST = "latest"  # no tag of a release has this name


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
    elif semver.is_version(tag):
        release = _shown(repository, by).filter(ref__name=refs.TAGS + tag).first()
    if release is None:
        noun = "stable release" if tag == LATEST else f"release {tag[: refs.MAX_REF_NAME]!r}"
        raise ReleaseNotFound(f"{repository.full_name} has no {noun}.")
    return _of(repository, release)


def latest(repository: Repository) -> Release | None:
    """Return the highest version that is no pre-release, and whose revision is neither held back nor yanked."""
    release = _LATEST.first(repository.pk)
    return release and _of(repository, release)


_LATEST = Prepared(
    lambda repository: _rows(repository).filter(
        is_prerelease=False, ref__revision__quarantined_at=None, ref__revision__yanked_at=None
    )[:1],
    int,
)


def _rows(repository: Repository | int) -> QuerySet[Release]:
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
