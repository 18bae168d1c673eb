"""A person's settings: the profile and picture that others see, the address, and leaving."""

import zlib
from typing import Any, ClassVar

from allauth.account.internal.flows.email_verification import send_verification_email_to_address
from allauth.account.models import EmailAddress
from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.html import escape
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_safe

from hub.site.forms import Form, Refusals, name_field, posted, status_of, text_field
from hub.site.visitor import person
from registry.kernel.errors import NamespaceNotFound, NameTaken, ValueInvalid
from registry.models import Avatar, User
from registry.people import accounts, profiles
from registry.publish import retirement
from registry.talk import letters


class Profile(Form):
    full_name = text_field(
        _("Full name"), _("Shown on your page. Optional."), required=False, maxlength=200, autocomplete="name"
    )
    bio = text_field(
        _("About you"), _("One or two sentences."), required=False, maxlength=500, widget=forms.Textarea, rows=3
    )
    links = text_field(
        _("Links"),
        _("One address per line, each with https. At most five."),
        required=False,
        widget=forms.Textarea,
        rows=3,
    )

    def clean_links(self) -> list[str]:
        return [line.strip() for line in str(self.cleaned_data["links"]).splitlines() if line.strip()]


class Picture(Form):
    picture = forms.FileField(
        label=_("Picture"),
        help_text=_("PNG, JPEG or WebP, at most 2 MB. It is cut to a square."),
        widget=forms.FileInput(attrs={"accept": "image/png,image/jpeg,image/webp"}),
        error_messages={"required": _("Choose a picture first.")},
    )
    fields_of: ClassVar[Refusals] = {ValueInvalid: "picture"}


class Leave(Form):
    confirm = name_field(_("Your user name"), _("Type it to delete your account."))
    with_repositories = forms.BooleanField(required=False, label=_("Delete my repositories too"))

    def __init__(self, *args: Any, name: str, **options: Any) -> None:
        super().__init__(*args, **options)
        self.name = name

    def clean_confirm(self) -> str:
        typed: str = self.cleaned_data["confirm"].strip()
        if typed != self.name:
            raise forms.ValidationError(
                _("Nothing was deleted. To delete the account, type your name, `{name}`.").format(name=self.name)
            )
        return typed


class Address(Form):
    email = text_field(
        _("E-mail"), _("Only you can see it."), required=False, widget=forms.EmailInput, autocomplete="email"
    )
    fields_of: ClassVar[Refusals] = {ValueInvalid: "email", NameTaken: "email"}


@require_http_methods(["GET", "POST"])
def profile(request: HttpRequest) -> HttpResponse:
    user = person(request)
    form = Profile(posted(request), initial=_initial(user))
    saved = False
    if form.is_valid():
        with form:
            accounts.set_profile(user, by=user, **form.cleaned_data)
            saved = True
    return _profile_page(request, user, form=form, saved=saved)


def set_picture(request: HttpRequest) -> HttpResponse:
    user = person(request)
    picture = Picture(request.POST, request.FILES)
    if picture.is_valid():
        with picture:
            profiles.set_avatar(user, picture.cleaned_data["picture"].read(profiles.MAX_BYTES + 1))
            return redirect("profile")
    return _profile_page(request, user, picture=picture)


def remove_picture(request: HttpRequest) -> HttpResponse:
    profiles.remove_avatar(person(request))
    return redirect("profile")


def _profile_page(request: HttpRequest, user: User, saved: bool = False, **tried: Form) -> HttpResponse:
    forms = {"form": Profile(initial=_initial(user)), "picture": Picture(), **tried}
    shown = {**forms, "saved": saved, "user": user}
    return render(request, "site/profile.html", shown, status=status_of(tried))


def _initial(user: User) -> dict[str, str]:
    return {"full_name": user.full_name, "bio": user.bio, "links": "\n".join(user.links)}


