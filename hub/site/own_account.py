"""The page of a person's own account: the e-mail address, the data, and leaving."""

from allauth.account.internal.flows.email_verification import send_verification_email_to_address
from allauth.account.models import EmailAddress
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from hub.site.forms.accounts import Address
from hub.site.reauthentication import needs_recent_authentication
from hub.site.visitor import person
from registry.models import User
from registry.people import addresses


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    return _page(request, person(request))


@require_POST
@needs_recent_authentication
def change_address(request: HttpRequest) -> HttpResponse:
    """Change the address: at once where nothing can be proven, else when the letter to the new one is answered."""
    user = person(request)
    form = Address(request.POST)
    with form:
        email = addresses.check_email(form.cleaned_data["email"])
        if not settings.MAIL_FROM or not email or not user.email_verified:
            addresses.set_address(user, email, verified=False, by=user)
        elif email.lower() != user.email.lower():
            EmailAddress.objects.add_new_email(request, user, email, send_verification=False)
        _send_link(request, user)
        return redirect("account")
    return _page(request, user, form)


@require_POST
def resend(request: HttpRequest) -> HttpResponse:
    """Send the link again, at most once in three minutes."""
    if not _send_link(request, person(request)):
        messages.warning(request, "The last letter left less than three minutes ago. Look for it among the junk too.")
    return redirect("account")


def _send_link(request: HttpRequest, user: User) -> bool:
    pending = EmailAddress.objects.get_new(user)
    if pending is None or not settings.MAIL_FROM:
        return True
    return bool(send_verification_email_to_address(request, pending))


def _page(request: HttpRequest, user: User, form: Address | None = None) -> HttpResponse:
    pending = EmailAddress.objects.get_new(user)
    form = form or Address(initial={"email": user.email})
    shown = {"form": form, "user": user, "pending": pending if settings.MAIL_FROM else None}
    return render(request, "site/account.html", shown, status=form.status)
