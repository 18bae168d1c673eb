"""Which revisions of a repository are good: whole, passed after an engine ran them, and not held back or yanked."""

from dataclasses import dataclass

from registry.kernel.prepared import Prepared
from registry.models import Revision, Verdict


@dataclass(frozen=True, slots=True)
class GoodRevisions:
    """All revisions of a repository by row id: the parent of each, those that passed, those held back or yanked.

    The parent of a commit that squashed a history is the last commit of that: what was verified before it still counts.
    `proven` has the verdict of each revision that passed. Good, but never the newest good one, are `regressed`, which
    measured worse than the version before them (registry/proof/regressions.py), and `expired`, whose files are gone.
    """

    parents: dict[int, int | None]
    proven: dict[int, int]
    withdrawn: frozenset[int]
    regressed: frozenset[int] = frozenset()
    expired: frozenset[int] = frozenset()

    def is_good(self, revision: int) -> bool:
        return revision in self.proven and revision not in self.withdrawn

    def is_served(self, revision: int) -> bool:
        """Return whether it is good and still has its files."""
        return self.is_good(revision) and revision not in self.expired

    def newest(self, at: int | None) -> int | None:
        """Return the newest good revision in the history of `at`, itself included, not regressed and not expired."""
        while at is not None and (not self.is_served(at) or at in self.regressed):
            at = self.parents[at]
        return at

    def history(self, at: int | None) -> list[int]:
        """Return the good revisions in the history of `at`, the oldest first."""
        newest_first = []
        while at is not None:
            if self.is_good(at):
                newest_first.append(at)
            at = self.parents[at]
        return newest_first[::-1]


def read_good_revisions(repository: int) -> GoodRevisions:
    """Read the state of every revision of a repository, in two queries. The last finished verdict of each counts."""
    passed = {revision: pk if _proves(state, depth) else None for revision, pk, state, depth in _FINISHED(repository)}
    rows = _REVISIONS(repository)
    parts = {pk for pk, _, _, is_part, *_ in rows if is_part}  # of pushes in several commits: what passed is a half
    return GoodRevisions(
        parents={pk: parent or replaced for pk, parent, replaced, *_ in rows},
        proven={revision: verdict for revision, verdict in passed.items() if verdict and revision not in parts},
        withdrawn=frozenset(pk for pk, _, _, _, _, *times in rows if any(times)),
        expired=frozenset(pk for pk, _, _, _, expired_at, *_ in rows if expired_at),
    )


_FINISHED = Prepared(
    lambda repository: (
        Verdict.objects.filter(revision__repository=repository, finished_at__isnull=False)
        .order_by("number")
        .values_list("revision", "pk", "state", "result__depth")
    ),
    int,
)
_REVISIONS = Prepared(
    lambda repository: Revision.objects.filter(repository=repository).values_list(
        "pk", "parent", "replaces", "is_part", "expired_at", "quarantined_at", "yanked_at"
    ),
    int,
)


def is_proven(revision: Revision) -> bool:
    """Return whether the last finished verdict of one revision is passed, after an engine ran it."""
    finished = revision.verdicts.filter(finished_at__isnull=False).order_by("-number")
    last = finished.values_list("state", "result__depth").first()
    return last is not None and not revision.is_part and _proves(*last)


def _proves(state: str, depth: str | None) -> bool:
    # A revision that was only looked at, because no engine runs its format, may pass; it is not verified.
    return state == Verdict.State.PASSED and depth != "static"
