"""Weights that were withdrawn and pushed again: the yanked revision that holds the same ones as another revision.

Nothing is refused for that. A yank may be about a card or a config, so its reason is shown, and readers decide.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from django.db.models import Q, Subquery

from registry.kernel.policy import Caller
from registry.models import Revision, RevisionFile
from registry.repos import digests, pull
from registry.repos.manifest import Entry
from registry.sql.prepared import Prepared


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """A weight file of a revision, and the place of the same weights in a yanked one."""

    path: str
    place: RevisionFile

    @property
    def revision(self) -> Revision:
        """The yanked revision."""
        return self.place.revision


def find(revision: Revision, entries: Mapping[str, Entry], by: Caller) -> Withdrawn | None:
    """Return the last yanked revision that the caller may see and whose weights this one holds.

    Two queries where there is none, as of most, and three where there is one.

    Weights are the same with the same bytes or the same tensors. The yanked revision is of the same owner, or older
    than these weights are in this repository: else strangers could copy weights, yank the copy, and have their reason
    shown on the page of the original. None for a revision that is yanked itself.
    """
    paths = {entry.sha256: entry.path for entry in digests.weight_files(entries)}
    if revision.is_yanked or not paths:
        return None
    equal, repository = digests.equal_files(paths), revision.repository
    if not _YANKED.first(*sorted(equal)):
        return None
    here = RevisionFile.objects.filter(blob__in=equal, revision__repository=repository)
    oldest = here.order_by("revision__created_at", "revision")
    since, first = (Subquery(oldest.values(column)[:1]) for column in ("revision__created_at", "revision"))
    is_older = Q(revision__created_at__lt=since) | Q(revision__created_at=since, revision__lt=first)  # whole seconds
    may_say = Q(revision__repository__namespace=repository.namespace_id) | is_older
    yanked = (
        pull.listable(by).filter(may_say, blob__in=equal, revision__yanked_at__isnull=False).exclude(revision=revision)
    )
    place = yanked.select_related("revision__repository__namespace").order_by("-revision__yanked_at", "path").first()
    return Withdrawn(paths[equal[place.blob_id]], place) if place else None


_YANKED = Prepared(
    lambda *files: (
        RevisionFile.objects.filter(blob__in=files, revision__yanked_at__isnull=False).order_by().values_list("pk")[:1]
    ),
    str,
)
