"""Pull requests: open one, push to it, merge it: the changes of both sides since the merge base, conflicts, the commit.

Everybody who sees a repository may open a pull request and push to their own.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from django.db import transaction

from features.discussions import thread_entries, verbs
from features.discussions.verbs import DiscussionClosed
from registry.kernel import audit, errors, policy
from registry.kernel.outbox import Kind as Happened
from registry.kernel.policy import Caller, Permission
from registry.kernel.texts import names
from registry.models import Discussion, DiscussionEvent, Ref, Repository, Revision, User, Verdict
from registry.publish import push
from registry.repos import pull, refs
from registry.repos.contents import diffs, facts
from registry.repos.manifest import Entry

MAX_NAMED = 10  # paths of conflicts in a sentence
Status, Kind = Discussion.Status, DiscussionEvent.Kind


class MergeConflict(errors.Conflict):
    code = "merge-conflict"
    default_fix = (
        "Push a commit to the pull request that takes over what the base branch has by now, or open a new one."
    )


def start(repository: Repository, title: str, text: str, by: Caller) -> Discussion:
    """Open a pull request at the head of main, as a draft. Raises what policy.require raises."""
    with transaction.atomic():
        repository = policy.require_now(by, Permission.DISCUSS, repository)
        proposal = propose(repository, title, text, by, refs.MAIN, Status.DRAFT)
        assert proposal.merge_base is not None, "a pull request begins somewhere"
        Ref.objects.create(repository=repository, name=proposal.ref, revision=proposal.merge_base)
        return proposal


def propose(
    repository: Repository, title: str, text: str, by: Caller, base: str, status: str = Status.OPEN
) -> Discussion:
    """Open a pull request for a branch; its ref is the caller's to make.

    Call it while you hold the lock on the adapter. Raises RevisionNotFound where there is no such branch.
    """
    merge_base = refs.resolve_ref(repository, base)
    return thread_entries.begin(
        repository, title, text, by, is_pull_request=True, base=base, merge_base=merge_base, status=status
    )


def awaiting_merge(by: Caller, most: int) -> list[tuple[Discussion, Verdict | None]]:
    """Return the newest open pull requests that propose something to the caller, with their verdicts; three queries.

    Those of archived repositories, and of those that are held back, wait for nobody.
    """
    mine = Repository.objects.filter(policy.writable_by(by), archived_at__isnull=True, quarantined_at__isnull=True)
    rows = Discussion.objects.filter(is_pull_request=True, status=Discussion.Status.OPEN, repository__in=mine)
    found = list(rows.select_related("author", "repository__namespace").order_by("-pk")[:most])
    places = [(row.repository_id, row.ref) for row in found]
    refs_there = Ref.objects.filter(repository__in={of for of, _ in places}, name__in={name for _, name in places})
    tips = {(of, name): tip for of, name, tip in refs_there.values_list("repository", "name", "revision")}
    verdicts = Verdict.objects.filter(revision__in={tips[place] for place in places if place in tips})
    in_force = {verdict.revision_id: verdict for verdict in verdicts.order_by(*pull.LAST_SAID_LAST)}
    proposed = [(row, tips.get(place)) for row, place in zip(found, places, strict=True)]
    return [(row, in_force.get(tip)) for row, tip in proposed if tip and tip != row.merge_base_id]


def permission_for(repository: Repository, ref: str, by: Caller, propose: bool) -> Permission:
    """Return what a caller needs for a push to a pull request, or to `propose` one for a branch.

    Their own pull requests need no right to push. Raises RefProtected for a base that is no branch, RevisionNotFound
    for refs/pr/N where N is no pull request, DiscussionClosed where it is merged.
    """
    if propose:
        if not ref.startswith(refs.BRANCHES):
            raise errors.RefProtected(
                f"A pull request needs a branch as its target; {refs.short_name(ref)} is not one.",
                fix="Choose a branch.",
            )
        return Permission.DISCUSS
    number = ref.removeprefix(refs.PULL_REQUESTS)
    proposal = None
    if number.isdecimal() and len(number) < 10:
        proposal = repository.discussions.filter(number=int(number), is_pull_request=True).first()
    if proposal is None:
        raise refs.revision_not_found(ref)
    if proposal.status == Status.MERGED:
        raise DiscussionClosed(f"The pull request #{number} of {repository.full_name} is merged.")
    is_his = by.user is not None and by.user.pk == proposal.author_id
    return Permission.DISCUSS if is_his else Permission.PUSH


def note_commit(repository: Repository, ref: str, revision: Revision) -> None:
    """Write down in a pull request that its ref moved; call it in the transaction that moves it."""
    discussion = verbs.find(repository, int(ref.removeprefix(refs.PULL_REQUESTS)))
    facts = {"subject": revision.title, "oid": revision.oid}
    thread_entries.append(discussion, revision.author, Kind.COMMIT, data=facts)
    is_first = not repository.refs.filter(name=ref).exists()  # its first commit is part of the proposal
    thread_entries.record(Happened.DISCUSSION_CHANGED, discussion, revision.author, is_news=not is_first)


def note_merge(discussion: Discussion, merged: Revision, user: User, text: str) -> None:
    """Close a pull request as merged; call it in the transaction that moved the base, under the adapter's lock."""
    if text.strip():
        thread_entries.append(discussion, user, Kind.COMMENT, text=thread_entries.check_comment(text))
    discussion.status, discussion.merged_as = Status.MERGED, merged
    discussion.save(update_fields=["status", "merged_as"])
    thread_entries.append(discussion, user, Kind.STATUS, data={"status": Status.MERGED})
    thread_entries.record(Happened.DISCUSSION_CHANGED, discussion, user, text)


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
    except errors.PathInvalid:  # a and a/b, README and readme: each side alone was fine
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
        now = verbs.find(repository, discussion.number)
        _check_open(now)
        plan_now = plan(now)
        pull.require_served(plan_now.proposal, by)
        if plan_now.conflicts:
            paths = ", ".join(plan_now.conflicts[:MAX_NAMED])
            raise MergeConflict(f"{now} cannot be merged: {refs.short_name(now.base)} changed too: {paths}.")
        merged = _commit_merge(now, plan_now, by)
        assert by.user is not None, "policy lets nobody merge without a name"
        note_merge(now, merged, by.user, text)
        audit.record(by.user, "discussion:merge", str(now), about=repository, after=merged.oid)
    return merged


def _check_open(discussion: Discussion) -> None:
    if not discussion.is_pull_request:
        raise errors.ValueInvalid(
            f"{discussion} is not a pull request, so there is nothing to merge.", fix="Close it instead."
        )
    if discussion.status != Discussion.Status.OPEN:
        raise DiscussionClosed(f"{discussion} is {discussion.status}, and only an open pull request can be merged.")


def _commit_merge(discussion: Discussion, merge_plan: Plan, by: Caller) -> Revision:
    if merge_plan.entries == pull.entries(merge_plan.base):
        return merge_plan.base  # everything is there already
    title = f"{discussion.title[: push.MAX_TITLE - 20]} (#{discussion.number})"
    intent = push.Intent(discussion.repository, discussion.base, by, title=title)
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
    except errors.RegistryError:  # the thread itself is for everybody who sees the adapter
        return ""
    return diffs.unified_diff(before, after)
