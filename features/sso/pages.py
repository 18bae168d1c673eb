"""Signing in by an identity provider, the providers that an account is linked with, and tokens of the directory."""

import logging
import time
from collections.abc import Mapping
from typing import Any

from allauth.account.adapter import get_adapter as get_account_adapter
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter, _build_apps_from_settings, get_adapter
from allauth.socialaccount.models import SocialAccount, SocialLogin
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from allauth.socialaccount.providers.oauth2.views import OAuth2CallbackView
from allauth.usersessions.models import UserSession
from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import logout
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_safe
from requests import RequestException

from features.sso import identities, tokens
from features.sso.provider import OpenIdAdapter, identity_id, logout_claims
from hub.identity import is_recent
from hub.site import routing
from hub.site.forms import Form, posted, text_field
from hub.site.panels import SITE, Link, Pages, Panel
from hub.site.sign_in.sessions import LONGEST, for_administrators
from hub.site.sign_in.sessions import needs_recent_authentication as recent
from hub.site.visitor import caller, person, safe_next
from hub.site.words import english
from registry.kernel import policy
from registry.kernel.errors import ExchangeRefused, RegistryError
from registry.kernel.texts.phrases import absolute
from registry.models import User

log = logging.getLogger(__name__)


def start(request: HttpRequest, provider: str) -> HttpResponse:
    """Send a browser to the provider, to sign in."""
    return _leave(request, provider, "login", safe_next(request))


def link(request: HttpRequest, provider: str) -> HttpResponse:
    """Send a browser to the provider, to link an identity there with this account."""
    person(request)
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
        sentence = gettext("{provider} is not responding correctly. Try again in a minute.")
        messages.error(request, sentence.format(provider=provider.name))
        return redirect(page)
    return render(request, "sso/leave.html", {"provider": provider.name, "address": address})


@require_safe
def callback(request: HttpRequest, provider: str) -> HttpResponse:
    """Take a browser that comes back from the provider."""
    if provider not in settings.OIDC_PROVIDERS:
        return _unknown(request, "login")
    answer: HttpResponse = OAuth2CallbackView.adapter_view(OpenIdAdapter(request, provider))(request)
    return answer


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
            identities.record_link(user, account.provider, by=user, removed=True)
        messages.success(request, gettext("Link removed."))
    return redirect("security")


def _unknown(request: HttpRequest, page: str) -> HttpResponse:
    messages.error(request, gettext("This hub has no identity provider with that name. Choose one below."))
    return redirect(page)


BEGUN_BY = "begun_by"  # of a session: the provider by which it began, and the ids of the identity and session there


@csrf_exempt
def end_by_provider(request: HttpRequest, provider: str) -> HttpResponse:
    """End the sessions that a provider says have ended there (back-channel logout); 400 for what it did not sign."""
    answer = HttpResponse(status=400, headers={"Cache-Control": "no-store"})
    if provider not in settings.OIDC_PROVIDERS:
        return answer
    try:
        claims = logout_claims(request.POST.get("logout_token", ""), OpenIdAdapter(request, provider))
        uid = identity_id(claims) if "sub" in claims else ""
    except (ExchangeRefused, OAuth2Error, RequestException, ValueError) as problem:
        log.warning("The identity provider %s ended no session: %s", provider, problem)
        return answer
    people = SocialAccount.objects.filter(provider=provider, **({"uid": uid} if uid else {}))
    for session in UserSession.objects.filter(user__in=people.values("user")).iterator():
        begun_by, begun_uid, session_id = session._session_store(session.session_key).get(BEGUN_BY, ("", "", ""))
        if begun_by == provider and uid in ("", begun_uid) and claims.get("sid", session_id) == session_id:
            session.end()
    answer.status_code = 200
    return answer


FRESH_SECONDS = 60


class SignOnAdapter(DefaultSocialAccountAdapter):  # type: ignore[misc]  # allauth has no types
    """Finds or makes the account of an identity, and applies its groups at each sign-in."""

    def list_apps(self, request: HttpRequest, provider: str | None = None, client_id: str | None = None) -> list[Any]:
        """Return the providers of the settings; the table of allauth stays empty, and is not asked."""
        found = _build_apps_from_settings(provider=provider, client_id=client_id)
        return [app for apps in found.values() for app in apps]

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        """Give the identity its account. Raises ImmediateHttpResponse where there is nothing to sign in to."""
        if sociallogin.state.get("process") == "connect":
            raise ImmediateHttpResponse(_link(request, sociallogin))
        if request.user.is_authenticated and not _is_fresh(sociallogin):  # a session that must prove itself again
            name = settings.OIDC_PROVIDERS[sociallogin.account.provider].label
            sentence = gettext("{provider} did not ask you to sign in again. Try once more.").format(provider=name)
            raise ImmediateHttpResponse(_refused(request, sentence))
        if not sociallogin.is_existing:
            try:
                _admit(sociallogin)
            except (RegistryError, IntegrityError) as refusal:
                detail = refusal.detail if isinstance(refusal, RegistryError) else "Try again."
                sentence = format_html(gettext("You could not be signed in. {reason}"), reason=english(detail))
                raise ImmediateHttpResponse(_refused(request, sentence)) from None
        if sociallogin.user.is_active:
            _apply_groups(sociallogin)
            if request.user.is_authenticated and request.user != sociallogin.user:
                logout(request)  # Django would empty the session later, and what is written below with it
        if not request.user.is_authenticated:
            account, hours = sociallogin.account, settings.OIDC_PROVIDERS[sociallogin.account.provider].session_hours
            request.session[LONGEST] = hours * 3600
            request.session[BEGUN_BY] = [account.provider, account.uid, sociallogin.session_id]

    def on_authentication_error(
        self, request: HttpRequest, provider: Any, error: Any = None, exception: Any = None, extra_context: Any = None
    ) -> None:
        """Send the person back to the sign-in page; the log says why."""
        log.warning("A sign-in by %s failed: %s", provider.app.provider_id, exception or error)
        sentence = gettext("Signing in with {provider} failed or was cancelled. Try again.")
        raise ImmediateHttpResponse(_refused(request, sentence.format(provider=provider.name)))


