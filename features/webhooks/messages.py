"""Creates webhook deliveries from events: chooses the webhooks and builds the payload.

The payload is version 3 of the Hub's, as huggingface_hub's WebhookPayload reads it; `verdict` and `release` are
our own.
"""

from collections.abc import Mapping
from typing import Any

from django.db.models import Q

from features.webhooks import deliveries
from features.webhooks.models import Delivery, Watch, Webhook
from registry.kernel import outbox, policy
from registry.kernel.outbox import Kind, Snapshot
from registry.kernel.policy import Caller
from registry.kernel.texts import cursors
from registry.kernel.texts.phrases import absolute
from registry.models import OutboxEvent, Repository, Revision
from registry.repos.refs import ALIASES

OF_REGRESSION = ("revision", "held", "because", "against", "reason")
# Kind of event → action and scope of the message.
MESSAGES: dict[str, tuple[str, str]] = {
    Kind.CREATED: ("create", "repo"),
    Kind.DELETED: ("delete", "repo"),
    Kind.MOVED: ("move", "repo"),
    Kind.CONFIGURED: ("update", "repo.config"),
    Kind.RESTORED: ("create", "repo"),
    Kind.YANKED: ("update", "repo.content"),
    Kind.UNYANKED: ("update", "repo.content"),
    Kind.ALIAS_MOVED: ("update", "repo.content"),
    Kind.RELEASE_CREATED: ("create", "release"),
    Kind.RELEASE_EDITED: ("update", "release"),
    Kind.RELEASE_DELETED: ("delete", "release"),
    Kind.REGRESSION: ("update", "verdict.regression"),
    Kind.REF_MOVED: ("update", "repo.content"),
    Kind.DISCUSSION_OPENED: ("create", "discussion"),
    Kind.DISCUSSION_CHANGED: ("update", "discussion"),
    Kind.COMMENT_ADDED: ("create", "discussion.comment"),
    Kind.COMMENT_CHANGED: ("update", "discussion.comment"),
    Kind.VERDICT_REACHED: ("update", "verdict"),
}


def consume(event: OutboxEvent) -> None:
    """Queue a delivery for every webhook that watches the event's repository and whose owner may see it."""
    if event.kind not in MESSAGES or (event.kind == Kind.VERDICT_REACHED and not event.data["is_main"]):
        return
    action, scope = MESSAGES[event.kind]
    then = outbox.snapshot(event)
    if _is_held(then, event):
        return
    hooks = deliveries.with_room(_listening(then, scope.partition(".")[0], event))
    if hooks:
        payload = {"event": {"action": action, "scope": scope}, "repo": _repo(then)} | _members(event, then)
        deliveries.queue([Delivery(webhook=hook, payload=payload | {"webhook": _webhook(hook)}) for hook in hooks])


def _is_held(then: Snapshot, event: OutboxEvent) -> bool:
    """Return whether what happened is about something that was held back before anybody heard of it."""
    if then.quarantined or Repository.with_binned.filter(pk=then.id, quarantined_at__isnull=False).exists():
        return True
    oid = event.data.get("new") or event.data.get("revision") or ""
    held = Revision.objects.filter(repository=then.id, quarantined_at__isnull=False)
    return bool(oid) and held.filter(oid=oid).exists()


def _listening(then: Snapshot, domain: str, event: OutboxEvent) -> list[Webhook]:
    """Return the active webhooks that existed at the event, subscribe to its domain, and whose owners may see it."""
    of_owner = Q(type__in=[Watch.Type.USER, Watch.Type.ORG], folded=then.namespace.lower())
    watches = Watch.objects.filter(of_owner | Q(type=then.type, folded=then.full_name.lower()))
    watching = set(watches.values_list("webhook", flat=True))
    if not watching:  # as nearly always
        return []
    active = Webhook.objects.filter(disabled=False, owner__is_active=True, created_at__lte=event.at)
    rows = active.filter(pk__in=watching).select_related("owner").order_by("pk")
    hooks = [hook for hook in rows if domain in hook.domains]
    owners = {hook.owner_id: hook.owner for hook in hooks}
    repository = then.as_repository()
    allowed = {pk for pk, owner in owners.items() if policy.may_see(Caller(user=owner), repository)}
    return [hook for hook in hooks if hook.owner_id in allowed]


