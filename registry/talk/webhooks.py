"""What may be done with webhooks: set one up, tell it what happened, and keep trying until it has heard.

A delivery's row is the job, as with verdicts: it is written in the transaction of what happened, the message in the
queue is only a hint, and whoever delivers takes the row by a conditional UPDATE.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Count, F, Q, QuerySet
from django.utils import timezone
from django.utils.module_loading import import_string

from registry.kernel import audit, ids, names, outbound_addresses, policy
from registry.kernel.errors import TooOften, ValueInvalid, WebhookNotFound
from registry.kernel.links import absolute
from registry.kernel.policy import Caller
from registry.models import Delivery, Repository, Watch, Webhook

HUB_DOMAINS = ("repo", "discussion")  # what a webhook hears of that names none, as on the Hub
DOMAINS = (*HUB_DOMAINS, "verdict")
MAX_WEBHOOKS, MAX_WATCHES, MAX_SECRET = 50, 100, 256
LEASE_SECONDS = 60  # longer than one attempt can take
PAUSES = (10, 60, 600, 3600, 6 * 3600)  # seconds after each attempt that failed; after the last one it is given up
KEPT_DAYS, KEPT = 30, 1_000  # how long, and how many of each webhook
MAX_WAITING = 500  # messages to all webhooks of one person: who does not take them is not told more
RUNG_AT_ONCE = 100
_MAIN = "refs/heads/main"  # refs.py announces through this module, which therefore cannot import it
State = Delivery.State


# --- webhooks --------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Wish:
    """What a webhook shall be: `watched` holds (type, name); a secret of None leaves the one that is there."""

    url: str
    watched: Sequence[tuple[str, str]]
    domains: Sequence[str]
    secret: str | None = None


def mine(by: Caller) -> QuerySet[Webhook]:
    """Return the caller's webhooks. Raises what require_person raises."""
    user = policy.require_person(by, "see webhooks")
    return Webhook.objects.filter(owner=user).prefetch_related("watches").order_by("pk")


def find(number: int, by: Caller) -> Webhook:
    """Return one of the caller's webhooks. Raises WebhookNotFound and what require_person raises."""
    found = mine(by).filter(pk=number).first()
    if found is None:
        raise WebhookNotFound("You have no such webhook.")
    return found


def create(wish: Wish, by: Caller) -> Webhook:
    """Set up a webhook. Raises ValueInvalid and what require_person raises."""
    user = policy.require_person(by, "set up a webhook")
    columns, watched = _checked(wish)
    if Webhook.objects.filter(owner=user).count() >= MAX_WEBHOOKS:
        raise ValueInvalid(f"You have {MAX_WEBHOOKS} webhooks already.", fix="Delete one first.")
    with transaction.atomic():
        made = Webhook.objects.create(owner=user, **columns)
        _watch(made, watched)
        audit.record(user, "webhook:create", wish.url[:200])
    return made


def change(webhook: Webhook, wish: Wish) -> Webhook:
    """Make one of the caller's webhooks what is wished. Raises ValueInvalid."""
    columns, watched = _checked(wish)
    with transaction.atomic():
        Webhook.objects.filter(pk=webhook.pk).update(**columns)
        webhook.watches.all().delete()
        _watch(webhook, watched)
        audit.record(webhook.owner, "webhook:change", wish.url[:200], before=webhook.url[:200])
    return Webhook.objects.prefetch_related("watches").get(pk=webhook.pk)


def set_disabled(webhook: Webhook, disabled: bool) -> None:
    """Stop or go on telling it; what happened in between is never told."""
    Webhook.objects.filter(pk=webhook.pk).update(disabled=disabled)
    webhook.disabled = disabled


def delete(webhook: Webhook) -> None:
    """Delete one of the caller's webhooks with all that it was told."""
    with transaction.atomic():
        audit.record(webhook.owner, "webhook:delete", webhook.url[:200])
        webhook.delete()


