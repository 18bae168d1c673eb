"""The same weights elsewhere: copies in other repositories, and yanked revisions that hold those of another one.

Nothing is refused for either. A yank may be about a card or a config, so its reason is shown, and readers decide.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from django.db.models import Q, Subquery

from registry.kernel import seams
from registry.kernel.policy import Caller
from registry.models import Repository, Revision, RevisionFile
from registry.repos import digests, pull
from registry.repos.manifest import Entry

MAX_RELATIVES = 10


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """A weight file of a revision, and the place of the same weights in a yanked one."""

    path: str
    place: RevisionFile

    @property
    def revision(self) -> Revision:
        """The yanked revision."""
        return self.place.revision


def find_withdrawn(revision: Revision, entries: Mapping[str, Entry], by: Caller) -> Withdrawn | None:
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
    if not RevisionFile.objects.filter(blob__in=equal, revision__yanked_at__isnull=False).exists():
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


@dataclass(frozen=True, slots=True)
class Relative:
    """The newest revision of another repository that holds nearly the same weights.

    `cosine` is 1 for the same file; it has no sign, and a module that is elsewhere counts as 0 in it. Of files behind a
    gate that the caller has not passed it is rounded down to tenths, by which nobody can find out their weights step by
    step.
    """

    place: RevisionFile
    cosine: float
    is_copy: bool  # the same weights, perhaps under another scale, dtype, names or factors
    is_part: bool = False  # the smaller file's modules are in the other, perhaps mixed with others
    is_original: bool = False  # of a copy: they were pushed there first

    @property
    def revision(self) -> Revision:
        return self.place.revision


def relatives_of_files(weights: Iterable[Entry], besides: Repository, by: Caller) -> Sequence[Relative]:
    """Return other repositories that hold these weights; nearly these, where a feature has measured them.

    At most MAX_RELATIVES, each of another repository.
    """
    files = {entry.path: entry.sha256 for entry in weights}
    for feature in seams.joined():
        if (measured := feature.relatives(files, besides, by)) is not None:
            return measured
    places: dict[int, RevisionFile] = {}
    for place in digests.newest_places(files.values(), besides, by):
        places.setdefault(place.revision.repository_id, place)
    copies = [Relative(place, 1.0, is_copy=True) for place in list(places.values())[:MAX_RELATIVES]]
    return with_originals(copies, files.values(), besides)


def with_originals(relatives: list[Relative], own: Iterable[str], besides: Repository) -> list[Relative]:
    """Mark the copies that their repository held before `besides` held these files (sha256); one query."""
    copies = {one.revision.repository_id: one.place.blob_id for one in relatives if one.is_copy}
    if not copies:
        return relatives
    sought = set(copies.items()) | {(besides.pk, file) for file in own}
    first: dict[int, digests.Since] = {}
    for repository, file, since in digests.first_places({pk for pk, _ in sought}, {file for _, file in sought}):
        if (repository, file) in sought:
            first[repository] = min(first.get(repository, since), since)

    def is_original(one: Relative) -> bool:
        there, here = first.get(one.revision.repository_id), first.get(besides.pk)
        return one.is_copy and there is not None and here is not None and there < here

    return [replace(one, is_original=is_original(one)) for one in relatives]
