"""Links by which people join an organisation: its administrators make them, and who opens one becomes a member."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from features.organization_links import verbs
from hub.site import routing
from hub.site.forms import Option, choice_field, posted
from hub.site.organization.organizations import OFFERS, ROLES
from hub.site.panels import Link, Pages, Panel
from hub.site.sign_in.password_sign_in import begin_session
from hub.site.sign_in.registration import Join, NewJoinLink
from hub.site.sign_in.sessions import needs_recent_authentication as recent
from hub.site.visitor import caller, person
from registry.people import accounts
from registry.people.organizations import join_links
from registry.talk import letters


class NewOrganizationLink(NewJoinLink):
    role = choice_field(_("Role"), [(role, Option(role, note)) for role, note in ROLES], "read")
    field_order = ("role", "uses", "days", "email", "note")


def join(request: HttpRequest, secret: str) -> HttpResponse | None:
    """Show who invites to what, and how to accept: with the account of the session, by signing in, or a new account."""
    if (link := verbs.find(secret)) is None:
        return None
    by, lets_in = caller(request), accounts.may_register(to_organization=True) and settings.PASSWORD_SIGN_IN
    form = Join(posted(request) if lets_in else None, initial={"invitation": secret, "email": link.email})
    if by.user is None and form.is_valid():
        given = form.cleaned_data
        with form:
            user, organization = verbs.register(
                secret, given["username"], email=given["email"], password=given["password1"]
            )
            return begin_session(request, user, organization.get_absolute_url(), joined=True)
    context = {
        "link": link,
        "offer": OFFERS[link.role],
        "secret": secret,
        "form": form,
        "is_member": by.user is not None and verbs.is_member(link, by),
        "lets_in": lets_in,
    }
    refused = 403 if request.method == "POST" and not lets_in else form.status
    return render(request, "organization_links/join.html", context, status=refused)


def accept(request: HttpRequest) -> HttpResponse:
    """Become a member with the account that is signed in."""
    person(request)
    return redirect(verbs.accept(request.POST.get("invitation", ""), caller(request)))


@sensitive_post_parameters("email")
@require_http_methods(["GET", "POST"])
def listed(request: HttpRequest, ns: str) -> HttpResponse:
    """List the links; POST makes one, and shows it in the answer itself or sends it."""
    person(request)
    by, name, made = caller(request), accounts.resolve_namespace(ns).name, verbs.Offer()
    rows = verbs.list_open(name, by)
    form = NewOrganizationLink(posted(request))
    if form.is_valid():
        with form:
            made = verbs.offer(name, join_links.Terms(**form.cleaned_data), by)
    is_made = made != verbs.Offer()
    context = {
        "organization": name,
        "form": NewOrganizationLink() if is_made else form,
        "made": made,
        "hint": _link_hint(form.cleaned_data["email"]) if made.link else "",
        "sends": letters.are_sent(),
        "rows": rows,
        "lets_in": accounts.may_register(to_organization=True) and settings.PASSWORD_SIGN_IN,
    }
    return render(request, "organization_links/listed.html", context, status=form.status)


def _link_hint(email: str) -> str:
    sentence = gettext("This hub sends no e-mail: pass the link on to {address} yourself.")
    return sentence.format(address=email) if email else ""


def withdraw(request: HttpRequest, ns: str, number: int) -> HttpResponse:
    person(request)
    name = accounts.resolve_namespace(ns).name
    verbs.withdraw(name, number, caller(request))
    return redirect("organization-links", name)


LINKS = "organizations/<str:ns>/settings/links"
PAGES = Pages(
    routes=[
        *routing.forms("join", "join", ("accept", accept, "accept-join-link")),
        routing.at(LINKS, recent(listed), "organization-links"),
        *routing.forms("organization-links", LINKS, ("<int:number>/withdraw", withdraw, "withdraw-link")),
    ],
    links=(Link("organization", "organization-links", _("Invitation links"), place=15, group=_("Members")),),
    panels=(Panel("invite", "organization_links/sentence.html"),),
    joins=join,
)
