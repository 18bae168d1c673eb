"""Signing in by an identity provider: the way there, the way back, and which ones an account is linked with."""

import logging

from allauth.socialaccount.adapter import get_adapter
from allauth.socialaccount.models import SocialAccount
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from allauth.socialaccount.providers.oauth2.views import OAuth2CallbackView
from django.conf import settings
from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext
from django.views.decorators.http import require_POST, require_safe
from requests import RequestException

from hub.site.sign_in.account import safe_next
from hub.site.sign_in.openid import OpenIdAdapter
from hub.site.sign_in.reauthentication import needs_recent_authentication
from hub.site.visitor import person
from registry.people import sign_on

log = logging.getLogger(__name__)


@require_POST
def start(request: HttpRequest, provider: str) -> HttpResponse:
    """Send a browser to the provider, to sign in."""
    return _leave(request, provider, "login", safe_next(request))


@require_POST
@needs_recent_authentication
def link(request: HttpRequest, provider: str) -> HttpResponse:
    """Send a browser to the provider, to link an identity there with this account."""
    return _leave(request, provider, "connect", None)


def _leave(request: HttpRequest, name: str, process: str, target: str | None) -> HttpResponse:
    """Show a page that goes on to the provider by itself: the content policy forbids forms that end elsewhere."""
    page = "security" if process == "connect" else "login"
    if name not in settings.OIDC_PROVIDERS:
        return _unknown(request, page)
    provider = get_adapter(request).get_provider(request, name)
    try:
        again = {"auth_params": {"prompt": "login", "max_age": "0"}} if request.user.is_authenticated else {}
        address = provider.redirect(request, process, target, **again)["Location"]
    except (OAuth2Error, RequestException, ValueError) as problem:
        log.warning("The identity provider %s cannot be used: %s", name, problem)
        sentence = gettext("{provider} does not answer as it should. Try again in a minute.")
        messages.error(request, sentence.format(provider=provider.name))
        return redirect(page)
    return render(request, "site/sign_on.html", {"provider": provider.name, "address": address})


@require_safe
def confirm(request: HttpRequest) -> HttpResponse:
    """Show how a person without a password proves again who they are."""
    person(request)
    return render(request, "account/reauthenticate.html", {"redirect_field_value": safe_next(request)})


@require_safe
def callback(request: HttpRequest, provider: str) -> HttpResponse:
    """Take a browser that comes back from the provider."""
    if provider not in settings.OIDC_PROVIDERS:
        return _unknown(request, "login")
    answer: HttpResponse = OAuth2CallbackView.adapter_view(OpenIdAdapter(request, provider))(request)
    return answer


@require_POST
@needs_recent_authentication
def unlink(request: HttpRequest, number: int) -> HttpResponse:
    """Remove the link with a provider, unless it is the only way to sign in."""
    user = person(request)
    account = get_object_or_404(SocialAccount, user=user, pk=number)
    others = SocialAccount.objects.filter(user=user).exclude(pk=number).exists()
    if not others and not (user.has_usable_password() and settings.PASSWORD_SIGN_IN):
        messages.error(
            request, gettext("This is your only way to sign in. Set a password or link another account first.")
        )
    else:
        with transaction.atomic():
            account.delete()
            sign_on.record_link(user, account.provider, by=user, removed=True)
        messages.success(request, gettext("The link is removed."))
    return redirect("security")


def _unknown(request: HttpRequest, page: str) -> HttpResponse:
    messages.error(request, gettext("This hub knows no identity provider of that name. Choose one of those below."))
    return redirect(page)
