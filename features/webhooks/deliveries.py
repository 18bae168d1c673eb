"""Deliveries to webhooks: made from events, claimed by a worker, retried, and swept.

A delivery's row is the job, as with verdicts: the message in the queue is only a hint, and a worker claims the row by a
conditional UPDATE. The payload is version 3 of the Hub's, as huggingface_hub's WebhookPayload reads it; `verdict` and
`release` are our own.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Count, F, Q, QuerySet
from django.utils import timezone
from django.utils.module_loading import import_string

from features.webhooks.models import Delivery, Watch, Webhook
from registry.kernel import outbox, policy
from registry.kernel.errors import Missing, TooOften, ValueInvalid
from registry.kernel.outbox import Kind, Snapshot
from registry.kernel.texts import cursors
from registry.kernel.texts.phrases import absolute
from registry.models import OutboxEvent, Repository, Revision
from registry.repos.refs import ALIASES

LEASE_SECONDS = 60  # longer than one attempt can take
PAUSES = (10, 60, 600, 3600, 6 * 3600)  # seconds after each failed attempt; after the last one the delivery fails
KEPT_DAYS, KEPT = 30, 1_000  # the deliveries of a webhook that are kept
MAX_WAITING = 500  # pending deliveries of one person; more are dropped
RUNG_AT_ONCE = 100
State = Delivery.State
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


class WebhookNotFound(Missing):
    code = "webhook-not-found"
    default_fix = "List your webhooks at /settings/webhooks."


def queue(rows: Sequence[Delivery]) -> None:
    """Store deliveries and notify a worker of each after the commit."""
    for row in Delivery.objects.bulk_create(rows):
        transaction.on_commit(partial(notify, row.pk), robust=True)


def with_room(hooks: Sequence[Webhook]) -> list[Webhook]:
    """Return the webhooks whose owners have fewer than MAX_WAITING pending deliveries: one event may create fifty."""
    owners = {hook.owner_id for hook in hooks}
    waiting = Delivery.objects.filter(state=State.WAITING, webhook__owner__in=owners).values("webhook__owner")
    room = dict.fromkeys(owners, MAX_WAITING)
    for row in waiting.annotate(rows=Count("pk")) if owners else ():
        room[row["webhook__owner"]] -= row["rows"]
    hooks_with_room = []
    for hook in hooks:
        room[hook.owner_id] -= 1
        if room[hook.owner_id] >= 0:
            hooks_with_room.append(hook)
    return hooks_with_room


def owner_of(delivery: int) -> int | None:
    """Return the owner of a delivery's webhook; None if the delivery is gone."""
    return Delivery.objects.filter(pk=delivery).values_list("webhook__owner", flat=True).first()


def put_off(delivery: int, seconds: int) -> None:
    """Postpone an unclaimed delivery, so that those of other owners go first."""
    now = timezone.now()
    free = Delivery.objects.filter(pk=delivery, state=State.WAITING, due_at__lte=now)
    free.update(due_at=now + timedelta(seconds=seconds))


def notify(delivery: int) -> None:
    """Notify the workers of this row. A lost message costs half a minute, until the next sweep."""
    send: Callable[[int], bool] = import_string(settings.POSTMAN)
    send(delivery)


def claim(delivery: int) -> Delivery | None:
    """Claim a delivery; None if it is finished, claimed, not due, or its webhook is disabled."""
    now = timezone.now()
    free = waiting().filter(pk=delivery, due_at__lte=now)
    taken = Delivery.objects.filter(pk__in=free.values("pk"), state=State.WAITING, due_at__lte=now)
    if not taken.update(attempts=F("attempts") + 1, due_at=now + timedelta(seconds=LEASE_SECONDS)):
        return None
    return (
        Delivery.objects.select_related("webhook__owner").filter(pk=delivery).first()
    )  # None if the webhook was deleted


def record(claimed: Delivery, entry: Mapping[str, object]) -> None:
    """Record the outcome of an attempt: `entry` has `status` (None without an answer), `answer` or `problem`, `ms`.

    Any 2xx is a success; anything else is tried again with growing pauses, then the delivery fails.
    """
    now, status = timezone.now(), entry.get("status")
    is_success = isinstance(status, int) and 200 <= status < 300
    is_last = claimed.attempts > len(PAUSES)
    changed: dict[str, object] = {
        "log": [*claimed.log, {"at": now.isoformat(), **entry}],
        "status": status,
        "state": State.SENT if is_success else State.FAILED if is_last else State.WAITING,
    }
    if changed["state"] == State.WAITING:
        changed["due_at"] = now + timedelta(seconds=PAUSES[claimed.attempts - 1])
    # If the lease ran out and another worker claimed the row, `attempts` is higher and that worker's result counts.
    Delivery.objects.filter(pk=claimed.pk, attempts=claimed.attempts).update(**changed)
    _forget_old(claimed.webhook)


