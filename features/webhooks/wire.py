"""Webhooks as the Hub's clients configure them; a secret is write-only."""

from django.http import HttpRequest, HttpResponse
from django.urls import path

from features.webhooks import verbs
from features.webhooks.models import Webhook
from hub.answers import answer
from hub.hf import bodies
from hub.hf.dialect import Route
from hub.hf.shapes import JSON
from registry.kernel.errors import NotSupported
from registry.kernel.texts import cursors


class Webhooks(Route):
    """GET and POST /api/settings/webhooks"""

    def get(self, request: HttpRequest) -> HttpResponse:
        return answer([shown(one) for one in verbs.mine(self.caller)])

    def post(self, request: HttpRequest) -> HttpResponse:
        verbs.mine(self.caller)  # permission first, then the body
        return answer({"webhook": shown(verbs.create(wish_in(request), self.caller))})


class OneWebhook(Route):
    """GET, POST (a change) and DELETE /api/settings/webhooks/{id}"""

    def get(self, request: HttpRequest, number: str) -> HttpResponse:
        return answer({"webhook": shown(self.found(number))})

    def post(self, request: HttpRequest, number: str) -> HttpResponse:
        now = self.found(number)
        return answer({"webhook": shown(verbs.change(now, wish_in(request, now)))})

    def delete(self, request: HttpRequest, number: str) -> HttpResponse:
        verbs.delete(self.found(number))
        return answer({"success": True})

    def found(self, number: str) -> Webhook:
        """Return the caller's webhook of the address. Raises WebhookNotFound."""
        return verbs.find(cursors.parse_hub_id(number), self.caller)


class Enable(OneWebhook):
    """POST /api/settings/webhooks/{id}/enable"""

    http_method_names = ["post", "options"]  # noqa: RUF012  # Django's own declaration
    disabled = False

    def post(self, request: HttpRequest, number: str) -> HttpResponse:
        webhook = self.found(number)
        verbs.set_disabled(webhook, self.disabled)
        return answer({"webhook": shown(webhook)})


class Disable(Enable):
    """POST /api/settings/webhooks/{id}/disable"""

    disabled = True


def wish_in(request: HttpRequest, now: Webhook | None = None) -> verbs.Wish:
    """Return what a body asks for; what a change leaves out stays as it is `now`.

    Clients send an empty list where they are to leave alone what is watched. Raises ValueInvalid, and NotSupported for
    a webhook that shall start a job.
    """
    body = bodies.json_object(request)
    if body.get("job") is not None or body.get("jobSourceId") is not None:
        raise NotSupported("This hub does not run jobs.", fix="Give the webhook a URL.")
    if now is not None:
        kept = shown(now)
        body = body | {key: kept[key] for key in ("url", "watched", "domains") if not body.get(key)}
    watched = [(bodies.text(one, "type"), bodies.text(one, "name")) for one in bodies.objects(body, "watched")]
    domains = bodies.strings(body, "domains") if body.get("domains") else []
    return verbs.Wish(bodies.text(body, "url"), watched, domains, bodies.text(body, "secret", "") or None)


def shown(webhook: Webhook) -> JSON:
    """A webhook without its secret."""
    return {
        "id": cursors.format_hub_id(webhook.pk),
        "url": webhook.url,
        "watched": [{"type": watch.type, "name": watch.name} for watch in webhook.watches.all()],
        "domains": webhook.domains,
        "disabled": webhook.disabled,
        "secret": None,
    }


WIRE = [
    path("api/settings/webhooks", Webhooks.as_view()),
    path("api/settings/webhooks/<str:number>", OneWebhook.as_view()),
    path("api/settings/webhooks/<str:number>/enable", Enable.as_view()),
    path("api/settings/webhooks/<str:number>/disable", Disable.as_view()),
]
