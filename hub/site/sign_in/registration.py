"""Joining: with a new account, or by a link of the hub's administrators."""

from typing import ClassVar

from django import forms
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext, gettext_noop
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from hub.site import panels
from hub.site.forms import Form, Named, Refusals, name_field, posted, text_field
from hub.site.sign_in.password_sign_in import PASSWORD_HELP, TwoPasswords, begin_session, new_password
from hub.site.sign_in.sessions import for_administrators
from hub.site.visitor import caller
from hub.site.words import english
from registry.kernel import site_settings
from registry.kernel.errors import InvitationNotFound, RegistryError, ValueInvalid
from registry.kernel.texts.phrases import absolute
from registry.people import accounts
from registry.people.organizations import join_links
from registry.talk import letters

JOIN_LETTER = gettext_noop("""{by} invites you to {hub}, a registry of adapters.

Choose a name and a password within {days} days:
{link}
""")


class Join(Named, TwoPasswords):
    named_by = "username"
    invitation = forms.CharField(required=False, max_length=100, widget=forms.HiddenInput)
    username = name_field(
        _("User name"),
        _("The first part of your adapters' names. Letters, digits, `-` `_` `.`"),
        autocomplete="username",
    )
    email = text_field(_("E-mail"), widget=forms.EmailInput, autocomplete="email")
    password1 = new_password(_("Password"), PASSWORD_HELP)
    password2 = new_password(_("Repeat the password"))
    fields_of: ClassVar[Refusals] = {ValueInvalid: "password1", RegistryError: "username"}


class NewJoinLink(Form):
    uses = forms.IntegerField(label=_("People"), help_text=_("How many people may use it."), initial=1)
    days = forms.IntegerField(label=_("Days"), help_text=_("When it expires."), initial=7)
    email = text_field(
        _("Send it to"),
        _("Optional. Without one, you pass the link on yourself."),
        required=False,
        widget=forms.EmailInput,
    )
    note = text_field(_("Note"), _("For yourself and the other administrators."), required=False, maxlength=200)


@sensitive_post_parameters("password1", "password2")
@require_http_methods(["GET", "POST"])
def join(request: HttpRequest) -> HttpResponse:
    """Make an account where people may; features have other links, by which people join more than the hub."""
    secret = request.POST.get("invitation") or request.GET.get("invitation", "")
    for feature in panels.mounted:
        if answer := feature.joins(request, secret):
            return answer
    if request.user.is_authenticated:
        if secret:
            join_links.find(secret)
        return redirect("home")
    if closed := _why_closed(secret):
        return render(request, "site/join.html", {"closed": closed}, status=403)
    ended = _why_ended(secret) if secret else ""
    address = join_links.find(secret).email if secret and not ended else ""
    form = Join(posted(request), initial={"invitation": secret, "email": address})
    if form.is_valid():
        given = form.cleaned_data
        with form:
            user = accounts.register(
                given["username"], email=given["email"], password=given["password1"], invitation=secret
            )
            return begin_session(request, user, f"{reverse('tokens')}?welcome=1", joined=True)
    return render(request, "site/join.html", {"form": form, "ended": ended}, status=form.status)


def _why_closed(secret: str) -> str:
    """Return why nobody may join now, or an empty text: registration is open, or the invitation is good."""
    if not settings.PASSWORD_SIGN_IN:
        return gettext("People join this hub by signing in with its identity provider.")
    registration = site_settings.get_setting("registration")
    if registration == "open":
        return ""
    if registration == "closed":
        return gettext("This hub does not accept new accounts.")
    if not secret:
        return gettext("People join this hub by invitation.")
    return _why_ended(secret)


def _why_ended(secret: str) -> str:
    """Return why the link to the hub lets nobody in, or an empty text."""
    try:
        join_links.find(secret)
    except InvitationNotFound as refusal:
        return english(refusal.detail)
    return ""


@require_http_methods(["GET", "POST"])
def join_links_page(request: HttpRequest) -> HttpResponse:
    """List the links; POST makes one and shows it in the answer itself, the only time it is ever shown."""
    by, link, hint = caller(request), "", ""
    rows = join_links.list_open(by)
    form = NewJoinLink(posted(request))
    if form.is_valid():
        with form:
            terms = join_links.Terms(**form.cleaned_data)
            link = letters.invitation_address(join_links.create(terms, by))
            hint = _join_link_hint(terms.email)
            words = {"by": by.user, "hub": absolute(reverse("home")), "days": terms.days, "link": link}
            letters.send(terms.email, f"[Dovetail] {gettext('You are invited')}", gettext(JOIN_LETTER).format(**words))
    registration = site_settings.get_setting("registration")
    fresh = NewJoinLink() if link else form
    context = {"form": fresh, "link": link, "hint": hint, "rows": rows, "registration": registration}
    return render(request, "site/join_links.html", context, status=form.status)


def _join_link_hint(email: str) -> str:
    """Return the sentence about the address of a new link, "" for a link without one."""
    if not email:
        return ""
    if letters.are_sent():
        return gettext("It went to {address}.").format(address=email)
    return gettext("This hub sends no e-mail: pass it on to {address} yourself.").format(address=email)


@for_administrators
def revoke_link(request: HttpRequest, number: int) -> HttpResponse:
    join_links.revoke(number, caller(request))
    return redirect("join-links")