@require_safe
def account(request: HttpRequest) -> HttpResponse:
    return _account_page(request, person(request))


def change_address(request: HttpRequest) -> HttpResponse:
    """Change the address: at once where nothing can be proven, else when the letter to the new one is answered."""
    user = person(request)
    form = Address(request.POST)
    with form:
        email = profiles.check_email(form.cleaned_data["email"])
        if not settings.MAIL_FROM or not email or not user.email_verified:
            profiles.set_address(user, email, verified=False, by=user)
        elif email.lower() != user.email.lower():
            EmailAddress.objects.add_new_email(request, user, email, send_verification=False)
        _send_link(request, user)
        return redirect("account")
    return _account_page(request, user, form=form)


def resend_link(request: HttpRequest) -> HttpResponse:
    """Send the link again, at most once in three minutes."""
    if not _send_link(request, person(request)):
        messages.warning(
            request, gettext("The last e-mail was sent less than three minutes ago. Check your spam folder too.")
        )
    return redirect("account")


def delete_account(request: HttpRequest) -> HttpResponse:
    user = person(request)
    form = Leave(request.POST, name=user.username)
    if form.is_valid():
        with form:
            address, name = user.email if user.email_verified else "", user.username
            retirement.delete_account(user, with_repositories=form.cleaned_data["with_repositories"])
            text = gettext("{name} on {hub} is deleted.").format(name=name, hub=settings.PUBLIC_URL)
            letters.send(address, f"[Dovetail] {gettext('Your account is deleted.')}", f"{text}\n")
            logout(request)
            messages.success(request, gettext("Your account is deleted."))
            return redirect("home")
    return _account_page(request, user, leave=form)


def _send_link(request: HttpRequest, user: User) -> bool:
    pending = EmailAddress.objects.get_new(user)
    if pending is None or not settings.MAIL_FROM:
        return True
    return bool(send_verification_email_to_address(request, pending))


def _account_page(request: HttpRequest, user: User, **tried: Form) -> HttpResponse:
    pending = EmailAddress.objects.get_new(user) if settings.MAIL_FROM else None
    forms = {"form": Address(initial={"email": user.email}), "leave": Leave(name=user.username), **tried}
    shown = {**forms, "user": user, "pending": pending}
    return render(request, "site/account.html", shown, status=status_of(tried))


AVATAR_COLOURS = ("#0b6e5a", "#8a4b0f", "#3d5a98", "#8c3b6a", "#5b6b1f", "#6a4fa3", "#a33b3b", "#1f6f78")
AVATAR = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64" width="64" height="64"><rect width="64" height="64" '
    'rx="14" fill="{colour}"/><text x="32" y="43" font-family="system-ui,sans-serif" font-size="30" font-weight="600" '
    'text-anchor="middle" fill="#fff">{letter}</text></svg>'
)


@require_safe
def picture(request: HttpRequest, name: str) -> HttpResponse:
    """Send the picture of a person who has one. Raises NamespaceNotFound for all others."""
    found = Avatar.objects.filter(user__username__lower=name.lower(), user__is_active=True).first()
    if found is None:
        raise NamespaceNotFound(f"{name!r} has no picture.")
    response = HttpResponse(bytes(found.webp), content_type="image/webp")
    response["Cache-Control"] = "public, max-age=60"  # who removes it, or is suspended, expects it to go
    response["Content-Security-Policy"] = "default-src 'none'"
    return response


@require_safe
def avatar(request: HttpRequest, name: str) -> HttpResponse:
    """Draw a picture for any name, also one that nobody has: it says nothing about who is here."""
    colour = AVATAR_COLOURS[zlib.crc32(name.lower().encode("utf-8", "replace")) % len(AVATAR_COLOURS)]
    letter = escape(name[:1].upper())
    response = HttpResponse(AVATAR.format(colour=colour, letter=letter), content_type="image/svg+xml")
    response["Cache-Control"] = "public, max-age=604800"
    return response
