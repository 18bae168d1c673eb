"""Organisations on the website: found one, see one's own, and for administrators its name, visibility and members."""

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from hub.errors import face
from hub.site.visitor import caller, person
from registry import organizations
from registry.errors import RegistryError, ValueInvalid
from registry.models import Membership, Organization

ROLES = (
    ("read", "sees and pulls everything, private adapters too"),
    ("contributor", "makes adapters, and pushes to those"),
    ("write", "pushes to all of them"),
    ("admin", "does that, changes settings, and decides who is in"),
)


@require_http_methods(["GET", "POST"])
def listed(request: HttpRequest) -> HttpResponse:
    """The organisations that one is in; POST leaves one."""
    user, error = person(request), None
    if request.method == "POST":
        try:
            organizations.leave(request.POST.get("leave", ""), caller(request))
            return HttpResponseRedirect("/settings/organizations")
        except RegistryError as refused:
            error = refused
    mine = user.memberships.select_related("organization__namespace").order_by("organization__namespace__name")
    return render(request, "site/organizations.html", {"memberships": mine, "error": error}, status=_status(error))


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
            return HttpResponseRedirect(f"/organizations/{made}/settings?welcome=1")
        except RegistryError as refused:
            error = refused
    shown = {"given": request.POST, "error": error}
    return render(request, "site/organization_new.html", shown, status=_status(error))


@require_http_methods(["GET", "POST"])
def settings(request: HttpRequest, ns: str) -> HttpResponse:
    """An organisation as its administrators see it; POST does what the button says."""
    by, error = caller(request), None
    organization = organizations.administered(ns, by)
    here = f"/organizations/{organization}/settings"
    if request.method == "POST":
        try:
            _do(request, organization)
            still = organization.memberships.filter(user=by.user, role=Membership.Role.ADMIN).exists()
            return HttpResponseRedirect(here if still else f"/{organization}")
        except RegistryError as refused:
            error = refused
    elif str(organization) != ns:
        return HttpResponseRedirect(here)
    shown = {
        "organization": organization,
        "members": organizations.members(ns, by),
        "roles": ROLES,
        "given": request.POST,
        "error": error,
        "welcome": "welcome" in request.GET,
    }
    return render(request, "site/organization_settings.html", shown, status=_status(error))


def _do(request: HttpRequest, organization: Organization) -> None:
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
            organizations.put_member(name, given.get("username", "").strip(), given.get("role", ""), by)
        case "drop":
            organizations.drop_member(name, given.get("username", ""), by)
        case _:
            raise ValueInvalid("The form does not say what to do.", fix="Use the buttons of the page.")


def _status(error: RegistryError | None) -> int:
    return face(error).status if error else 200
