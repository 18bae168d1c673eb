"""The page on which a person changes the password."""

from allauth.account.adapter import get_adapter
from allauth.account.internal.flows.login import record_authentication
from django.contrib.auth import update_session_auth_hash
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from hub.site import password_attempts
from hub.site.forms import posted
from hub.site.forms.accounts import ChangePassword
from hub.site.sessions import note_use
from hub.site.visitor import person
from registry.kernel.errors import NotAllowed
from registry.people import accounts, tokens


@sensitive_post_parameters("old", "password1", "password2")
@require_http_methods(["GET", "POST"])
def password(request: HttpRequest) -> HttpResponse:
    user = person(request)
    form = ChangePassword(posted(request))
    # Somebody who found an open browser must not guess the password here either.
    if request.method == "POST" and (seconds := password_attempts.wait(request, user.username)):
        form.add_error(None, f"Too many attempts. Wait {seconds} seconds.")
        answer = render(request, "site/password.html", {"form": form}, status=429)
        answer["Retry-After"] = str(seconds)
        return answer
    if form.is_valid():
        with form:
            accounts.change_password(user, form.cleaned_data["old"], form.cleaned_data["password1"])
            password_attempts.succeeded(request, user.username)
            update_session_auth_hash(request, user)  # this session stays, every other one ends
            note_use(request)
            record_authentication(request, user, "password", reauthenticated=True)
            get_adapter(request).send_notification_mail("account/email/password_changed", user)
            revoked = tokens.revoke_all(user, by=user) if form.cleaned_data["revoke_tokens"] else None
            shown = {"form": ChangePassword(), "saved": True, "revoked": revoked}
            return render(request, "site/password.html", shown)
    if isinstance(form.refusal, NotAllowed):
        password_attempts.failed(request, user.username)
    # A wrong password is the form's fault, like every other one here; REST has no such route.
    return render(request, "site/password.html", {"form": form}, status=400 if form.is_bound else 200)
