"""A person's webhooks: make one, stop it, see what it was told and how that went, tell it again."""

import json
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from hub.errors import status_with
from hub.site import paging
from hub.site.visitor import caller, person
from registry.kernel.errors import RegistryError, ValueInvalid
from registry.models import Watch, Webhook
from registry.talk import deliveries, webhooks
from registry.talk.webhooks import Wish

SHOWN = 50


@sensitive_post_parameters("secret")
@require_http_methods(["GET", "POST"])
def listed(request: HttpRequest) -> HttpResponse:
    """List the webhooks; POST makes one."""
    person(request)
    shown: dict[str, Any] = {"given": request.POST}
    if request.method == "POST":
        try:
            webhooks.create(_wish(request), caller(request))
            return redirect("webhooks")
        except RegistryError as error:
            shown["error"] = error
    shown["webhooks"] = list(webhooks.mine(caller(request)))
    return render(request, "site/webhooks.html", shown, status=status_with(shown.get("error")))


@require_safe
def one(request: HttpRequest, number: int) -> HttpResponse:
    """What one webhook was told, newest first."""
    person(request)
    return _page(request, webhooks.find(number, caller(request)))


def _page(request: HttpRequest, webhook: Webhook, error: RegistryError | None = None) -> HttpResponse:
    found, older = paging.older(request, webhooks.deliveries(webhook), SHOWN)
    shown = {
        "webhook": webhook,
        "deliveries": [(row, json.dumps(row.payload, indent=1, ensure_ascii=False)) for row in found],
        "older": older,
        "watched": request.POST.get("watched") or " ".join(map(_written, webhook.watches.all())),
        "error": error,
    }
    return render(request, "site/webhook.html", shown, status=status_with(error))


@sensitive_post_parameters("secret")
@require_POST
def change(request: HttpRequest, number: int) -> HttpResponse:
    """Stop it, let it go on, delete it, or make it another one."""
    person(request)
    webhook = webhooks.find(number, caller(request))
    match request.POST.get("do"):
        case "delete":
            webhooks.delete(webhook)
        case "enable" | "disable" as what:
            webhooks.set_disabled(webhook, what == "disable")
        case "change":
            try:
                webhooks.change(webhook, _wish(request))
            except RegistryError as error:
                return _page(request, webhook, error)
            return redirect("webhook", number)
        case _:
            raise ValueInvalid("The form does not say what to do.", fix="Use the buttons of the page.")
    return redirect("webhooks")


@require_POST
def redeliver(request: HttpRequest, number: int, delivery: int) -> HttpResponse:
    """Tell the same once more."""
    person(request)
    deliveries.redeliver(webhooks.find(number, caller(request)), delivery)
    return redirect("webhook", number)


def _written(watch: Watch) -> str:
    """One watched thing as the form has it."""
    return f"{watch.type}s/{watch.name}" if watch.type in {"dataset", "space"} else watch.name


def _wish(request: HttpRequest) -> Wish:
    """Read the form: `watched` has one thing a line, ns/name for a repository and a name for all of somebody's."""
    watched = []
    for word in request.POST.get("watched", "").split():
        kind, _, rest = word.partition("s/")
        if kind in {"dataset", "space"}:
            watched.append((kind, rest))
        else:
            watched.append(("model" if "/" in word else "user", word))
    url, secret = request.POST.get("url", "").strip(), request.POST.get("secret", "").strip()
    return Wish(url, watched, request.POST.getlist("domains"), secret or None)