def _checked(wish: Wish) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    outbound_addresses.check_url(wish.url)
    if unknown := sorted(set(wish.domains) - set(DOMAINS)):
        raise ValueInvalid(f"There is no domain {unknown[0][:40]!r}.", fix=f"Use {', '.join(DOMAINS)}.")
    watched = list(dict.fromkeys(wish.watched))
    if not watched or len(watched) > MAX_WATCHES:
        raise ValueInvalid(f"A webhook watches 1 to {MAX_WATCHES} things, not {len(watched)}.", fix="Name them.")
    for kind, name in watched:
        if kind not in Watch.Type.values:
            raise ValueInvalid(
                f"Nothing of type {kind[:40]!r} is watched.", fix=f"Use one of {', '.join(Watch.Type.values)}."
            )
        for part in names.split_id(name) if kind in Repository.Type.values else [name]:
            names.check_name(part)
    columns: dict[str, Any] = {
        "url": wish.url,
        "domains": [one for one in DOMAINS if one in (wish.domains or HUB_DOMAINS)],
    }
    if wish.secret is not None:
        columns["secret"] = _secret(wish.secret)
    return columns, watched


def _secret(secret: str) -> str:
    if len(secret) > MAX_SECRET or not all(" " <= char <= "~" for char in secret) or secret != secret.strip():
        raise ValueInvalid(
            "This secret cannot be sent in a header.",
            fix=f"Use at most {MAX_SECRET} letters, digits or signs of ASCII.",
        )
    return secret


def _watch(webhook: Webhook, watched: Iterable[tuple[str, str]]) -> None:
    rows = {
        (kind, name.lower()): Watch(webhook=webhook, type=kind, name=name, folded=name.lower())
        for kind, name in watched
    }
    Watch.objects.bulk_create(rows.values())


# --- what happened ---------------------------------------------------------------------------------------------------
def announce(repository: Repository, action: str, scope: str, **more: object) -> None:
    """Queue a message for everybody who watches this and may see it; call it in the transaction of what happened.

    `action` is create, delete, move or update; `scope` repo, repo.content, repo.config, discussion, discussion.comment
    or verdict; `more` are further members of the payload (updatedRefs, movedTo, discussion, comment, verdict), as
    huggingface_hub's WebhookPayload names them where the Hub has them.
    """
    hooks = _with_room(_listening(repository, scope.partition(".")[0]))
    if not hooks:
        return
    told = payload(repository, action, scope) | more
    rows = [Delivery(webhook=hook, payload=told | {"webhook": _of(hook)}) for hook in hooks]
    _queue(rows)


def _listening(repository: Repository, domain: str) -> list[Webhook]:
    full_name = repository.full_name.lower()
    here = Q(type__in=["user", "org"], folded=repository.namespace.name.lower()) | Q(
        type=repository.type, folded=full_name
    )
    watching = Watch.objects.filter(here).values("webhook")
    hooks = Webhook.objects.filter(pk__in=watching, disabled=False, owner__is_active=True).select_related("owner")
    wanting = [hook for hook in hooks if domain in hook.domains]
    owners = {hook.owner_id: hook.owner for hook in wanting}
    seeing = {pk for pk, owner in owners.items() if policy.may_see(Caller(user=owner), repository)}
    return [hook for hook in wanting if hook.owner_id in seeing]


def _with_room(hooks: Sequence[Webhook]) -> list[Webhook]:
    """Leave out the webhooks of those for whom too much waits: else one comment could be fifty rows, for ever."""
    owners = {hook.owner_id for hook in hooks}
    waiting = Delivery.objects.filter(state=State.WAITING, webhook__owner__in=owners).values("webhook__owner")
    room = dict.fromkeys(owners, MAX_WAITING)
    for row in waiting.annotate(rows=Count("pk")) if owners else ():
        room[row["webhook__owner"]] -= row["rows"]
    found = []
    for hook in hooks:
        room[hook.owner_id] -= 1
        if room[hook.owner_id] >= 0:
            found.append(hook)
    return found


def payload(repository: Repository, action: str, scope: str) -> dict[str, object]:
    """Return what every message says: version 3 of the Hub's, without the webhook itself."""
    head = repository.refs.filter(name=_MAIN).values_list("revision__oid", flat=True).first()
    repo = {
        "type": repository.type,
        "name": repository.full_name,
        "id": ids.shown(repository.pk),
        "private": repository.private,
        "owner": {"id": ids.shown(repository.namespace_id)},
        "url": {
            "web": absolute(repository.get_absolute_url()),
            "api": f"{settings.PUBLIC_URL}/api/{repository.type}s/{repository.full_name}",
        },
        **({"headSha": head} if head else {}),
    }
    return {"event": {"action": action, "scope": scope}, "repo": repo}


def _of(hook: Webhook) -> dict[str, object]:
    return {"id": ids.shown(hook.pk), "version": 3}


def _queue(rows: list[Delivery]) -> None:
    for row in Delivery.objects.bulk_create(rows):
        transaction.on_commit(partial(ring, row.pk), robust=True)


