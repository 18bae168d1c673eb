"""Pages of sign-on, and tokens of the directory for administrators: make one, see which are used, revoke them."""

from collections.abc import Mapping
from typing import Any

from allauth.socialaccount.models import SocialAccount
from django import forms
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods

from features.sso import tokens
from features.sso.pages import sign_on
from hub.site import routing
from hub.site.administration import for_administrators
from hub.site.forms import Form, posted, text_field
from hub.site.panels import Link, Pages, Panel
from hub.site.sign_in.sessions import ask_again, has_proven_lately
from hub.site.visitor import caller
from registry.kernel.texts.phrases import absolute


class NewDirectoryToken(Form):
    """A token of the directory."""

    name = text_field(_("Name"), _("The directory that uses it."), maxlength=100)
    days = forms.IntegerField(label=_("Days"), help_text=_("How long it works."), initial=365)


@for_administrators
@require_http_methods(["GET", "POST"])
def listed(request: HttpRequest) -> HttpResponse:
    """List the tokens; POST makes one and shows its value in the answer itself, the only time it is ever shown."""
    if request.method == "POST" and not has_proven_lately(request):
        return ask_again(request)
    by, value = caller(request), ""
    form = NewDirectoryToken(posted(request))
    if form.is_valid():
        with form:
            value = tokens.create(form.cleaned_data["name"], form.cleaned_data["days"], by)
    context = {
        "form": NewDirectoryToken() if value else form,
        "value": value,
        "tokens": tokens.list_all(by),
        "address": absolute("/scim/v2"),
        "is_configured": bool(settings.SCIM_TOKEN),
    }
    return render(request, "sso/directory.html", context, status=form.status)


def revoke(request: HttpRequest, number: int) -> HttpResponse:
    tokens.revoke(number, caller(request))
    return redirect("directory-tokens")


def _buttons(page: Mapping[str, Any]) -> Mapping[str, object]:
    """Return the identity providers as buttons, on the page to sign in and on the one to confirm that it is you."""
    confirms = "redirect_field_value" in page  # allauth's page to confirm; it is None where nothing was asked for
    return {
        "providers": settings.OIDC_PROVIDERS.values(),
        "main": not settings.PASSWORD_SIGN_IN,
        "next": page["redirect_field_value"] or "" if confirms else page["next"],
        "verb": gettext("Confirm") if confirms else gettext("Sign in"),
    }


def _linked(page: Mapping[str, Any]) -> Mapping[str, object]:
    """Return with which identity providers the person's account is linked, and the others."""
    providers = settings.OIDC_PROVIDERS
    accounts = SocialAccount.objects.filter(user=page["request"].user).order_by("pk") if providers else []
    linked = [(account, providers[account.provider]) for account in accounts if account.provider in providers]
    others = [provider for provider in providers.values() if provider.id not in {row.provider for row, _ in linked}]
    return {"linked": linked, "providers": others}


DIRECTORY = "moderation/directory"
PAGES = Pages(
    routes=[
        *routing.forms("login", "login/with", ("<str:provider>", sign_on.start, "sign-on")),
        routing.at("login/with/<str:provider>/callback", sign_on.callback, "sign-on-callback"),
        *routing.forms(
            "security",
            "settings/security/linked",
            ("with/<str:provider>", sign_on.link, "link-provider"),
            ("<int:number>/remove", sign_on.unlink, "unlink-provider"),
        ),
        routing.at(DIRECTORY, listed, "directory-tokens"),
        *routing.forms(
            "directory-tokens",
            DIRECTORY,
            ("<int:number>/revoke", revoke, "revoke-directory-token"),
            guard=for_administrators,
        ),
    ],
    links=(Link("administration", "directory-tokens", _("Directory")),),
    panels=(
        Panel("sign-in", "sso/buttons.html", _buttons),
        Panel("confirm", "sso/buttons.html", _buttons),
        Panel("security", "sso/linked.html", _linked),
    ),
)
