"""A person's webhooks: create one, change or stop it, see its deliveries and what became of them, send one again."""

import json
from typing import ClassVar

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_safe

from features.webhooks import deliveries, verbs
from features.webhooks.models import Watch, Webhook
from hub.site import lists, routing
from hub.site.forms import Checkboxes, Form, Posts, Refusals, posted, text_field
from hub.site.panels import TOKENS, Link, Pages
from hub.site.sign_in.sessions import needs_recent_authentication as recent
from hub.site.visitor import caller, person
from registry.kernel.errors import NameInvalid

DOMAINS = [
    ("repo", _("repositories")),
    ("discussion", _("discussions")),
    ("verdict", _("verdicts of main")),
    ("release", _("releases")),
]
MOST_SHOWN = 50


class WebhookForm(Form):
    url = text_field(
        _("Address"), widget=forms.URLInput, maxlength=1000, placeholder="https://ci.example.org/hooks/dovetail"
    )
    watched = text_field(
        _("Watches"),
        _("People, organisations or repositories, with spaces between them."),
        placeholder="acme alice/reviews datasets/alice/gold",
        spellcheck="false",
    )
    domains = forms.MultipleChoiceField(
        label=_("Events"), required=False, choices=DOMAINS, initial=["repo", "discussion"], widget=Checkboxes
    )
    secret = text_field(
        _("Secret"),
        _("Sent in `X-Webhook-Secret`, and used to sign each message in `X-Hub-Signature-256`. Optional."),
        required=False,
        widget=forms.PasswordInput,
        maxlength=256,
    )
    fields_of: ClassVar[Refusals] = {NameInvalid: "watched"}

    @property
    def wish(self) -> verbs.Wish:
        """The webhook as the form describes it; an empty secret leaves the one that is there."""
        given = self.cleaned_data
        watched = [_watch(word) for word in given["watched"].split()]
        return verbs.Wish(given["url"], watched, given["domains"], given["secret"].strip() or None)


class ChangeWebhook(WebhookForm):
    def __init__(self, *args: object, webhook: Webhook, **options: object) -> None:
        options["initial"] = {
            "url": webhook.url,
            "watched": " ".join(map(written, webhook.watches.all())),
            "domains": webhook.domains,
        }
        super().__init__(*args, **options)
        secret = self.fields["secret"]
        secret.label, secret.help_text = _("New secret"), _("Empty: the current one stays.")


def written(watch: Watch) -> str:
    """Return a watched name as people type it: ns/name for a model, datasets/ns/name, or a person's name."""
    return f"{watch.type}s/{watch.name}" if watch.type in {"dataset", "space"} else watch.name


def _watch(word: str) -> tuple[str, str]:
    kind, _, rest = word.partition("s/")
    if kind in {"dataset", "space"}:
        return kind, rest
    return ("model" if "/" in word else "user"), word


@sensitive_post_parameters("secret")
@require_http_methods(["GET", "POST"])
def listed(request: HttpRequest) -> HttpResponse:
    """List the webhooks; POST creates one."""
    person(request)
    form = WebhookForm(posted(request))
    if form.is_valid():
        with form:
            verbs.create(form.wish, caller(request))
            return redirect("webhooks")
    context = {"form": form, "webhooks": list(verbs.mine(caller(request)))}
    return render(request, "webhooks/listed.html", context, status=form.status)


@require_safe
def one(request: HttpRequest, number: int) -> HttpResponse:
    """Show the deliveries of one webhook, newest first."""
    webhook = _mine(request, number)
    return _page(request, webhook, ChangeWebhook(webhook=webhook))


@sensitive_post_parameters("secret")
def change(request: HttpRequest, number: int) -> HttpResponse:
    webhook = _mine(request, number)
    form = ChangeWebhook(request.POST, webhook=webhook)
    if form.is_valid():
        with form:
            verbs.change(webhook, form.wish)
            return redirect("webhook", number)
    return _page(request, webhook, form)


def redeliver(request: HttpRequest, number: int, delivery: int) -> HttpResponse:
    """Send the same message once more."""
    deliveries.redeliver(_mine(request, number), delivery)
    return redirect("webhook", number)


def _mine(request: HttpRequest, number: int) -> Webhook:
    person(request)
    return verbs.find(number, caller(request))


def _page(request: HttpRequest, webhook: Webhook, form: Form) -> HttpResponse:
    rows, older = lists.older(request, verbs.deliveries(webhook), MOST_SHOWN)
    context = {
        "webhook": webhook,
        "deliveries": [(row, json.dumps(row.payload, indent=1, ensure_ascii=False)) for row in rows],
        "older": older,
        "watched": " ".join(map(written, webhook.watches.all())),
        "form": form,
    }
    return render(request, "webhooks/one.html", context, status=form.status)


ONE_OF_MINE = Posts(_mine, _page, lambda webhook: redirect("webhooks"))
enable = ONE_OF_MINE.button(lambda webhook, by: verbs.set_disabled(webhook, False))
disable = ONE_OF_MINE.button(lambda webhook, by: verbs.set_disabled(webhook, True))
delete = ONE_OF_MINE.button(lambda webhook, by: verbs.delete(webhook))


ONE = "settings/webhooks/<int:number>"
PAGES = Pages(
    routes=[
        routing.at("settings/webhooks", recent(listed), "webhooks"),
        routing.at(ONE, one, "webhook"),
        *routing.forms(
            "webhook",
            ONE,
            ("change", recent(change), "change-webhook"),
            ("enable", enable, "enable-webhook"),
            ("disable", disable, "disable-webhook"),
            ("delete", delete, "delete-webhook"),
            ("deliveries/<int:delivery>/again", redeliver, "redeliver"),
        ),
    ],
    links=(Link("settings", "webhooks", _("Webhooks"), place=36, group=TOKENS),),
)
