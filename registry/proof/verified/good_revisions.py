"""Finds the good revisions of a repository: whole, run by an engine, passed, and not held back or yanked."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from registry.models import Revision, Verdict
from registry.repos import eligibility
from registry.repos.eligibility import ELIGIBLE

Kind = Verdict.Eligibility


@dataclass(frozen=True, slots=True)
class GoodRevisions:
    """All revisions of a repository by row id: the parent of each, those that passed, those held back or yanked.

    The parent of a commit that squashed a history is the last commit of that: what was verified before it still counts.
    `proven` has the verdict of each revision that passed; an alias may fall back to any of them. Good, but never the
    newest good one, are `ineligible` ones (what `Verdict.eligibility` holds of each), unless an owner overrides that;
    `passed_by` by what regressions.py decides of both; and `expired` ones, whose files are gone.
    """

    parents: dict[int, int | None]
    proven: dict[int, int]
    withdrawn: frozenset[int]
    ineligible: Mapping[int, str] = field(default_factory=dict)
    passed_by: frozenset[int] = frozenset()
    expired: frozenset[int] = frozenset()

    def is_good(self, revision: int) -> bool:
        return revision in self.proven and revision not in self.withdrawn

    def is_served(self, revision: int) -> bool:
        """Return whether it is good and still has its files."""
        return self.is_good(revision) and revision not in self.expired

    def newest(self, at: int | None) -> int | None:
        """Return the newest good revision in the history of `at`, itself included, not passed by and not expired."""
        while at is not None and (not self.is_served(at) or at in self.passed_by):
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
    """Read the state of every revision of a repository, in two queries. The last decided verdict of each counts.

    Those of earlier releases, which no sweep has judged yet, are judged here; one query more.
    """
    finished = Verdict.objects.filter(revision__repository=repository, state__in=Verdict.DECIDED).order_by("number")
    last = {revision: (pk, kind) for revision, pk, kind in finished.values_list("revision", "pk", "eligibility")}
    if unjudged := [pk for pk, kind in last.values() if kind == Kind.UNJUDGED]:
        kinds = eligibility.judged(Verdict.objects.filter(pk__in=unjudged))
        last = {revision: (pk, kinds.get(pk, kind)) for revision, (pk, kind) in last.items()}
    rows = Revision.objects.filter(repository=repository).values_list(
        "pk", "parent", "replaces", "is_part", "expired_at", "quarantined_at", "yanked_at"
    )
    parts = {pk for pk, _, _, is_part, *_ in rows if is_part}  # of pushes in several commits: what passed is a half
    proven = {
        revision: found for revision, found in last.items() if found[1] not in _UNPROVEN and revision not in parts
    }
    return GoodRevisions(
        parents={pk: parent or replaced for pk, parent, replaced, *_ in rows},
        proven={revision: pk for revision, (pk, _) in proven.items()},
        withdrawn=frozenset(pk for pk, _, _, _, _, *times in rows if any(times)),
        ineligible={revision: kind for revision, (_, kind) in proven.items() if kind not in ELIGIBLE},
        expired=frozenset(pk for pk, _, _, _, expired_at, *_ in rows if expired_at),
    )


_UNPROVEN = frozenset({Kind.FAILED.value, Kind.STATIC.value})


def is_proven(revision: Revision) -> bool:
    """Return whether it works as far as its own last decided verdict says: an alias takes it, also if it is older.

    It has passed after an engine ran it and adds something, or an owner let it in all the same.
    """
    found = eligibility.of_revision(revision)
    return found.may or found.because == eligibility.REGRESSION