# --- delivering ------------------------------------------------------------------------------------------------------
def owner_of(delivery: int) -> int | None:
    """Return whose webhook a message is for; None for a message that is gone."""
    return Delivery.objects.filter(pk=delivery).values_list("webhook__owner", flat=True).first()


def put_off(delivery: int, seconds: int) -> None:
    """Let a message that nobody has taken wait a while, behind those of others."""
    now = timezone.now()
    free = Delivery.objects.filter(pk=delivery, state=State.WAITING, due_at__lte=now)
    free.update(due_at=now + timedelta(seconds=seconds))


def ring(delivery: int) -> None:
    """Tell the workers that this row may be sent. A lost message costs a minute, until the sweep rings again."""
    doorbell: Callable[[int], bool] = import_string(settings.POSTMAN)
    doorbell(delivery)


def claim(delivery: int) -> Delivery | None:
    """Take the job if it is there to be taken; None when it is done, taken, not due yet, or not wanted any more."""
    now = timezone.now()
    wanted = Q(webhook__disabled=False, webhook__owner__is_active=True)
    free = Delivery.objects.filter(wanted, pk=delivery, state=State.WAITING, due_at__lte=now)
    taken = Delivery.objects.filter(pk__in=free.values("pk"), state=State.WAITING, due_at__lte=now)
    if not taken.update(attempts=F("attempts") + 1, due_at=now + timedelta(seconds=LEASE_SECONDS)):
        return None
    return Delivery.objects.select_related("webhook__owner").filter(pk=delivery).first()  # gone with its webhook


def record(claimed: Delivery, entry: Mapping[str, object]) -> None:
    """Write down how an attempt ended: `entry` has `status` (None without an answer), `answer` or `problem`, `ms`.

    Any 2xx is a success; everything else is tried again, each time later, and at last given up.
    """
    now, status = timezone.now(), entry.get("status")
    heard = isinstance(status, int) and 200 <= status < 300
    is_last = claimed.attempts > len(PAUSES)
    changed: dict[str, Any] = {
        "log": [*claimed.log, {"at": now.isoformat(), **entry}],
        "status": status,
        "state": State.SENT if heard else State.FAILED if is_last else State.WAITING,
    }
    if changed["state"] == State.WAITING:
        changed["due_at"] = now + timedelta(seconds=PAUSES[claimed.attempts - 1])
    # Whoever took the row again after our lease ran out has counted an attempt more: his word counts.
    Delivery.objects.filter(pk=claimed.pk, attempts=claimed.attempts).update(**changed)
    _forget_old(claimed.webhook)


def _forget_old(webhook: Webhook) -> None:
    """Keep the newest messages of a webhook, and what still waits."""
    oldest = deliveries(webhook).values_list("pk", flat=True)[KEPT : KEPT + 1].first()
    if oldest is not None:
        webhook.deliveries.filter(pk__lte=oldest).exclude(state=State.WAITING).delete()


def deliveries(webhook: Webhook) -> QuerySet[Delivery]:
    """Return what a webhook was told, newest first."""
    return webhook.deliveries.order_by("-pk")


def redeliver(webhook: Webhook, number: int) -> Delivery:
    """Send the same message once more, as a new delivery. Raises WebhookNotFound, and TooOften where much waits."""
    old = webhook.deliveries.filter(pk=number).first()
    if old is None:
        raise WebhookNotFound("This webhook was told no such thing.")
    if not _with_room([webhook]):
        raise TooOften(f"{MAX_WAITING} messages to your webhooks wait.", fix="Disable those that do not answer.")
    with transaction.atomic():
        again = Delivery.objects.create(webhook=webhook, payload=old.payload)
        transaction.on_commit(lambda: ring(again.pk), robust=True)
    return again


def sweep() -> int:
    """Ring for what is due, and forget what is old; returns for how many it rang."""
    now = timezone.now()
    Delivery.objects.filter(created_at__lt=now - timedelta(days=KEPT_DAYS)).delete()
    tried = Delivery.objects.filter(state=State.WAITING, due_at__lte=now, attempts__gt=len(PAUSES))
    tried.update(state=State.FAILED)  # whoever had the last attempt died in it
    due = Delivery.objects.filter(state=State.WAITING, due_at__lte=now, webhook__disabled=False).order_by("due_at")
    numbers = list(due.values_list("pk", flat=True)[:RUNG_AT_ONCE])
    for number in numbers:
        ring(number)
    return len(numbers)
