"""Links by which people join an organisation: its administrators make and withdraw them, who opens one accepts."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from hub.site.forms import posted
from hub.site.forms.account.accounts import Join, NewOrganizationLink
from hub.site.organization.organizations import OFFERS
from hub.site.sign_in.password_attempts import signed_in
from hub.site.visitor import caller, person
from registry.models import JoinLink
from registry.people import accounts
from registry.people.organizations import organization_links
from registry.people.organizations.join_links import Terms
from registry.talk import letters
from registry.talk.letters import Offer


# --- by administrators of the organisation ----------------------------------------------------------------------------
@sensitive_post_parameters("email")
@require_http_methods(["GET", "POST"])
def listed(request: HttpRequest, ns: str) -> HttpResponse:
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
        "hint": _hint(form.cleaned_data["email"]) if made.link else "",
        "sends": letters.are_sent(),
        "rows": rows,
        "lets_in": accounts.may_register(to_organization=True) and settings.PASSWORD_SIGN_IN,
    }
    return render(request, "site/organization_links.html", context, status=form.status)


def _hint(email: str) -> str:
    sentence = gettext("This hub sends no mail: pass the link on to {address} yourself.")
    return sentence.format(address=email) if email else ""


@require_POST
def withdraw(request: HttpRequest, ns: str, number: int) -> HttpResponse:
    person(request)
    name = accounts.resolve_namespace(ns).name
    organization_links.withdraw(name, number, caller(request))
    return redirect("organization-links", name)


# --- by who opens a link ----------------------------------------------------------------------------------------------
def join(request: HttpRequest, link: JoinLink, secret: str) -> HttpResponse:
    """Show who invites to what, and how to accept: with the account of the session, by signing in, or a new account."""
    by, lets_in = caller(request), accounts.may_register(to_organization=True) and settings.PASSWORD_SIGN_IN
    form = Join(posted(request) if lets_in else None, initial={"invitation": secret, "email": link.email})
    if by.user is None and form.is_valid():
        given = form.cleaned_data
        with form:
            user, organization = organization_links.register(
                secret, given["username"], email=given["email"], password=given["password1"]
            )
            return signed_in(request, user, organization.get_absolute_url(), joined=True)
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


@require_POST
def accept(request: HttpRequest) -> HttpResponse:
    """Become a member with the account that is signed in."""
    person(request)
    return redirect(organization_links.accept(request.POST.get("invitation", ""), caller(request)))
