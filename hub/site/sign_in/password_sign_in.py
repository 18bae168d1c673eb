"""Signing in and out by password, and changing it; guessing is slowed by longer waits, never by a lock-out.

Two counts lead to a wait: wrong passwords of one address for one account, and of one address for any account. Nothing
is refused because of what other addresses did: a stranger cannot keep the owner out.
"""

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from allauth.account.adapter import get_adapter
from allauth.account.internal.flows.login import record_authentication
from allauth.account.utils import perform_login
from django import forms
from django.conf import settings
from django.contrib import auth
from django.contrib.auth import logout, update_session_auth_hash
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_safe

from hub.addresses import network_of
from hub.server import shared_cache
from hub.site.forms import Form, Refusals, name_field, posted, text_field
from hub.site.sign_in.sessions import note_use
from hub.site.visitor import person, safe_next
from registry.kernel import site_settings
from registry.kernel.errors import NotAllowed, RegistryError, TooOften, ValueInvalid
from registry.models import User
from registry.people import accounts, sign_ins
from registry.people.tokens import tokens

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

FREE_TRIES = {"pair": 5, "address": 20}
LONGEST_WAIT = 900  # seconds
REMEMBERED_SECONDS = 24 * 3600


def authenticate(request: HttpRequest, name: str, password: str) -> User:
    """Return the person with this user name, or confirmed e-mail address, and password.

    Raises NotAllowed, and what `count_attempt` raises: an account is the same one under its name and its address.
    """
    named = User.objects.filter(email_verified=True, email__iexact=name) if "@" in name else User.objects.none()
    username = named.values_list("username", flat=True).first() or name
    with count_attempt(request, username):
        user = auth.authenticate(request, username=username, password=password)
        if not isinstance(user, User):
            raise NotAllowed("Wrong user name or password.", fix="Check both and try again.")
        return user


@contextmanager
def count_attempt(request: HttpRequest, username: str) -> Iterator[None]:
    """Count what the block finds of a password: it raises NotAllowed for a wrong one, and nothing for the right one.

    Raises TooOften, whose fact `seconds` is the wait, while this address may not try this account.
    """
    if seconds := _wait(request, username):
        raise TooOften("Too many attempts.", fix=f"Wait {seconds} seconds, then try again.", seconds=seconds)
    try:
        yield
    except NotAllowed:
        _count_failure(request, username)
        raise
    # Only the failures for this account are forgotten: one good account must not free a guesser.
    key = _keys(request, username)["pair"]
    shared_cache.forget(f"{key}:count", f"{key}:until")


def render_again(
    request: HttpRequest, page: str, values: dict[str, object], refusal: RegistryError | None
) -> HttpResponse:
    """Show a page with its form again: a wrong password is the form's fault, like every other one; REST has no such."""
    answer = render(request, page, values, status=429 if isinstance(refusal, TooOften) else 400)
    if refusal and "seconds" in refusal.facts:
        answer["Retry-After"] = str(refusal.facts["seconds"])
    return answer


def _wait(request: HttpRequest, username: str) -> int:
    """Return the seconds until this address may try this account again; 0 when now is fine."""
    if site_settings.get_setting("throttle") == "off":
        return 0
    until = shared_cache.recall(*(f"{key}:until" for key in _keys(request, username).values()))
    return max(0, round(max(until) - time.time() + 0.5))


def _count_failure(request: HttpRequest, username: str) -> None:
    """Count a wrong password: after the free tries the wait doubles each time, up to 15 minutes."""
    counts = {}
    for kind, key in _keys(request, username).items():
        counts[kind] = count = shared_cache.count(f"{key}:count", REMEMBERED_SECONDS)
        if count >= FREE_TRIES[kind]:
            pause = min(LONGEST_WAIT, 2 ** min(count - FREE_TRIES[kind], 10))
            shared_cache.remember(f"{key}:until", time.time() + pause, REMEMBERED_SECONDS)
    everywhere = shared_cache.count(f"signin:account:{_digest(username)}:count", REMEMBERED_SECONDS)
    sign_ins.record_failure(username.strip(), count=everywhere, from_address=counts["address"])


def _keys(request: HttpRequest, username: str) -> dict[str, str]:
    network = network_of(request)
    return {"pair": f"signin:pair:{_digest(username)}:{network}", "address": f"signin:address:{network}"}


def _digest(username: str) -> str:
    return hashlib.sha256(username.strip().lower().encode("utf-8", "replace")).hexdigest()


