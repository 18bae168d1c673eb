"""Organisations on the website: found one, see one's own and who asks one in; for administrators all about one."""

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from hub.errors import status_with
from hub.site.visitor import caller, person
from registry.kernel import policy
from registry.kernel.errors import RegistryError, ValueInvalid
from registry.kernel.policy import Caller
from registry.models import Organization
from registry.people import accounts, invitations, organizations
from registry.publish import moves
from registry.talk import alerts

ROLES = (
    ("read", "sees and pulls everything, private adapters too"),
    ("contributor", "makes adapters, and pushes to those"),
    ("write", "pushes to all of them"),
    ("admin", "does that, changes settings, and decides who is in"),
)

OFFERS = {
    "read": "You would see and pull everything there.",
    "contributor": "You would see everything there, make adapters, and push to those.",
    "write": "You would push to all its adapters.",
    "admin": "You would push to all its adapters, change its settings, and decide who is in.",
}


@require_http_methods(["GET", "POST"])
def listed(request: HttpRequest) -> HttpResponse:
    """The organisations that one is in, and those that ask one in; POST leaves, accepts or declines."""
    user, by, error = person(request), caller(request), None
    if request.method == "POST":
        try:
            return HttpResponseRedirect(_answer(request, by))
        except RegistryError as refused:
            error = refused
    alerts.saw(user, [alerts.Kind.INVITED])
    mine = user.memberships.select_related("organization__namespace").order_by("organization__namespace__name")
    asked = [(row, OFFERS[row.role]) for row in invitations.received(by)]
    shown = {"memberships": mine, "invitations": asked, "error": error}
    return render(request, "site/organizations.html", shown, status=status_with(error))


def _answer(request: HttpRequest, by: Caller) -> str:
    """Do what the button says, and return where to go on."""
    here = reverse("organizations")
    if "accept" in request.POST:
        return invitations.accept(request.POST["accept"], by).organization.get_absolute_url()
    if "decline" in request.POST:
        invitations.decline(request.POST["decline"], by)
        return here
    organizations.leave(request.POST.get("leave", ""), by)
    return here


@require_http_methods(["GET", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """The form for a new one; its founder administers it."""
    person(request)
    error = None
    if request.method == "POST":
        try:
            made = organizations.begin(
                request.POST.get("name", "").strip(),
                caller(request),
                full_name=request.POST.get("full_name", ""),
                private_by_default=request.POST.get("visibility") == "private",
            )
            return HttpResponseRedirect(f"{reverse('organization-settings', args=[made])}?welcome=1")
        except RegistryError as refused:
            error = refused
    shown = {"given": request.POST, "error": error}
    return render(request, "site/organization_new.html", shown, status=status_with(error))


@require_http_methods(["GET", "POST"])
def settings(request: HttpRequest, ns: str) -> HttpResponse:
    """An organisation as its administrators see it; POST does what the button says."""
    by, error = caller(request), None
    person(request)
    organization = organizations.administered(accounts.addressed(ns).name, by)
    here = reverse("organization-settings", args=[organization])
    if request.method == "POST":
        try:
            return HttpResponseRedirect(_do(request, organization, here))
        except RegistryError as refused:
            error = refused
    elif str(organization) != ns:
        return HttpResponseRedirect(here, status=307)
    shown = {
        "organization": organization,
        "members": organizations.members(str(organization), by),
        "invitations": invitations.sent(str(organization), by),
        "adds": policy.is_hub_admin(by),
        "may_create": by.roles.get(organization.namespace_id) in policy.CREATORS,
        "roles": ROLES,
        "given": request.POST,
        "error": error,
        "welcome": "welcome" in request.GET,
    }
    return render(request, "site/organization_settings.html", shown, status=status_with(error))


def _do(request: HttpRequest, organization: Organization, here: str) -> str:
    """Do what the button says, and return where to go on."""
    given, by, name = request.POST, caller(request), str(organization)
    match given.get("do"):
        case "change":
            organizations.change(
                organization,
                full_name=given.get("full_name", ""),
                private_by_default=given.get("visibility") == "private",
                by=by.user,
            )
        case "member":
            invitations.let_in(name, given.get("username", "").strip(), given.get("role", ""), by)
        case "invite":
            invitations.welcome(name, given.get("username", "").strip(), given.get("role", ""), by)
        case "withdraw":
            invitations.withdraw(name, given.get("username", ""), by)
        case "drop":
            organizations.drop_member(name, given.get("username", ""), by)
        case "rename":
            return reverse("organization-settings", args=[moves.rename(name, given.get("name", "").strip(), by)])
        case "delete":
            return _delete(name, given.get("confirm", ""), by)
        case _:
            raise ValueInvalid("The form does not say what to do.", fix="Use the buttons of the page.")
    return here if policy.administers(Caller(user=by.user), organization) else organization.get_absolute_url()


def _delete(name: str, confirm: str, by: Caller) -> str:
    if confirm.strip() != name:
        raise ValueInvalid(f"{name} was not deleted.", fix=f"Type its name, {name}, to delete it.")
    organizations.delete(name, by)
    return reverse("organizations")
