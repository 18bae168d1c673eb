"""Addresses of the people, discussions and commits that texts of a discussion name, for visitors who may see them."""

from collections.abc import Iterable

from django.db.models import Q
from django.urls import reverse

from registry.kernel import policy
from registry.kernel.policy import Caller
from registry.kernel.texts.mentions import DiscussionReference, commit_references, discussion_references, mentions
from registry.models import Discussion, Namespace, Repository, Revision

FOLDERS = {"datasets": Repository.Type.DATASET, "spaces": Repository.Type.SPACE}
MAX_ON_A_PAGE = 100  # of discussions, and of commits


def addresses(by: Caller, repository: Repository, texts: Iterable[str]) -> dict[str, str]:
    """Return written text → address for all that the texts name and the visitor may see; three queries at most."""
    texts = list(texts)
    return {
        **_people({name for text in texts for name in mentions(text)}),
        **_discussions(by, repository, {named for text in texts for named in discussion_references(text)}),
        **_commits(repository, {digits for text in texts for digits in commit_references(text)}),
    }


def _people(names: set[str]) -> dict[str, str]:
    if not names:
        return {}
    rows = Namespace.objects.filter(name__lower__in=names, person__is_active=True)
    return {f"@{name}": reverse("namespace", args=[name]) for name in rows.values_list("name", flat=True)}


def _discussions(by: Caller, repository: Repository, named: set[DiscussionReference]) -> dict[str, str]:
    if not named:
        return {}
    wanted: dict[tuple[str, str, int], list[str]] = {}
    for reference in sorted(named, key=lambda reference: reference.written)[:MAX_ON_A_PAGE]:
        where = _place(reference, repository)
        wanted.setdefault((*where, reference.number), []).append(reference.written)
    condition = Q()
    for type_, full_name, number in wanted:
        ns, name = full_name.split("/")
        condition |= Q(
            repository__type=type_, repository__namespace__name__lower=ns, repository__name__lower=name, number=number
        )
    rows = Discussion.objects.filter(condition, policy.has_visible_repository(by))
    found: dict[str, str] = {}
    for row in rows.select_related("repository__namespace"):
        key = (row.repository.type, row.repository.full_name.lower(), row.number)
        found |= dict.fromkeys(wanted.get(key, ()), row.get_absolute_url())
    return found


def _place(reference: DiscussionReference, here: Repository) -> tuple[str, str]:
    """Return the type and the name in lower case of the repository that a reference means."""
    if not reference.repository:
        return here.type, here.full_name.lower()
    *folder, ns, name = reference.repository.split("/")
    return (FOLDERS[folder[0]] if folder else Repository.Type.MODEL), f"{ns}/{name}".lower()


def _commits(repository: Repository, digits: set[str]) -> dict[str, str]:
    """Return the commits of this repository alone; digits that begin two of them name none."""
    if not digits:
        return {}
    condition = Q()
    for start in sorted(digits)[:MAX_ON_A_PAGE]:
        condition |= Q(oid__startswith=start)
    revisions = Revision.objects.filter(condition, repository=repository, quarantined_at__isnull=True)
    oids = list(revisions.values_list("oid", flat=True)[: 2 * MAX_ON_A_PAGE])
    found: dict[str, str] = {}
    for start in digits:
        matching = [oid for oid in oids if oid.startswith(start)]
        if len(matching) == 1:
            found[start] = reverse("commit", args=[repository, matching[0]])
    return found
