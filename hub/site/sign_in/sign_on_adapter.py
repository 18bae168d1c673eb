"""The hub's answers to allauth when a person comes back from an identity provider."""

import logging
import time
from typing import Any

from allauth.account.adapter import get_adapter as get_account_adapter
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter, _build_apps_from_settings
from allauth.socialaccount.models import SocialLogin
from django.conf import settings
from django.contrib import messages
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.html import format_html
from django.utils.translation import gettext

from hub.site.sign_in import reauthentication
from hub.site.words import english
from registry.kernel.errors import RegistryError
from registry.models import User
from registry.people import sign_on

log = logging.getLogger(__name__)
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
            sentence = gettext("{provider} did not ask you again who you are. Try once more.").format(provider=name)
            raise ImmediateHttpResponse(_refused(request, sentence))
        if not sociallogin.is_existing:
            try:
                _admit(sociallogin)
            except (RegistryError, IntegrityError) as refusal:
                detail = refusal.detail if isinstance(refusal, RegistryError) else "Try again."
                sentence = format_html(gettext("No account could be made. {reason}"), reason=english(detail))
                raise ImmediateHttpResponse(_refused(request, sentence)) from None
        if sociallogin.user.is_active:
            _apply_groups(sociallogin)

    def on_authentication_error(
        self, request: HttpRequest, provider: Any, error: Any = None, exception: Any = None, extra_context: Any = None
    ) -> None:
        """Send the person back to the sign-in page; the log says why."""
        log.warning("A sign-in by %s failed: %s", provider.app.provider_id, exception or error)
        sentence = gettext("Signing in with {provider} did not work, or was called off. Try again.")
        raise ImmediateHttpResponse(_refused(request, sentence.format(provider=provider.name)))


def _is_fresh(sociallogin: SocialLogin) -> bool:
    """Return whether the person proved to the provider just now who they are, by its own word (auth_time)."""
    at = sociallogin.authenticated_at
    return isinstance(at, int | float) and time.time() - at <= FRESH_SECONDS


def identity_of(sociallogin: SocialLogin) -> sign_on.Identity:
    """Return what the provider says of a person; an address counts as proven only if it says so in these words."""
    told = sociallogin.account.extra_data
    texts = {name: value for name, value in told.items() if isinstance(value, str)}
    return sign_on.Identity(
        provider=sociallogin.account.provider,
        username=texts.get("preferred_username", ""),
        email=texts.get("email", ""),
        email_verified=told.get("email_verified") is True or texts.get("email_verified") == "true",
        full_name=texts.get("name", ""),
    )


def _admit(sociallogin: SocialLogin) -> None:
    """Give a new identity the account that it belongs to, or a new one. Raises what sign_on.person_for raises."""
    with transaction.atomic():
        user, is_new = sign_on.person_for(identity_of(sociallogin))
        _store(sociallogin, user)
    if not is_new:
        _tell(user, sociallogin.account.provider)


def _store(sociallogin: SocialLogin, user: User) -> None:
    sociallogin.user = sociallogin.account.user = user
    sociallogin.account.save()
    sign_on.record_link(user, sociallogin.account.provider, by=user)


def _tell(user: User, provider: str) -> None:
    label = settings.OIDC_PROVIDERS[provider].label
    get_account_adapter().send_notification_mail("socialaccount/email/account_connected", user, {"provider": label})


def _apply_groups(sociallogin: SocialLogin) -> None:
    provider = settings.OIDC_PROVIDERS[sociallogin.account.provider]
    told = sociallogin.account.extra_data.get("groups", [])
    groups = [told] if isinstance(told, str) else told if isinstance(told, list) else []
    sign_on.apply_groups(sociallogin.user, {group for group in groups if isinstance(group, str)}, provider.groups)
    sociallogin.user.refresh_from_db()


def _link(request: HttpRequest, sociallogin: SocialLogin) -> HttpResponse:
    """Link an identity to the account of the session that asked for it, unless it is somebody else's."""
    user = request.user
    if not isinstance(user, User) or not reauthentication.is_recent(request):
        return _refused(request, gettext("Sign in first, then link the account again."))
    label = settings.OIDC_PROVIDERS[sociallogin.account.provider].label
    if not sociallogin.is_existing:
        with transaction.atomic():
            _store(sociallogin, user)
        _tell(user, sociallogin.account.provider)
        messages.success(request, gettext("You can sign in with {provider} now.").format(provider=label))
    elif sociallogin.user != user:
        sentence = gettext("That account at {provider} signs in somebody else here already.")
        messages.error(request, sentence.format(provider=label))
    return redirect("security")


def _refused(request: HttpRequest, sentence: str) -> HttpResponse:
    messages.error(request, sentence)
    return redirect("security" if request.user.is_authenticated else "login")
