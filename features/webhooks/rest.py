"""A person's webhooks over REST: set up, change, test and delete them, and what became of their deliveries."""

from collections.abc import Mapping
from typing import Annotated

from django.db import transaction
from django.urls import path
from rest_framework import serializers as s
from rest_framework.request import Request

from dovetail.answers.record import Answer, OneOf, Page, Time, Url
from features.webhooks import deliveries, verbs
from features.webhooks.models import Delivery, Watch, Webhook
from hub.api import pages
from hub.api.pages import Data, Text
from hub.api.records import of_row, operation
from hub.api.views import View
from registry.kernel.texts import cursors


class WatchedName(s.Serializer[Data]):
    type = s.ChoiceField(choices=Watch.Type.choices)
    name = Text(max_length=200, help_text="a person or organisation, or namespace/name of a repository")


class NewWebhook(s.Serializer[Data]):
    url = Text(max_length=1000, help_text="on the public internet, unless the operator lets others be called")
    watched = WatchedName(many=True)
    domains = s.ListField(
        child=s.ChoiceField(verbs.DOMAINS), required=False, help_text="repo and discussion by default"
    )
    secret = Text(required=False, allow_blank=True, max_length=verbs.MAX_SECRET, help_text="never shown again")


class WebhookChange(NewWebhook):
    """The fields to change; a missing one stays as it is, and an empty secret takes the present one away."""

    url = Text(required=False, max_length=1000)
    watched = WatchedName(many=True, required=False)
    disabled = s.BooleanField(required=False, help_text="what happens meanwhile is never delivered")


class WatchedBy(Answer):
    """A name that a webhook watches."""

    type: Annotated[str, OneOf(*Watch.Type.values)]
    name: str


class OwnWebhook(Answer):
    """A webhook; its secret is in no answer."""

    id: int
    url: Url
    watched: tuple[WatchedBy, ...]
    domains: tuple[Annotated[str, OneOf(*verbs.DOMAINS)], ...]
    has_secret: bool
    disabled: bool
    created_at: Time


class WebhookDelivery(Answer):
    id: int
    state: Annotated[str, OneOf(*Delivery.State.values)]
    attempts: int
    status: Annotated[int | None, "HTTP status of the last attempt"]
    created_at: Time
    due_at: Annotated[Time, "of the next attempt, while it waits"]
    log: Annotated[tuple[Mapping[str, object], ...], "an object for each attempt: at, status, answer or problem, ms"]
    payload: Annotated[Mapping[str, object], "the message"]


class Webhooks(View):
    @operation("webhooks")
    def get(self, request: Request) -> Page[OwnWebhook]:
        """Your webhooks."""
        pages.parameters(request, pages.Nothing)
        return pages.page(request, map(_shown, verbs.mine(self.caller)))

    @operation(
        "create_webhook",
        body=NewWebhook,
        status=201,
        example={"url": "https://ci.example.org/hook", "watched": [{"type": "model", "name": "alice/reviews"}]},
    )
    def post(self, request: Request) -> OwnWebhook:
        """Set up a webhook."""
        pages.parameters(request, pages.Nothing)
        verbs.mine(self.caller)
        return _shown(verbs.create(_wish(pages.body(request, NewWebhook)), self.caller))


class _OneOfMine(View):
    def webhook(self, request: Request, id: int) -> Webhook:
        pages.parameters(request, pages.Nothing)
        return verbs.find(id, self.caller)


class OneWebhook(_OneOfMine):
    @operation("webhook")
    def get(self, request: Request, id: int) -> OwnWebhook:
        """A webhook."""
        return _shown(self.webhook(request, id))

    @operation("change_webhook", body=WebhookChange, example={"domains": ["verdict"], "disabled": False})
    def patch(self, request: Request, id: int) -> OwnWebhook:
        """Change, disable or enable a webhook."""
        webhook = self.webhook(request, id)
        given = pages.body(request, WebhookChange)
        with transaction.atomic():
            if given.keys() - {"disabled"}:
                webhook = verbs.change(webhook, _wish(given, webhook))
            if "disabled" in given:
                verbs.set_disabled(webhook, given["disabled"])
        return _shown(webhook)

    @operation("delete_webhook")
    def delete(self, request: Request, id: int) -> None:
        """Delete a webhook with its deliveries."""
        verbs.delete(self.webhook(request, id))


class Test(_OneOfMine):
    @operation("test_webhook", status=202)
    def post(self, request: Request, id: int) -> WebhookDelivery:
        """Send a message of the scope `ping`.

        It names one of the repositories that are watched. Its delivery tells what came of it.
        """
        webhook = self.webhook(request, id)
        pages.body(request)
        return _delivery(deliveries.ping(webhook, self.caller))


class Deliveries(View):
    @operation("webhook_deliveries", query=pages.Paging)
    def get(self, request: Request, id: int) -> Page[WebhookDelivery]:
        """The deliveries of a webhook, newest first."""
        asked = pages.parameters(request, pages.Paging)
        below = cursors.row_id(asked.get("cursor", ""))
        page = cursors.newest_first(verbs.deliveries(verbs.find(id, self.caller)), below, asked["limit"])
        return pages.page(request, map(_delivery, page.items), page.next)


class Redeliver(_OneOfMine):
    @operation("redeliver", status=202)
    def post(self, request: Request, id: int, delivery: int) -> WebhookDelivery:
        """Send the same message once more."""
        webhook = self.webhook(request, id)
        pages.body(request)
        return _delivery(deliveries.redeliver(webhook, delivery))


def _wish(given: Data, now: Webhook | None = None) -> verbs.Wish:
    """Return what a body asks for; what it leaves out is as it is `now`."""
    watched = [(one["type"], one["name"]) for one in given.get("watched", ())]
    if now is not None and "watched" not in given:
        watched = [(one.type, one.name) for one in now.watches.all()]
    return verbs.Wish(
        given["url"] if now is None else given.get("url", now.url),
        watched,
        given.get("domains", now.domains if now else ()),
        given.get("secret"),
    )


def _shown(webhook: Webhook) -> OwnWebhook:
    return of_row(
        OwnWebhook,
        webhook,
        watched=tuple(of_row(WatchedBy, one) for one in webhook.watches.all()),
        domains=tuple(webhook.domains),
        has_secret=bool(webhook.secret),
    )


def _delivery(row: Delivery) -> WebhookDelivery:
    return of_row(WebhookDelivery, row, log=tuple(row.log))


AT = "me/webhooks/<int:id>"
REST = [
    path("me/webhooks", Webhooks.as_view(asks_for_proof=True), name="rest-webhooks"),
    path(AT, OneWebhook.as_view(asks_for_proof=True), name="rest-webhook"),
    path(f"{AT}/test", Test.as_view(), name="rest-test-webhook"),
    path(f"{AT}/deliveries", Deliveries.as_view(), name="rest-deliveries"),
    path(f"{AT}/deliveries/<int:delivery>/again", Redeliver.as_view(), name="rest-redeliver"),
]
