"""The ref `verified`: the newest revision in the history of main that passed and is neither held back nor yanked."""

from registry.models import Ref, Revision, Verdict
from registry.repos.refs import MAIN, VERIFIED


def move_verified(repository: int) -> None:
    """Point `verified` at the newest served revision in the history of main whose last finished verdict is passed.

    A revision that was only looked at, because no engine runs its format, may pass; it is not verified. Call it in the
    transaction that changes a verdict, or what is held back or yanked.
    """
    finished = Verdict.objects.filter(revision__repository=repository, finished_at__isnull=False).order_by("number")
    proven = {
        revision: state == Verdict.State.PASSED and depth != "static"
        for revision, state, depth in finished.values_list("revision", "state", "result__depth")
    }
    revisions = Revision.objects.filter(repository=repository)
    rows = revisions.values_list("pk", "parent", "quarantined_at", "yanked_at")
    parents = {pk: parent for pk, parent, *_ in rows}
    withdrawn = {pk for pk, _, *times in rows if any(times)}
    at = Ref.objects.filter(repository=repository, name=MAIN).values_list("revision", flat=True).first()
    while at is not None and (at in withdrawn or not proven.get(at)):
        at = parents[at]
    if at is None:
        Ref.objects.filter(repository=repository, name=VERIFIED).delete()
    else:
        Ref.objects.update_or_create(repository_id=repository, name=VERIFIED, defaults={"revision_id": at})
