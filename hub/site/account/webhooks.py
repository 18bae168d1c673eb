"""A person's webhooks: create one, change or stop it, see its deliveries and what became of them, send one again."""

import json

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from hub.site import paging
from hub.site.forms import Form, posted
from hub.site.forms.account.webhooks import ChangeWebhook, WebhookForm, written
from hub.site.visitor import caller, person
from registry.models import Webhook
from registry.talk import deliveries, webhooks

MOST_SHOWN = 50


@sensitive_post_parameters("secret")
@require_http_methods(["GET", "POST"])
def listed(request: HttpRequest) -> HttpResponse:
    """List the webhooks; POST creates one."""
    person(request)
    form = WebhookForm(posted(request))
    if form.is_valid():
        with form:
            webhooks.create(form.wish, caller(request))
            return redirect("webhooks")
    context = {"form": form, "webhooks": list(webhooks.mine(caller(request)))}
    return render(request, "site/webhooks.html", context, status=form.status)


@require_safe
def one(request: HttpRequest, number: int) -> HttpResponse:
    """Show the deliveries of one webhook, newest first."""
    webhook = _mine(request, number)
    return _page(request, webhook, ChangeWebhook(webhook=webhook))


@sensitive_post_parameters("secret")
@require_POST
def change(request: HttpRequest, number: int) -> HttpResponse:
    webhook = _mine(request, number)
    form = ChangeWebhook(request.POST, webhook=webhook)
    if form.is_valid():
        with form:
            webhooks.change(webhook, form.wish)
            return redirect("webhook", number)
    return _page(request, webhook, form)


@require_POST
def enable(request: HttpRequest, number: int) -> HttpResponse:
    webhooks.set_disabled(_mine(request, number), False)
    return redirect("webhooks")


@require_POST
def disable(request: HttpRequest, number: int) -> HttpResponse:
    webhooks.set_disabled(_mine(request, number), True)
    return redirect("webhooks")


@require_POST
def delete(request: HttpRequest, number: int) -> HttpResponse:
    webhooks.delete(_mine(request, number))
    return redirect("webhooks")


@require_POST
def redeliver(request: HttpRequest, number: int, delivery: int) -> HttpResponse:
    """Send the same message once more."""
    deliveries.redeliver(_mine(request, number), delivery)
    return redirect("webhook", number)


def _mine(request: HttpRequest, number: int) -> Webhook:
    person(request)
    return webhooks.find(number, caller(request))


def _page(request: HttpRequest, webhook: Webhook, form: Form) -> HttpResponse:
    rows, older = paging.older(request, webhooks.deliveries(webhook), MOST_SHOWN)
    context = {
        "webhook": webhook,
        "deliveries": [(row, json.dumps(row.payload, indent=1, ensure_ascii=False)) for row in rows],
        "older": older,
        "watched": " ".join(map(written, webhook.watches.all())),
        "form": form,
    }
    return render(request, "site/webhook.html", context, status=form.status)
