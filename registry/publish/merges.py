"""Merges of pull requests: the changes of both sides since the merge base, conflicts, and the merge commit."""

from collections.abc import Mapping
from dataclasses import dataclass

from django.db import transaction

from registry.kernel import audit, policy
from registry.kernel.errors import DiscussionClosed, MergeConflict, PathInvalid, RegistryError, ValueInvalid
from registry.kernel.policy import Caller, Permission
from registry.kernel.texts import names
from registry.models import Discussion, Revision
from registry.publish import push
from registry.publish.push import Intent
from registry.publish.threads import discussions, pull_requests
from registry.repos import pull, refs
from registry.repos.contents import diffs, facts
from registry.repos.manifest import Entry

Status = Discussion.Status
MAX_NAMED = 10


@dataclass(frozen=True)
class Plan:
    """The result of a merge: the files after it, and the paths in conflict."""

    base: Revision
    proposal: Revision
    entries: dict[str, Entry]
    conflicts: list[str]


def plan(discussion: Discussion) -> Plan:
    """Compute the result of merging this pull request. Raises RevisionNotFound if its base is gone."""
    base = refs.resolve_ref(discussion.repository, discussion.base)
    proposal = refs.resolve_ref(discussion.repository, discussion.ref)
    begun = pull.entries(discussion.merge_base) if discussion.merge_base else {}
    entries, conflicts = combine(begun, pull.entries(base), pull.entries(proposal))
    return Plan(base, proposal, entries, conflicts)


def combine(
    begun: Mapping[str, Entry], ours: Mapping[str, Entry], theirs: Mapping[str, Entry]
) -> tuple[dict[str, Entry], list[str]]:
    """Merge two sets of files with the common ancestor `begun`; a file that both sides changed is a conflict.

    Returns the merged files, with ours for a conflict, and the paths in conflict.
    """
    merged, conflicts = dict(ours), []
    for path in sorted(begun.keys() | theirs.keys()):
        was, mine, proposed = begun.get(path), ours.get(path), theirs.get(path)
        if proposed in (was, mine):
            continue
        if mine != was:
            conflicts.append(path)
        elif proposed is None:
            del merged[path]
        else:
            merged[path] = proposed
    try:
        names.check_tree(merged)
    except PathInvalid:  # a and a/b, README and readme: each side alone was fine
        conflicts = conflicts or sorted(path for path in theirs if theirs[path] != begun.get(path))
    return merged, conflicts


def merge(discussion: Discussion, by: Caller, text: str = "") -> Revision:
    """Merge a pull request as one commit on its base; return the new revision of the base.

    Raises ValueInvalid for a discussion, DiscussionClosed unless it is open, MergeConflict with the paths,
    AdapterQuarantined if moderators hold the proposal back, and what policy.require raises for PUSH.
    """
    policy.require(by, Permission.PUSH, discussion.repository)
    _check_open(discussion)
    # Fills the cache, so that the store is not read under the lock.
    facts.read_facts(plan(discussion).entries, discussion.repository.type)
    with transaction.atomic():
        repository = policy.require_now(by, Permission.PUSH, discussion.repository)
        now = discussions.find(repository, discussion.number)
        _check_open(now)
        plan_now = plan(now)
        pull.require_served(plan_now.proposal, by)
        if plan_now.conflicts:
            paths = ", ".join(plan_now.conflicts[:MAX_NAMED])
            raise MergeConflict(f"{now} cannot be merged: {refs.short_name(now.base)} changed too: {paths}.")
        merged = _land(now, plan_now, by)
        assert by.user is not None, "policy lets nobody merge without a name"
        pull_requests.note_merge(now, merged, by.user, text)
        audit.record(by.user, "discussion:merge", str(now), about=repository, after=merged.oid)
    return merged


def _check_open(discussion: Discussion) -> None:
    if not discussion.is_pull_request:
        raise ValueInvalid(f"{discussion} is no pull request, so there is nothing to merge.", fix="Close it instead.")
    if discussion.status != Status.OPEN:
        raise DiscussionClosed(f"{discussion} is {discussion.status}, and only an open pull request can be merged.")


def _land(discussion: Discussion, merge_plan: Plan, by: Caller) -> Revision:
    if merge_plan.entries == pull.entries(merge_plan.base):
        return merge_plan.base  # everything is there already
    title = f"{discussion.title[: push.MAX_TITLE - 20]} (#{discussion.number})"
    intent = Intent(discussion.repository, discussion.base, by, title=title)
    like = merge_plan.proposal if merge_plan.entries == pull.entries(merge_plan.proposal) else None
    return push.put(intent, merge_plan.entries, onto=merge_plan.base, like=like).revision


def changes(discussion: Discussion) -> tuple[dict[str, Entry], dict[str, Entry]]:
    """Return the files of the merge base and of the proposal, whatever happened to the base since."""
    before = pull.entries(discussion.merge_base) if discussion.merge_base else {}
    return before, pull.entries(refs.resolve_ref(discussion.repository, discussion.ref))


def readable(discussion: Discussion, by: Caller) -> tuple[dict[str, Entry], dict[str, Entry]]:
    """Return `changes` if the caller may read the files. Raises what policy.require and pull.require_served raise."""
    policy.require(by, Permission.DOWNLOAD, discussion.repository)
    before, after = changes(discussion)
    pull.require_served(pull.resolve(discussion.repository, discussion.ref), by)
    if discussion.merge_base is not None:  # the diff shows removed content too
        pull.require_served(discussion.merge_base, by)
    return before, after


def diff(discussion: Discussion, by: Caller) -> str:
    """Return what a pull request proposes as `git diff` writes it; "" for who may not have the files."""
    try:
        before, after = readable(discussion, by)
    except RegistryError:  # the thread itself is for everybody who sees the adapter
        return ""
    return diffs.unified_diff(before, after)