def begin_session(
    request: HttpRequest, user: User, target: str, *, joined: bool = False, by: str = "password"
) -> HttpResponse:
    """Begin the session of a person who gave the right password or link, or ask for the second factor first."""
    record_authentication(request, user, by, reauthenticated=True)
    answer: HttpResponse = perform_login(request, user, redirect_url=target, signup=joined)
    return answer


PASSWORD_HELP = _("At least 12 characters. A sentence works well.")


def new_password(label: "StrOrPromise", help_text: "StrOrPromise" = "") -> forms.CharField:
    field: forms.CharField = text_field(
        label, help_text, widget=forms.PasswordInput, autocomplete="new-password", minlength=12
    )
    return field


class TwoPasswords(Form):
    """A form with a new password, typed twice."""

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if cleaned.get("password1") != cleaned.get("password2"):
            self.add_error("password2", _("The two passwords do not match."))
        return cleaned


class SignIn(Form):
    username = name_field(_("User name or e-mail address"), autocomplete="username")
    password = text_field(_("Password"), widget=forms.PasswordInput, autocomplete="current-password")


class ChangePassword(TwoPasswords):
    old = text_field(_("Current password"), widget=forms.PasswordInput, autocomplete="current-password")
    password1 = new_password(_("New password"), PASSWORD_HELP)
    password2 = new_password(_("Repeat the new password"))
    revoke_tokens = forms.BooleanField(required=False, label=_("Revoke my access tokens too"))
    fields_of: ClassVar[Refusals] = {NotAllowed: "old", ValueInvalid: "password1"}


@sensitive_post_parameters("password")
@require_http_methods(["GET", "POST"])
def sign_in(request: HttpRequest) -> HttpResponse:
    target = safe_next(request)
    if request.user.is_authenticated:
        return redirect(target)
    form = SignIn(posted(request))
    if request.method == "GET":
        return render(request, "site/login.html", {"form": form, "next": target})
    if not settings.PASSWORD_SIGN_IN:
        form.add_error(None, gettext("This hub does not use passwords. Sign in with the button below."))
        return render(request, "site/login.html", {"form": form, "next": target}, status=403)
    username = request.POST.get("username", "").strip()
    try:
        user = authenticate(request, username, request.POST.get("password", ""))
    except (NotAllowed, TooOften) as refusal:
        form.refuse(refusal)
        return render_again(request, "site/login.html", {"form": form, "next": target}, refusal)
    return begin_session(request, user, target)


@require_http_methods(["GET", "POST"])
def sign_in_once(request: HttpRequest, key: str) -> HttpResponse:
    """Sign an administrator in by a button, so that no preview of the link uses it up; a second factor is asked for."""
    if request.method == "GET":
        user = sign_ins.find(key)
        return render(request, "site/once.html", {"user": user, "key": key}, status=200 if user else 404)
    user = sign_ins.use(key)
    if user is None:
        return render(request, "site/once.html", {"user": None}, status=404)
    return begin_session(request, user, reverse("home"), by="link")


@require_safe
def confirm(request: HttpRequest) -> HttpResponse:
    """Show how a person without a password proves again who they are."""
    person(request)
    return render(request, "account/reauthenticate.html", {"redirect_field_value": safe_next(request)})


def sign_out(request: HttpRequest) -> HttpResponse:
    logout(request)
    return redirect("home")


@sensitive_post_parameters("old", "password1", "password2")
@require_http_methods(["GET", "POST"])
def change_password(request: HttpRequest) -> HttpResponse:
    user = person(request)
    form = ChangePassword(posted(request))
    if form.is_valid():
        with form:
            # Somebody who found an open browser must not guess the password here either.
            with count_attempt(request, user.username):
                accounts.change_password(user, form.cleaned_data["old"], form.cleaned_data["password1"])
            update_session_auth_hash(request, user)  # this session stays, every other one ends
            note_use(request)
            record_authentication(request, user, "password", reauthenticated=True)
            get_adapter(request).send_notification_mail("account/email/password_changed", user)
            revoked = tokens.revoke_all(user, by=user) if form.cleaned_data["revoke_tokens"] else None
            shown = {"form": ChangePassword(), "saved": True, "revoked": revoked}
            return render(request, "site/password.html", shown)
    if form.is_bound:
        return render_again(request, "site/password.html", {"form": form}, form.refusal)
    return render(request, "site/password.html", {"form": form})
