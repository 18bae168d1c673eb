"""Reads aliases: their names, what each serves, and their history; registry/proof/aliases.py sets and moves them."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import QuerySet

from registry.kernel import cursors, policy
from registry.kernel.cursors import Page
from registry.kernel.errors import AliasNotFound
from registry.kernel.policy import Caller
from registry.models import Alias, AliasMove, Ref, Repository, Revision
from registry.models.aliases import MAX_ALIAS
from registry.repos import refs

Action = AliasMove.Action
REPLAYED = 1_000  # moves of one alias that are read to know which versions it named


@dataclass(frozen=True, slots=True)
class AliasState:
    """An alias, and the revision that it serves: the chosen one, the fallback, or none."""

    alias: Alias
    served: Revision | None

    @property
    def name(self) -> str:
        return self.alias.name

    @property
    def is_fallback(self) -> bool:
        return self.served != self.alias.revision

    @property
    def fallback_reason(self) -> str:
        """Why the chosen revision is not served; moderators' reasons are for its owners, and not told here."""
        chosen = self.alias.revision
        if not self.is_fallback:
            return ""
        return "held back by moderators" if chosen.is_quarantined else f"yanked: {chosen.yank_reason}"


def find(repository: Repository, name: str) -> AliasState:
    """Return one alias. Raises AliasNotFound."""
    if (state := named(repository, name)) is None:
        raise AliasNotFound(f"{repository.full_name} has no alias {name[:MAX_ALIAS]!r}.")
    return state


def named(repository: Repository, name: str) -> AliasState | None:
    """Return the alias of this name, or None."""
    return next(iter(_states(repository, Alias.objects.filter(repository=repository, name=name))), None)


def listed(repository: Repository) -> list[AliasState]:
    """Return all aliases of a repository by name, in two queries."""
    return _states(repository, Alias.objects.filter(repository=repository))


def _states(repository: Repository, rows: QuerySet[Alias]) -> list[AliasState]:
    aliases = list(rows.select_related("revision", "set_by"))
    names = [refs.ALIASES + alias.name for alias in aliases]
    served = Ref.objects.filter(repository=repository, name__in=names).select_related("revision")
    refs_by_name = {ref.name: ref.revision for ref in served} if aliases else {}
    return [AliasState(alias, refs_by_name.get(refs.ALIASES + alias.name)) for alias in aliases]


def history(repository: Repository, name: str = "", *, below: int = 0, limit: int) -> Page[AliasMove]:
    """Return a page of the moves of an alias, also of a removed one, or of all aliases; the newest first."""
    rows = AliasMove.objects.filter(repository=repository, **({"alias": name} if name else {})).select_related("by")
    return cursors.newest_first(rows, below, limit)


def earlier(alias: Alias) -> list[int]:
    """Return the row ids of the revisions that an alias named before its present one, the newest first.

    A rollback takes back every move down to its target, so what was rolled back from is not among them; a removed
    alias begins again.
    """
    moves = AliasMove.objects.filter(repository=alias.repository_id, alias=alias.name)
    line: list[int] = []
    for action, revision in reversed(moves.order_by("-pk").values_list("action", "revision")[:REPLAYED]):
        if action == Action.REMOVE:
            line = []
        elif action == Action.SET:
            line.append(revision)
        elif action == Action.ROLLBACK:
            while line and (line.pop() != revision):
                pass
            line.append(revision)
    return line[-2::-1]


def hidden_oids(repository: Repository, oids: Iterable[str], by: Caller) -> set[str]:
    """Return those of these commit ids that the caller may not see, because they are held back."""
    if by.is_staff or policy.may_write(by, repository):
        return set()
    held = Revision.objects.filter(repository=repository, oid__in=set(oids), quarantined_at__isnull=False)
    return set(held.values_list("oid", flat=True))
