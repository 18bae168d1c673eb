"""A person's webhooks: create, change and disable one, and list its deliveries."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NotRequired, TypedDict

from django.db import transaction
from django.db.models import Min, QuerySet
from django.utils import timezone

from features.webhooks.deliveries import WebhookNotFound, consume, sweep, waiting
from features.webhooks.models import Delivery, Watch, Webhook
from registry.kernel import audit, outbound_http, policy
from registry.kernel.errors import ValueInvalid
from registry.kernel.policy import Caller
from registry.kernel.seams import Feature, Gauge
from registry.kernel.texts import names
from registry.models import Repository
from registry.talk import dispatch

HUB_DOMAINS = ("repo", "discussion")  # the default domains, as on the Hub
DOMAINS = (*HUB_DOMAINS, "verdict", "release")
MAX_WEBHOOKS, MAX_WATCHES, MAX_SECRET = 50, 100, 256


@dataclass(frozen=True)
class Wish:
    """The new settings of a webhook: `watched` holds (type, name); the secret None keeps the present one."""

    url: str
    watched: Sequence[tuple[str, str]]
    domains: Sequence[str]
    secret: str | None = None


def mine(by: Caller) -> QuerySet[Webhook]:
    """Return the caller's webhooks. Raises what require_person raises."""
    user = policy.require_person(by, "see webhooks", publishes=False)
    return Webhook.objects.filter(owner=user).prefetch_related("watches").order_by("pk")


def find(number: int, by: Caller) -> Webhook:
    """Return one of the caller's webhooks. Raises WebhookNotFound and what require_person raises."""
    webhook = mine(by).filter(pk=number).first()
    if webhook is None:
        raise WebhookNotFound("You have no such webhook.")
    return webhook


def create(wish: Wish, by: Caller) -> Webhook:
    """Set up a webhook. Raises ValueInvalid and what require_person raises."""
    user = policy.require_person(by, "set up a webhook")
    columns, watched = _checked(wish)
    if Webhook.objects.filter(owner=user).count() >= MAX_WEBHOOKS:
        raise ValueInvalid(f"You already have {MAX_WEBHOOKS} webhooks.", fix="Delete one first.")
    with transaction.atomic():
        webhook = Webhook.objects.create(owner=user, **columns)
        _watch(webhook, watched)
        audit.record(user, "webhook:create", wish.url[:200], about=user, after={"id": webhook.pk})
    return webhook


def change(webhook: Webhook, wish: Wish) -> Webhook:
    """Change one of the caller's webhooks to these settings. Raises ValueInvalid."""
    columns, watched = _checked(wish)
    with transaction.atomic():
        Webhook.objects.filter(pk=webhook.pk).update(**columns)
        webhook.watches.all().delete()
        _watch(webhook, watched)
        audit.record(
            webhook.owner,
            "webhook:change",
            wish.url[:200],
            about=webhook.owner,
            before=webhook.url[:200],
            after=wish.url[:200],
        )
    return Webhook.objects.prefetch_related("watches").get(pk=webhook.pk)


def set_disabled(webhook: Webhook, disabled: bool) -> None:
    """Disable or enable a webhook; events in between are never delivered to it."""
    with transaction.atomic():
        if Webhook.objects.filter(pk=webhook.pk, disabled=not disabled).update(disabled=disabled):
            verb = "disable" if disabled else "enable"
            before, after = {"disabled": not disabled}, {"disabled": disabled}
            audit.record(
                webhook.owner, f"webhook:{verb}", webhook.url[:200], about=webhook.owner, before=before, after=after
            )
    webhook.disabled = disabled


def delete(webhook: Webhook) -> None:
    """Delete one of the caller's webhooks with its deliveries."""
    with transaction.atomic():
        audit.record(webhook.owner, "webhook:delete", webhook.url[:200], about=webhook.owner, before={"id": webhook.pk})
        webhook.delete()


class Columns(TypedDict):
    """Columns of a webhook that its owner decides; without `secret` it keeps the one it has."""

    url: str
    domains: list[str]
    secret: NotRequired[str]


def _checked(wish: Wish) -> tuple[Columns, list[tuple[str, str]]]:
    outbound_http.check_url(wish.url)
    if unknown := sorted(set(wish.domains) - set(DOMAINS)):
        raise ValueInvalid(f"Unknown domain {unknown[0][:40]!r}.", f"Use {', '.join(DOMAINS)}.", "domains")
    watched = list(dict.fromkeys(wish.watched))
    if not watched or len(watched) > MAX_WATCHES:
        raise ValueInvalid(
            f"A webhook watches 1 to {MAX_WATCHES} items, not {len(watched)}.", "Change the list.", "watched"
        )
    for kind, name in watched:
        if kind not in Watch.Type.values:
            raise ValueInvalid(
                f"Items of type {kind[:40]!r} cannot be watched.",
                f"Use one of {', '.join(Watch.Type.values)}.",
                "watched",
            )
        for part in names.split_id(name) if kind in Repository.Type.values else [name]:
            names.check_name(part)
    columns: Columns = {
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
            f"Use at most {MAX_SECRET} ASCII letters, digits or symbols.",
            "secret",
        )
    return secret


def _watch(webhook: Webhook, watched: Iterable[tuple[str, str]]) -> None:
    rows = {
        (kind, name.lower()): Watch(webhook=webhook, type=kind, name=name, folded=name.lower())
        for kind, name in watched
    }
    Watch.objects.bulk_create(rows.values())


def deliveries(webhook: Webhook) -> QuerySet[Delivery]:
    """Return the sent and pending deliveries of a webhook, newest first."""
    dispatch.catch_up()
    return webhook.deliveries.order_by("-pk")


def _gauges() -> Iterator[Gauge]:
    since = waiting().aggregate(since=Min("due_at"))["since"]
    seconds = max((timezone.now() - since).total_seconds(), 0.0) if since else 0.0
    yield Gauge("dovetail_webhook_overdue_seconds", "How long the oldest webhook delivery is overdue.", seconds)


FEATURE = Feature(
    consumers=(("webhooks", consume),),
    every_minute=(sweep,),
    forget=lambda user: Webhook.objects.filter(owner=user).delete(),
    gauges=_gauges,
)
