"""The page of a person's own account: the e-mail address, the data, and leaving."""

from tempfile import SpooledTemporaryFile
from typing import cast
from zipfile import ZIP_DEFLATED, ZipFile

from allauth.account.internal.flows.email_verification import send_verification_email_to_address
from allauth.account.models import EmailAddress
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import logout
from django.http import FileResponse, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext
from django.views.decorators.http import require_POST, require_safe

from hub.site.forms import Form, status_of
from hub.site.forms.account.accounts import Address, Leave
from hub.site.sign_in.reauthentication import needs_recent_authentication
from hub.site.visitor import person
from registry.models import User
from registry.people import addresses
from registry.publish.retention import account_deletion
from registry.talk import letters, personal_data

MEMORY_BYTES = 4 << 20  # of an export; what is larger goes to a temporary file


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
    return _page(request, user, form=form)


@require_POST
def resend(request: HttpRequest) -> HttpResponse:
    """Send the link again, at most once in three minutes."""
    if not _send_link(request, person(request)):
        messages.warning(
            request, gettext("The last letter left less than three minutes ago. Look for it among the junk too.")
        )
    return redirect("account")


@require_POST
@needs_recent_authentication
def export(request: HttpRequest) -> HttpResponse:
    """Send what the hub knows about the person as a zip of JSON documents."""
    user = person(request)
    packed = SpooledTemporaryFile(max_size=MEMORY_BYTES)  # noqa: SIM115  # FileResponse closes it
    with ZipFile(packed, "w", ZIP_DEFLATED) as archive:
        for name, document in personal_data.documents(user):
            archive.writestr(name, document)
    packed.seek(0)
    answer = FileResponse(packed, as_attachment=True, filename=f"{user.username}.zip")
    return cast(HttpResponse, answer)  # a streamed one: middleware takes both


@require_POST
@needs_recent_authentication
def delete(request: HttpRequest) -> HttpResponse:
    user = person(request)
    form = Leave(request.POST, name=user.username)
    if form.is_valid():
        with form:
            address, name = user.email if user.email_verified else "", user.username
            account_deletion.delete_account(user, with_repositories=form.cleaned_data["with_repositories"])
            text = gettext("{name} on {hub} is deleted.").format(name=name, hub=settings.PUBLIC_URL)
            letters.send(address, f"[Dovetail] {gettext('Your account is deleted.')}", f"{text}\n")
            logout(request)
            messages.success(request, gettext("Your account is deleted."))
            return redirect("home")
    return _page(request, user, leave=form)


def _send_link(request: HttpRequest, user: User) -> bool:
    pending = EmailAddress.objects.get_new(user)
    if pending is None or not settings.MAIL_FROM:
        return True
    return bool(send_verification_email_to_address(request, pending))


def _page(request: HttpRequest, user: User, **tried: Form) -> HttpResponse:
    pending = EmailAddress.objects.get_new(user) if settings.MAIL_FROM else None
    forms = {"form": Address(initial={"email": user.email}), "leave": Leave(name=user.username), **tried}
    shown = {**forms, "user": user, "pending": pending}
    return render(request, "site/account.html", shown, status=status_of(tried))