def _is_fresh(sociallogin: SocialLogin) -> bool:
    """Return whether the person proved to the provider just now who they are, by its own word (auth_time)."""
    at = sociallogin.authenticated_at
    return isinstance(at, int | float) and time.time() - at <= FRESH_SECONDS


def identity_of(sociallogin: SocialLogin) -> identities.Identity:
    """Return what the provider says of a person.

    An address counts as proven only if it says so in these words, and the operator lets it prove such addresses: those
    of its domains, or all where it names none and is the only provider. A person with an address of its domains is let
    in.
    """
    told, domains = sociallogin.account.extra_data, settings.OIDC_PROVIDERS[sociallogin.account.provider].domains
    texts = {name: value for name, value in told.items() if isinstance(value, str)}
    email = texts.get("email", "")
    may_prove = email.rpartition("@")[2].lower() in domains if domains else len(settings.OIDC_PROVIDERS) == 1
    is_proven = may_prove and (told.get("email_verified") is True or texts.get("email_verified") == "true")
    return identities.Identity(
        provider=sociallogin.account.provider,
        username=texts.get("preferred_username", ""),
        email=email,
        email_verified=is_proven,
        full_name=texts.get("name", ""),
        is_let_in=is_proven and bool(domains),
    )


def _admit(sociallogin: SocialLogin) -> None:
    """Give a new identity the account that it belongs to, or a new one. Raises what sign_on.person_for raises."""
    with transaction.atomic():
        user, is_new = identities.person_for(identity_of(sociallogin))
        _store(sociallogin, user)
    if not is_new:
        _tell(user, sociallogin.account.provider)


def _store(sociallogin: SocialLogin, user: User) -> None:
    sociallogin.user = sociallogin.account.user = user
    sociallogin.account.save()
    identities.record_link(user, sociallogin.account.provider, by=user)


def _tell(user: User, provider: str) -> None:
    label = settings.OIDC_PROVIDERS[provider].label
    get_account_adapter().send_notification_mail("socialaccount/email/account_connected", user, {"provider": label})


def _apply_groups(sociallogin: SocialLogin) -> None:
    provider = settings.OIDC_PROVIDERS[sociallogin.account.provider]
    told = sociallogin.account.extra_data.get("groups", [])
    groups = [told] if isinstance(told, str) else told if isinstance(told, list) else []
    identities.apply_groups(sociallogin.user, {group for group in groups if isinstance(group, str)}, provider.groups)
    sociallogin.user.refresh_from_db()


def _link(request: HttpRequest, sociallogin: SocialLogin) -> HttpResponse:
    """Link an identity to the account of the session that asked for it, unless it is somebody else's."""
    user = request.user
    if not isinstance(user, User) or not is_recent(request):
        return _refused(request, gettext("Sign in first, then link the account again."))
    label = settings.OIDC_PROVIDERS[sociallogin.account.provider].label
    if not sociallogin.is_existing:
        with transaction.atomic():
            _store(sociallogin, user)
        _tell(user, sociallogin.account.provider)
        messages.success(request, gettext("You can sign in with {provider} now.").format(provider=label))
    elif sociallogin.user != user:
        sentence = gettext("That account at {provider} is already linked to somebody else here.")
        messages.error(request, sentence.format(provider=label))
    return redirect("security")


def _refused(request: HttpRequest, sentence: str) -> HttpResponse:
    messages.error(request, sentence)
    return redirect("security" if request.user.is_authenticated else "login")


class NewDirectoryToken(Form):
    """A token of the directory."""

    name = text_field(_("Name"), _("The directory that uses it."), maxlength=100)
    days = forms.IntegerField(label=_("Days"), help_text=_("When it expires."), initial=365)


@require_http_methods(["GET", "POST"])
def listed(request: HttpRequest) -> HttpResponse:
    """List the tokens; POST makes one and shows its value in the answer itself, the only time it is ever shown."""
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
        *routing.forms(
            "login",
            "login/with",
            ("<str:provider>", start, "sign-on"),
            ("<str:provider>/logout", end_by_provider, "sign-on-logout"),
        ),
        routing.at("login/with/<str:provider>/callback", callback, "sign-on-callback"),
        *routing.forms(
            "security",
            "settings/security/linked",
            ("with/<str:provider>", recent(link), "link-provider"),
            ("<int:number>/remove", recent(unlink), "unlink-provider"),
        ),
        routing.at(DIRECTORY, for_administrators(recent(listed)), "directory-tokens"),
        *routing.forms(
            "directory-tokens",
            DIRECTORY,
            ("<int:number>/revoke", revoke, "revoke-directory-token"),
            guard=for_administrators,
        ),
    ],
    links=(Link("moderation", "directory-tokens", _("Directory"), place=75, group=SITE, may=policy.is_hub_admin),),
    panels=(
        Panel("sign-in", "sso/buttons.html", _buttons),
        Panel("confirm", "sso/buttons.html", _buttons),
        Panel("security", "sso/linked.html", _linked),
    ),
)
