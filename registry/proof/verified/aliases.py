"""Aliases: movable names such as `prod` for versions that are known to work. Set, move, roll back and remove them.

People who pull an alias rely on it, so it is set to a revision that passed; another one needs force and a reason. Once
the chosen revision is held back or yanked, the alias serves its fallback. Reading resolves refs/aliases/NAME in the
query that resolves branches and tags, so that no reader pays for the rule.
"""

from collections.abc import Mapping

from django.db import transaction
from django.utils import timezone

from registry.kernel import audit, outbox, policy, refusals
from registry.kernel.errors import AliasRefused, AliasUnproven, QuotaExceeded, RefExists, ValueInvalid
from registry.kernel.outbox import Kind
from registry.kernel.policy import Caller, Permission
from registry.kernel.texts import names
from registry.models import Alias, AliasMove, Ref, Repository, Revision, User
from registry.models.names import MAX_REASON
from registry.repos import eligibility, refs
from registry.repos.eligibility import GoodRevisions, is_proven
from registry.repos.refs import ALIASES

Action = AliasMove.Action
MAX_ALIASES = 100  # of a repository


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
    before = next((revision for revision in refs.earlier(alias) if good.is_served(revision)), None)
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
    for state in refs.listed(repository):
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


def set_alias(
    repository: Repository, name: str, revision: Revision, by: Caller, *, reason: str = "", force: bool = False
) -> bool:
    """Set an alias to a revision, or move it there; return whether it is new. A no-op if it names that already.

    `force` with a reason sets it to a revision that has not passed. Raises ValueInvalid for the name, RefExists for the
    name of a branch or tag, AliasUnproven, AliasRefused for a yanked revision, RepositoryQuarantined and
    RevisionNotFound for one that is held back or gone, QuotaExceeded, and what policy.require raises for PUSH.
    """
    reason = names.check_text(reason, "reason", MAX_REASON)
    with transaction.atomic():
        repository = policy.require_now(by, Permission.PUSH, repository)
        refs.check_alias_name(name)
        alias = Alias.objects.filter(repository=repository, name=name).select_related("revision").first()
        if alias is None:
            _require_place(repository, name)
        revision = _choose(repository, revision, force=force, reason=reason)
        if alias is not None and alias.revision == revision:
            return False
        before = alias.revision.oid if alias else None
        is_new = alias is None
        alias = alias or Alias(repository=repository, name=name)
        _place(alias, revision, Action.SET, by, reason)
        _log(by, "alias:set", alias, reason, before, revision.oid)
    return is_new


def roll_back(repository: Repository, name: str, by: Caller, reason: str = "") -> None:
    """Move an alias back to the revision that it named before; what is held back or yanked is skipped.

    Raises AliasNotFound, AliasRefused if it named no other one, ValueInvalid, and what policy.require raises for PUSH.
    """
    reason = names.check_text(reason, "reason", MAX_REASON)
    with transaction.atomic():
        repository = policy.require_now(by, Permission.PUSH, repository)
        alias = refs.find(repository, name).alias
        before, revision = alias.revision.oid, refs.rollbacks(repository, [alias]).get(name)
        if revision is None:
            raise AliasRefused(f"{name!r} of {repository.full_name} has no earlier version that is still served.")
        _place(alias, revision, Action.ROLLBACK, by, reason)
        _log(by, "alias:rollback", alias, reason, before, revision.oid)


def remove_alias(repository: Repository, name: str, by: Caller, reason: str = "") -> None:
    """Remove an alias; its history stays. Raises AliasNotFound, ValueInvalid, and what policy.require raises."""
    reason = names.check_text(reason, "reason", MAX_REASON)
    with transaction.atomic():
        repository = policy.require_now(by, Permission.PUSH, repository)
        alias = refs.find(repository, name).alias
        alias.repository = repository
        point(alias, None, Action.REMOVE, _person(by), reason)
        _log(by, "alias:remove", alias, reason, alias.revision.oid, None)
        alias.delete()


def _require_place(repository: Repository, name: str) -> None:
    """Raise RefExists for the name of a branch or a tag, whatever its case, and QuotaExceeded."""
    spelled = [prefix + name for prefix in (refs.BRANCHES, refs.TAGS)]
    for spelling in spelled:
        if repository.refs.filter(name__iexact=spelling).exists():
            noun = "branch" if spelling.startswith(refs.BRANCHES) else "tag"
            raise RefExists(f"{repository.full_name} has a {noun} {name!r}: an alias cannot have the same name.")
    if repository.aliases.count() >= MAX_ALIASES:
        raise QuotaExceeded(f"{repository.full_name} has {MAX_ALIASES} aliases, the limit.", fix="Delete some first.")


def _choose(repository: Repository, revision: Revision, *, force: bool, reason: str) -> Revision:
    """Return the current row of a revision that an alias may name."""
    if repository.type != Repository.Type.MODEL:
        raise ValueInvalid(
            f"{repository.full_name} is not an adapter: only adapters have aliases.", fix="Use a tag.", field="alias"
        )
    current = Revision.objects.filter(pk=revision.pk, repository=repository).first()
    if current is None:
        raise refs.revision_not_found(revision.oid)
    current.repository = repository
    where = f"Revision {current.oid} of {repository.full_name}"
    if current.is_quarantined:
        raise refusals.quarantined_revision(current)
    if current.is_expired:
        raise refusals.files_expired(current)
    if current.is_yanked:
        raise AliasRefused(f"{where} is yanked: {current.yank_reason}")
    if force and not reason:
        raise ValueInvalid("Forcing an alias requires a reason.", fix="Explain in one sentence; everyone can read it.")
    if not force and not is_proven(current):
        why_not = eligibility.of_revision(current).reason
        problem = f"is not known to work: {why_not}" if why_not else "has not passed."
        raise AliasUnproven(f"{where} {problem} An alias must point to a working version.")
    return current


def _place(alias: Alias, revision: Revision, action: Action, by: Caller, reason: str) -> None:
    alias.revision, alias.set_by, alias.set_at = revision, _person(by), timezone.now()
    alias.reason, alias.is_forced = reason, not is_proven(revision)
    alias.save()
    point(alias, revision, action, alias.set_by, reason)


def _person(by: Caller) -> User:
    assert by.user is not None, "policy.require refuses nobody"
    return by.user


def _log(by: Caller, action: str, alias: Alias, reason: str, before: str | None, after: str | None) -> None:
    audit.record(
        by.user,
        action,
        f"{alias.repository.full_name}@{alias.name}",
        about=alias.repository,
        reason=reason,
        before={"revision": before},
        after={"revision": after},
    )
