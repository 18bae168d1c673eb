"""Joining: with a new account, by a link of the hub's administrators, or by a link of an organisation."""

from django import forms
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext, gettext_noop
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from hub.site.administration import for_administrators
from hub.site.forms import Form, Named, Option, choice_field, name_field, posted, text_field
from hub.site.organization.organizations import OFFERS, ROLES
from hub.site.sign_in.password_sign_in import PASSWORD_HELP, TwoPasswords, begin_session, new_password
from hub.site.visitor import caller, person
from hub.site.words import english
from registry.kernel import site_settings
from registry.kernel.errors import InvitationNotFound, RegistryError
from registry.kernel.texts.phrases import absolute
from registry.models import JoinLink
from registry.people import accounts
from registry.people.organizations import join_links, organization_links
from registry.people.organizations.join_links import Terms
from registry.talk import letters
from registry.talk.letters import Offer, invitation_address

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
    password2 = new_password(_("The same password again"))

    def field_of(self, refusal: RegistryError) -> str | None:
        """Tell the fields apart by the refusal's sentence: those of password and e-mail have the same type."""
        for word, field in (("password", "password1"), ("mail", "email")):
            if word in refusal.detail.lower():
                return field
        return "username"


class NewJoinLink(Form):
    uses = forms.IntegerField(label=_("People"), help_text=_("How many may join by it."), initial=1)
    days = forms.IntegerField(label=_("Days"), help_text=_("How long it works."), initial=7)
    email = text_field(
        _("Send it to"), _("May stay empty: then you pass the link on."), required=False, widget=forms.EmailInput
    )
    note = text_field(_("Note"), _("For yourself and the other administrators."), required=False, maxlength=200)


class NewOrganizationLink(NewJoinLink):
    role = choice_field(_("Role"), [(role, Option(role, note)) for role, note in ROLES], "read")
    field_order = ("role", "uses", "days", "email", "note")


@sensitive_post_parameters("password1", "password2")
@require_http_methods(["GET", "POST"])
def join(request: HttpRequest) -> HttpResponse:
    """Make an account where people may; who opens a link to an organisation becomes a member there."""
    secret = request.POST.get("invitation") or request.GET.get("invitation", "")
    if link := join_links.find_of_organization(secret):
        return join_organization(request, link, secret)
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
        return gettext("This hub takes no new accounts.")
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


def join_organization(request: HttpRequest, link: JoinLink, secret: str) -> HttpResponse:
    """Show who invites to what, and how to accept: with the account of the session, by signing in, or a new account."""
    by, lets_in = caller(request), accounts.may_register(to_organization=True) and settings.PASSWORD_SIGN_IN
    form = Join(posted(request) if lets_in else None, initial={"invitation": secret, "email": link.email})
    if by.user is None and form.is_valid():
        given = form.cleaned_data
        with form:
            user, organization = organization_links.register(
                secret, given["username"], email=given["email"], password=given["password1"]
            )
            return begin_session(request, user, organization.get_absolute_url(), joined=True)
    context = {
        "link": link,
        "offer": OFFERS[link.role],
        "secret": secret,
        "form": form,
        "is_member": by.user is not None and organization_links.is_member(link, by),
        "lets_in": lets_in,
    }
    refused = 403 if request.method == "POST" and not lets_in else form.status
    return render(request, "site/organization_join.html", context, status=refused)


def accept_link(request: HttpRequest) -> HttpResponse:
    """Become a member with the account that is signed in."""
    person(request)
    return redirect(organization_links.accept(request.POST.get("invitation", ""), caller(request)))


@sensitive_post_parameters("email")
@require_http_methods(["GET", "POST"])
def organization_links_page(request: HttpRequest, ns: str) -> HttpResponse:
    """List the links; POST makes one, and shows it in the answer itself or sends it."""
    person(request)
    by, name, made = caller(request), accounts.resolve_namespace(ns).name, Offer()
    rows = organization_links.list_open(name, by)
    form = NewOrganizationLink(posted(request))
    if form.is_valid():
        with form:
            made = letters.offer_invitation(name, Terms(**form.cleaned_data), by)
    is_made = made != Offer()
    context = {
        "organization": name,
        "form": NewOrganizationLink() if is_made else form,
        "made": made,
        "hint": _link_hint(form.cleaned_data["email"]) if made.link else "",
        "sends": letters.are_sent(),
        "rows": rows,
        "lets_in": accounts.may_register(to_organization=True) and settings.PASSWORD_SIGN_IN,
    }
    return render(request, "site/organization_links.html", context, status=form.status)


def _link_hint(email: str) -> str:
    sentence = gettext("This hub sends no mail: pass the link on to {address} yourself.")
    return sentence.format(address=email) if email else ""


def withdraw_link(request: HttpRequest, ns: str, number: int) -> HttpResponse:
    person(request)
    name = accounts.resolve_namespace(ns).name
    organization_links.withdraw(name, number, caller(request))
    return redirect("organization-links", name)


@require_http_methods(["GET", "POST"])
@for_administrators
def join_links_page(request: HttpRequest) -> HttpResponse:
    """List the links; POST makes one and shows it in the answer itself, the only time it is ever shown."""
    by, link, hint = caller(request), "", ""
    rows = join_links.list_open(by)
    form = NewJoinLink(posted(request))
    if form.is_valid():
        with form:
            terms = Terms(**form.cleaned_data)
            link = invitation_address(join_links.create(terms, by))
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
    return gettext("This hub sends no mail: pass it on to {address} yourself.").format(address=email)


@for_administrators
def revoke_link(request: HttpRequest, number: int) -> HttpResponse:
    join_links.revoke(number, caller(request))
    return redirect("join-links")
