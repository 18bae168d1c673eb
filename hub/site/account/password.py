"""The page on which a person changes the password."""

from allauth.account.adapter import get_adapter
from allauth.account.internal.flows.login import record_authentication
from django.contrib.auth import update_session_auth_hash
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from hub.site.account.sessions import note_use
from hub.site.forms import posted
from hub.site.forms.account.accounts import ChangePassword
from hub.site.sign_in import password_attempts
from hub.site.visitor import person
from registry.people import accounts
from registry.people.tokens import tokens


@sensitive_post_parameters("old", "password1", "password2")
@require_http_methods(["GET", "POST"])
def password(request: HttpRequest) -> HttpResponse:
    user = person(request)
    form = ChangePassword(posted(request))
    if form.is_valid():
        with form:
            # Somebody who found an open browser must not guess the password here either.
            with password_attempts.counted(request, user.username):
                accounts.change_password(user, form.cleaned_data["old"], form.cleaned_data["password1"])
            update_session_auth_hash(request, user)  # this session stays, every other one ends
            note_use(request)
            record_authentication(request, user, "password", reauthenticated=True)
            get_adapter(request).send_notification_mail("account/email/password_changed", user)
            revoked = tokens.revoke_all(user, by=user) if form.cleaned_data["revoke_tokens"] else None
            shown = {"form": ChangePassword(), "saved": True, "revoked": revoked}
            return render(request, "site/password.html", shown)
    if form.is_bound:
        return password_attempts.shown_again(request, "site/password.html", {"form": form}, form.refusal)
    return render(request, "site/password.html", {"form": form})