def _forget_old(webhook: Webhook) -> None:
    """Delete all but the newest deliveries of a webhook and the pending ones."""
    oldest = webhook.deliveries.order_by("-pk").values_list("pk", flat=True)[KEPT : KEPT + 1].first()
    if oldest is not None:
        webhook.deliveries.filter(pk__lte=oldest).exclude(state=State.WAITING).delete()


def redeliver(webhook: Webhook, number: int) -> Delivery:
    """Queue the same payload as a new delivery. Raises WebhookNotFound, and TooOften for too many pending ones."""
    old = webhook.deliveries.filter(pk=number).first()
    if old is None:
        raise WebhookNotFound("This webhook has no such delivery.")
    return _queue_one(webhook, old.payload)


def ping(webhook: Webhook, by: policy.Caller) -> Delivery:
    """Queue a message of the scope `ping` about a repository that the webhook watches and its owner may see.

    Clients read no message without a repository. Raises ValueInvalid if there is none, or the webhook is disabled, and
    TooOften.
    """
    if webhook.disabled:
        raise ValueInvalid("This webhook is disabled.", fix="Enable it first.")
    watched = Q()
    for watch in webhook.watches.all():
        namespace, _, name = watch.folded.partition("/")
        one = Q(type=watch.type, name__lower=name) if name else Q()
        watched |= one & Q(namespace__name__lower=namespace)
    seen = Repository.objects.filter(watched, policy.visible_to(by)).select_related("namespace")
    if (repository := seen.order_by("-pk").first()) is None:
        raise ValueInvalid(
            "Nothing of what this webhook watches is there to tell of.", fix="Watch a repository that exists."
        )
    told = {"event": {"action": "update", "scope": "ping"}, "repo": _repo(Snapshot.of(repository))}
    return _queue_one(webhook, told | {"webhook": _webhook(webhook)})


def _queue_one(webhook: Webhook, payload: Mapping[str, object]) -> Delivery:
    if not with_room([webhook]):
        raise TooOften(
            f"{MAX_WAITING} deliveries to your webhooks are already queued.",
            fix="Disable the webhooks that do not answer.",
        )
    with transaction.atomic():
        made = Delivery.objects.create(webhook=webhook, payload=payload)
        transaction.on_commit(lambda: notify(made.pk), robust=True)
    return made


def waiting() -> QuerySet[Delivery]:
    """Return the deliveries that are still to be sent: not those of a webhook that is off, or whose owner is."""
    return Delivery.objects.filter(state=State.WAITING, webhook__disabled=False, webhook__owner__is_active=True)


def sweep() -> int:
    """Notify workers of due deliveries and delete old ones; return the number of notified rows."""
    now = timezone.now()
    Delivery.objects.filter(created_at__lt=now - timedelta(days=KEPT_DAYS)).delete()
    tried = Delivery.objects.filter(state=State.WAITING, due_at__lte=now, attempts__gt=len(PAUSES))
    tried.update(state=State.FAILED)  # the worker of the last attempt died
    due = waiting().filter(due_at__lte=now).order_by("due_at")
    numbers = list(due.values_list("pk", flat=True)[:RUNG_AT_ONCE])
    for number in numbers:
        notify(number)
    return len(numbers)


def consume(event: OutboxEvent) -> None:
    """Queue a delivery for every webhook that watches the event's repository and whose owner may see it."""
    if event.kind not in MESSAGES or (event.kind == Kind.VERDICT_REACHED and not event.data["is_main"]):
        return
    action, scope = MESSAGES[event.kind]
    then = outbox.snapshot(event)
    if _is_held(then, event):
        return
    hooks = with_room(_listening(then, scope.partition(".")[0], event))
    if hooks:
        payload = {"event": {"action": action, "scope": scope}, "repo": _repo(then)} | _members(event, then)
        queue([Delivery(webhook=hook, payload=payload | {"webhook": _webhook(hook)}) for hook in hooks])


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
    allowed = {pk for pk, owner in owners.items() if policy.may_see(policy.Caller(user=owner), repository)}
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
