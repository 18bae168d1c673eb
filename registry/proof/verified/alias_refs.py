"""Refs of aliases: the revision that each serves, its fallback while the chosen one is withdrawn, and its moves.

Reading resolves refs/aliases/NAME in the query that resolves branches and tags, so that no reader pays for the rule.
"""

from collections.abc import Mapping

from registry.kernel import outbox
from registry.kernel.outbox import Kind
from registry.models import Alias, AliasMove, Ref, Repository, Revision, User
from registry.proof.verified.good_revisions import GoodRevisions
from registry.repos import aliases
from registry.repos.refs import ALIASES

Action = AliasMove.Action


def move_aliases(repository: int, good: GoodRevisions) -> None:
    """Move each alias of a withdrawn revision to its fallback, and back once the revision is served again.

    A fallback is the newest good revision that the alias named before; else the newest good one in the history of the
    chosen revision; else none, and the alias is not found.
    """
    rows = list(Alias.objects.filter(repository=repository).select_related("repository__namespace", "revision"))
    refs = Ref.objects.filter(repository=repository, name__startswith=ALIASES)
    served = dict(refs.values_list("name", "revision")) if rows else {}
    for alias in rows:
        target = _target(alias, good)
        if target == served.get(ALIASES + alias.name):  # as nearly always: verdicts come here too
            continue
        action = Action.RETURN if target == alias.revision_id else Action.FALLBACK
        point(alias, Revision.objects.get(pk=target) if target else None, action)


def _target(alias: Alias, good: GoodRevisions) -> int | None:
    if alias.revision_id not in good.withdrawn:
        return alias.revision_id
    before = next((revision for revision in aliases.earlier(alias) if good.is_served(revision)), None)
    return before or good.newest(good.parents[alias.revision_id])


def point(alias: Alias, served: Revision | None, action: Action, by: User | None = None, reason: str = "") -> None:
    """Have an alias serve a revision, or none. A move by a person is recorded also where the same one is served."""
    repository = alias.repository
    row = Ref.objects.filter(repository=repository, name=ALIASES + alias.name)
    before = row.values_list("revision__oid", flat=True).first() or ""
    after = served.oid if served else ""
    if before == after and by is None:
        return
    if served is None:
        row.delete()
    else:
        Ref.objects.update_or_create(repository=repository, name=ALIASES + alias.name, defaults={"revision": served})
    _record_move(alias, before, served, action, by, reason)


def _record_move(
    alias: Alias, before: str, served: Revision | None, action: Action, by: User | None = None, reason: str = ""
) -> None:
    repository, after = alias.repository, served.oid if served else ""
    AliasMove.objects.create(
        repository=repository,
        alias=alias.name,
        action=action,
        before=before,
        after=after,
        revision=served,
        reason=reason,
        is_forced=alias.is_forced and by is not None and action != Action.REWRITE,
        by=by,
    )
    outbox.record(
        Kind.ALIAS_MOVED,
        repository,
        by,
        alias=alias.name,
        action=action,
        before=before or None,
        after=after or None,
        revision=after,
        reason=reason,
    )


def follow(repository: Repository, written: Mapping[int, Revision], by: User | None) -> None:
    """Move aliases and their history from rewritten commits (row id) to their successors, before those are deleted.

    The refs are moved by the caller, as all refs are.
    """
    for state in aliases.listed(repository):
        alias, served = state.alias, state.served
        alias.repository = repository
        if alias.revision_id in written:
            Alias.objects.filter(pk=alias.pk).update(revision=written[alias.revision_id])
        if served and written.get(served.pk, served) != served:
            _record_move(alias, served.oid, written[served.pk], Action.REWRITE, by)
    # The manager of the model changes no row: what a row says stays, and where its commit is now follows here.
    moves = AliasMove._base_manager.filter(repository=repository, revision__in=written)
    for revision in set(moves.values_list("revision", flat=True)):
        moves.filter(revision=revision).update(revision=written[revision])
