"""Reads aliases: names, what each serves, history; registry/proof/verified/aliases.py sets and moves them."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import QuerySet

from registry.kernel import policy
from registry.kernel.errors import AliasNotFound
from registry.kernel.policy import Caller
from registry.kernel.texts import cursors
from registry.kernel.texts.cursors import Page
from registry.models import Alias, AliasMove, Ref, Repository, Revision
from registry.models.names import MAX_ALIAS
from registry.repos import refs

Action = AliasMove.Action
REPLAYED = 1_000  # moves that are read to know which versions aliases named


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
    """Return the row ids of the revisions that an alias named before its present one, the newest first."""
    return _earlier(AliasMove.objects.filter(repository=alias.repository_id, alias=alias.name)).get(alias.name, [])


def rollbacks(repository: Repository, aliases: Iterable[Alias]) -> dict[str, Revision]:
    """Return the revision that each of these would be rolled back to, by name, in two queries.

    Revisions that are held back, yanked or expired are skipped; an alias that named no other one is left out.
    """
    chosen = {alias.name: alias.revision_id for alias in aliases}
    lines = _earlier(AliasMove.objects.filter(repository=repository, alias__in=chosen))
    served = Revision.objects.filter(quarantined_at=None, yanked_at=None, expired_at=None)
    rows = served.in_bulk({pk for line in lines.values() for pk in line})
    targets = {name: [rows[pk] for pk in line if pk in rows and pk != chosen[name]] for name, line in lines.items()}
    return {name: line[0] for name, line in targets.items() if line}


def _earlier(moves: QuerySet[AliasMove]) -> dict[str, list[int]]:
    """Return what `earlier` does for every alias of these moves, by name.

    A rollback takes back every move down to its target, so what was rolled back from is not among them; a removed
    alias begins again.
    """
    lines: dict[str, list[int]] = {}
    for name, action, revision in reversed(moves.order_by("-pk").values_list("alias", "action", "revision")[:REPLAYED]):
        line = lines.setdefault(name, [])
        if action == Action.REMOVE:
            line.clear()
        elif action == Action.SET:
            line.append(revision)
        elif action == Action.ROLLBACK:
            while line and (line.pop() != revision):
                pass
            line.append(revision)
    return {name: line[-2::-1] for name, line in lines.items()}


def hidden_oids(repository: Repository, oids: Iterable[str], by: Caller) -> set[str]:
    """Return those of these commit ids that the caller may not see, because they are held back."""
    if by.is_staff or policy.may_write(by, repository):
        return set()
    held = Revision.objects.filter(repository=repository, oid__in=set(oids), quarantined_at__isnull=False)
    return set(held.values_list("oid", flat=True))
