"""The gate before a repository's files: asking for access, and the owner's page of requests."""

from typing import ClassVar

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST, require_safe

from hub.site.forms import Choice, Form, Option, Refusals, name_field, status_of, text_field
from hub.site.repository.repository_header import RepositoryHeader
from hub.site.repository.repository_pages import header_of
from hub.site.routing import RepositoryAddress
from hub.site.visitor import caller, person
from registry.kernel import seams
from registry.kernel.errors import NamespaceNotFound, RegistryError, ValueInvalid
from registry.kernel.policy import Permission
from registry.models import AccessRequest
from registry.people import gates
from registry.repos import lookup


class Gate(Form):
    gate = Choice(
        label=_("Who gets the files"),
        options=[
            ("", Option(_("Everybody"), _("who may see the page."))),
            ("auto", Option(_("Anyone who asks"), _("and is let in at once."))),
            ("manual", Option(_("Those you accept"), _("one by one."))),
        ],
        must_answer=True,
    )


class Grant(Form):
    grant = name_field(_("Give somebody access"), placeholder="username")

    def field_of(self, refusal: RegistryError) -> str | None:
        return "grant"


class Decision(Form):
    """A decision about a request; a client's user may send a reason with it."""

    reason = forms.CharField(required=False)


class AskAccess(Form):
    text = text_field(_("What you need the files for"), required=False, maxlength=500)
    fields_of: ClassVar[Refusals] = {ValueInvalid: "text", NamespaceNotFound: "text"}


MOST_SHOWN = 100  # requests of one state on a page; clients list them all
_ORDER = (AccessRequest.Status.PENDING, AccessRequest.Status.ACCEPTED, AccessRequest.Status.REJECTED)


@require_POST
def ask(request: HttpRequest, address: RepositoryAddress) -> HttpResponse:
    """Ask for the files, and go back to the repository's page, which says how that stands."""
    repository = lookup.find_at_address(address.full_name, caller(request), Permission.BROWSE, type=address.type)
    person(request)
    form = AskAccess(request.POST)
    if form.is_valid():
        gates.request_access(repository, caller(request), form.cleaned_data["text"])
    return redirect(repository)


@require_safe
def access(request: HttpRequest, address: RepositoryAddress) -> HttpResponse:
    """Show who asked and who has access."""
    return _page(request, header_of(request, address, Permission.ARCHIVE))


@require_POST
def set_gate(request: HttpRequest, address: RepositoryAddress) -> HttpResponse:
    header = header_of(request, address, Permission.CONFIGURE)
    form = Gate(request.POST)
    if form.is_valid():
        with form:
            gates.set_gate(header.repository, form.cleaned_data["gate"], caller(request))
            return redirect("access", header.repository)
    return _page(request, header, gate=form)


@require_POST
def grant(request: HttpRequest, address: RepositoryAddress) -> HttpResponse:
    """Give somebody access who did not ask."""
    header = header_of(request, address, Permission.ARCHIVE)
    form = Grant(request.POST)
    if form.is_valid():
        with form:
            gates.grant_access(header.repository, form.cleaned_data["grant"], caller(request))
            return redirect("access", header.repository)
    return _page(request, header, grant=form)


@require_POST
def accept(request: HttpRequest, address: RepositoryAddress, number: int) -> HttpResponse:
    return _decide(request, address, number, "accepted")


@require_POST
def reject(request: HttpRequest, address: RepositoryAddress, number: int) -> HttpResponse:
    return _decide(request, address, number, "rejected")


def _decide(request: HttpRequest, address: RepositoryAddress, number: int, status: str) -> HttpResponse:
    header = header_of(request, address, Permission.ARCHIVE)
    form = Decision(request.POST)
    if form.is_valid():
        with form:
            reason = form.cleaned_data["reason"]
            gates.decide_request(header.repository, status, caller(request), request_id=number, reason=reason)
            return redirect("access", header.repository)
    return _page(request, header, decision=form)


def _page(request: HttpRequest, header: RepositoryHeader, **tried: Form) -> HttpResponse:
    """Show the requests and the forms; `tried` is the one that was refused."""
    by, repository = header.by, header.repository
    seams.saw(by.user, "access", repository)
    lists = [
        (status, list(gates.list_requests(repository, status, by).order_by("-pk")[:MOST_SHOWN])) for status in _ORDER
    ]
    forms: dict[str, Form] = {"gate": Gate(initial={"gate": repository.gated}), "grant": Grant()}
    context = {"header": header, "tab": "access", "lists": lists, "forms": forms | tried}
    return render(request, "site/access.html", context, status=status_of(tried))
