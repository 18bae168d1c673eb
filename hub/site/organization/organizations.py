"""Organisations of a person: create one, see one's own and the invitations, accept, decline and leave."""

from typing import TYPE_CHECKING, ClassVar

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_safe

from hub.site.forms import Form, Named, Option, Posts, Refusals, name_field, posted, text_field, visibility_field
from hub.site.visitor import caller, person
from registry.kernel import seams
from registry.kernel.errors import RegistryError
from registry.people.organizations import invitations, organizations

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise


ROLES = (
    ("member", _("has only what teams open to them.")),
    ("read", _("sees and pulls everything, including private adapters.")),
    ("contributor", _("creates adapters, and pushes to those.")),
    ("write", _("pushes to all of them.")),
    ("admin", _("does that, changes settings, and decides who is a member.")),
)


def seen_by_field(note: "StrOrPromise" = "", *, must_answer: bool = False) -> object:
    public, private = Option(_("Everybody"), note), Option(_("Members"), note)
    return visibility_field(_("New adapters are seen by"), public, private, must_answer=must_answer)


class NewOrganization(Named):
    name = name_field(
        _("Name"), _("The first part of its adapters' names, as in `acme/reviews-lora`."), placeholder="acme"
    )
    full_name = text_field(_("Full name"), _("Optional."), required=False, maxlength=200, autocomplete="organization")
    visibility = seen_by_field(_("unless the push says otherwise."))
    fields_of: ClassVar[Refusals] = {RegistryError: "name"}


OFFERS = {
    "member": _("You would see what its teams open to you."),
    "read": _("You would see and pull everything there."),
    "contributor": _("You would see everything there, create adapters, and push to those."),
    "write": _("You would push to all its adapters."),
    "admin": _("You would push to all its adapters, change its settings, and decide who is a member."),
}


@require_safe
def listed(request: HttpRequest) -> HttpResponse:
    """Show the organisations that the person is a member of, and the invitations to others."""
    return _page(request)


def _named(request: HttpRequest, ns: str) -> str:
    person(request)
    return ns


def _page(request: HttpRequest, ns: str = "", form: Form | None = None) -> HttpResponse:
    """Show the list, or why one could not join or leave the organisation `ns`."""
    user = person(request)
    seams.saw(user, "organizations")
    memberships = user.memberships.select_related("organization__namespace").order_by("organization__namespace__name")
    received = [(invitation, OFFERS[invitation.role]) for invitation in invitations.list_received(caller(request))]
    context = {"memberships": memberships, "invitations": received, "form": form}
    return render(request, "site/organizations.html", context, status=form.status if form else 200)


LIST = Posts(_named, _page, lambda ns: redirect("organizations"))
accept = LIST.form(
    "form",
    Form,
    lambda ns, given, by: invitations.accept(ns, by),
    lambda ns, membership: redirect(membership.organization),
)
decline = LIST.form("form", Form, lambda ns, given, by: invitations.decline(ns, by))
leave = LIST.form("form", Form, lambda ns, given, by: organizations.leave(ns, by))


@require_http_methods(["GET", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """Create an organisation, whose first administrator is the caller."""
    person(request)
    form = NewOrganization(posted(request))
    if form.is_valid():
        given = form.cleaned_data
        with form:
            made = organizations.create_as(
                given["name"],
                caller(request),
                full_name=given["full_name"],
                private_by_default=given["visibility"] == "private",
            )
            return redirect(f"{reverse('organization-settings', args=[made])}?welcome=1")
    return render(request, "site/organization_new.html", {"form": form}, status=form.status)