def _repo(then: Snapshot) -> dict[str, object]:
    repository = then.as_repository()
    return {
        "type": then.type,
        "name": then.full_name,
        "id": cursors.format_hub_id(then.id),
        "private": then.private,
        "owner": {"id": cursors.format_hub_id(then.namespace_id)},
        "url": {
            "web": absolute(repository.get_absolute_url()),
            "api": absolute(f"/api/{then.type}s/{then.full_name}"),
        },
        **({"headSha": then.head} if then.head else {}),
    }


def _page(then: Snapshot, below: str) -> str:
    return absolute(f"{then.as_repository().get_absolute_url()}/{below}")


def _webhook(hook: Webhook) -> dict[str, object]:
    return {"id": cursors.format_hub_id(hook.pk), "version": 3}


def _members(event: OutboxEvent, then: Snapshot) -> dict[str, object]:
    """Return the payload's members besides the repository: updatedRefs, movedTo, verdict, discussion, comment."""
    data = event.data
    match event.kind:
        case Kind.REF_MOVED:
            return {"updatedRefs": [{"ref": data["ref"], "oldSha": data["old"], "newSha": data["new"]}]}
        case Kind.MOVED:
            return {"movedTo": {"name": data["after"], "owner": {"id": cursors.format_hub_id(data["owner"])}}}
        case Kind.VERDICT_REACHED:
            return {"verdict": _verdict(data, then)}
        case Kind.YANKED | Kind.UNYANKED:
            yank = {"revision": data["revision"], "reason": data["reason"]}
            return {"yank": yank | {"yanked": event.kind == Kind.YANKED}}
        case Kind.REGRESSION:
            return {"regression": {name: data.get(name) for name in OF_REGRESSION}}
        case Kind.RELEASE_CREATED | Kind.RELEASE_EDITED | Kind.RELEASE_DELETED:
            return {"release": _release(data, then, is_there=event.kind != Kind.RELEASE_DELETED)}
        case Kind.ALIAS_MOVED:
            moved = {"ref": ALIASES + data["alias"], "oldSha": data["before"], "newSha": data["after"]}
            return {"updatedRefs": [moved], "alias": {name: data[name] for name in ("alias", "action", "reason")}}
    if "discussion" not in data:
        return {}
    page = _page(then, f"discussions/{data['discussion']['number']}")
    members: dict[str, object] = {"discussion": _discussion(data["discussion"], page)}
    if comment := data.get("comment"):
        members["comment"] = _comment(comment, page)
    return members


def _verdict(data: Mapping[str, Any], then: Snapshot) -> dict[str, object]:
    url = _page(then, f"verdict/{data['revision']}")
    members = {name: data[name] for name in ("revision", "number", "state", "was", "check")} | {"url": url}
    return members | {"incomplete": True} if data.get("incomplete") else members


def _release(data: Mapping[str, Any], then: Snapshot, *, is_there: bool) -> dict[str, object]:
    members: dict[str, object] = {name: data[name] for name in ("tag", "title", "prerelease", "revision")}
    url = _page(then, f"releases/{data['tag']}")
    return members | {"url": url} if is_there else members


def _discussion(thread: Mapping[str, Any], page: str) -> dict[str, object]:
    merged = {"mergeCommitId": thread["merged_as"]} if thread["merged_as"] else {}
    return {
        "id": cursors.format_hub_id(thread["id"]),
        "author": {"id": cursors.format_hub_id(thread["author"])},
        "num": thread["number"],
        "title": thread["title"],
        "isPullRequest": thread["is_pull_request"],
        "status": thread["status"],
        "url": {"web": page, "api": page},
        **({"changes": {"base": thread["base"], **merged}} if thread["is_pull_request"] else {}),
    }


def _comment(comment: Mapping[str, Any], page: str) -> dict[str, object]:
    number = cursors.format_hub_id(comment["id"])
    return {
        "id": number,
        "author": {"id": cursors.format_hub_id(comment["author"])},
        "hidden": comment["hidden"],
        "url": {"web": f"{page}#{number}"},
        **({} if comment["hidden"] else {"content": comment["text"]}),
    }
