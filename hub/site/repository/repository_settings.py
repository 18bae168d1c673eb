"""The settings of one repository, for its administrators: visibility, deprecation, archive, name, deletion."""

from dataclasses import replace
from functools import partial
from typing import ClassVar

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from hub.identity import has_proven_lately
from hub.site.forms import (
    Choice,
    Confirm,
    Form,
    Option,
    Posts,
    Refusals,
    name_field,
    status_of,
    text_field,
    visibility_field,
)
from hub.site.repository.repository_header import RepositoryHeader, header_of
from hub.site.routing import RepositoryAddress
from hub.site.sign_in.sessions import ask_again
from hub.site.visitor import caller, person
from hub.site.words import DELETE_LABELS
from registry.kernel import seams
from registry.kernel.errors import NamespaceNotFound, RegistryError, RepositoryNotFound, ValueInvalid
from registry.kernel.policy import Permission
from registry.models import AccessRequest
from registry.people import gates
from registry.publish import moves, repositories, retirement
from registry.repos import lookup


class Visibility(Form):
    visibility = visibility_field(
        _("Who may see it"),
        Option(_("Everybody"), _("Listed and pulled by anyone.")),
        Option(_("Only its owners"), _("Everyone else sees “not found”.")),
        must_answer=True,
    )


class Deprecation(Form):
    message = text_field(_("Deprecated"), _("What is wrong with it, or what people should do instead."), required=False)
    successor = name_field(
        _("Successor"), _("The id of its replacement, if there is one."), maxlength=200, required=False
    )
    fields_of: ClassVar[Refusals] = {RepositoryNotFound: "successor", ValueInvalid: "message"}


class Move(Form):
    name = name_field(
        _("Repository id"),
        _("Another name, or another owner where you may create repositories. Old links and clients are redirected."),
        maxlength=200,
    )
    fields_of: ClassVar[Refusals] = {RegistryError: "name"}


DELETE_HELP = _("Its versions, discussions and verdicts are deleted too. {restoring} Type `{name}` to confirm.")


@require_safe
def settings(request: HttpRequest, address: RepositoryAddress) -> HttpResponse:
    return settings_page(request, header_of(request, address, Permission.ARCHIVE))


def delete(request: HttpRequest, address: RepositoryAddress) -> HttpResponse:
    """Move the repository to the bin; where there is none, deletion is for good, and the person proves who they are."""
    header = header_of(request, address, Permission.CONFIGURE)
    if not retirement.days() and not has_proven_lately(request):
        return ask_again(request)
    form = _confirm(header, request.POST)
    if form.is_valid():
        with form:
            repositories.delete(header.repository, caller(request))
            sentence = gettext("{name} is deleted.").format(name=header.repository.full_name)
            messages.success(request, f"{sentence} {_restoring()}")
            return redirect(header.repository.namespace)
    return settings_page(request, header, delete=form)


def _restoring() -> str:
    days = retirement.days()
    if not days:
        return gettext("It cannot be restored.")
    sentence = gettext("You can restore it for {days} days at Settings, Storage.")
    return sentence.format(days=days)


def _confirm(header: RepositoryHeader, data: object = None) -> Confirm:
    name = header.repository.full_name
    return Confirm(
        data,
        label=str(DELETE_LABELS[header.noun]),
        name=name,
        help_text=DELETE_HELP.format(name=name, restoring=_restoring()),
    )


def settings_page(request: HttpRequest, header: RepositoryHeader, **tried: Form) -> HttpResponse:
    """Show the settings with their forms; `tried` is the one that was refused."""
    forms: dict[str, Form] = {
        "visibility": Visibility(initial={"visibility": "private" if header.repository.private else "public"}),
        "deprecation": Deprecation(
            initial={"message": header.repository.deprecation, "successor": header.repository.successor}
        ),
        "move": Move(initial={"name": header.repository.full_name}),
        "delete": _confirm(header),
    }
    context = {"header": header, "tab": "settings", "forms": forms | tried}
    return render(request, "site/repository_settings.html", context, status=status_of(tried))


CONFIGURE = Posts(
    partial(header_of, permission=Permission.CONFIGURE),
    settings_page,
    lambda header: redirect("repository-settings", header.repository),
)
ARCHIVE = replace(CONFIGURE, find=partial(header_of, permission=Permission.ARCHIVE))
set_visibility = CONFIGURE.form(
    "visibility",
    Visibility,
    lambda header, given, by: repositories.set_private(header.repository, given["visibility"] == "private", by),
    done=_("Visibility saved."),
)
move = CONFIGURE.form(
    "move",
    Move,
    lambda header, given, by: moves.move(header.repository, given["name"], by),
    lambda header, moved: redirect("repository-settings", moved),
)
deprecate = CONFIGURE.form(
    "deprecation",
    Deprecation,
    lambda header, given, by: retirement.deprecate(header.repository, by, given["message"], given["successor"].strip()),
)
undeprecate = CONFIGURE.button(lambda header, by: retirement.undeprecate(header.repository, by))
archive = ARCHIVE.button(lambda header, by: retirement.archive(header.repository, by))
unarchive = ARCHIVE.button(lambda header, by: retirement.unarchive(header.repository, by))


class Gate(Form):
    gate = Choice(
        label=_("Who gets the files"),
        options=[
            ("", Option(_("Everybody"), _("who may see the page."))),
            ("auto", Option(_("Anyone who asks"), _("and gets access at once."))),
            ("manual", Option(_("Those you approve"), _("one by one."))),
        ],
        must_answer=True,
    )


class Grant(Form):
    grant = name_field(_("Grant access"), placeholder="username")
    fields_of: ClassVar[Refusals] = {RegistryError: "grant"}


class Decision(Form):
    """A decision about a request; a client's user may send a reason with it."""

    reason = forms.CharField(required=False, widget=forms.HiddenInput)


class AskAccess(Form):
    text = text_field(_("What you need the files for"), required=False, maxlength=500)
    fields_of: ClassVar[Refusals] = {ValueInvalid: "text", NamespaceNotFound: "text"}


MOST_SHOWN = 100  # requests of one state on a page; clients list them all
_ORDER = (AccessRequest.Status.PENDING, AccessRequest.Status.ACCEPTED, AccessRequest.Status.REJECTED)


def ask(request: HttpRequest, address: RepositoryAddress) -> HttpResponse:
    """Ask for the files, and go back to the repository's page, which says how that stands."""
    repository = lookup.find_at_address(address.full_name, caller(request), Permission.BROWSE, type=address.type)
    person(request)
    form = AskAccess(request.POST)
    if form.is_valid():
        gates.request_access(repository, caller(request), form.cleaned_data["text"], request.POST.dict())
    return redirect(repository)


@require_safe
def access(request: HttpRequest, address: RepositoryAddress) -> HttpResponse:
    """Show who asked and who has access."""
    return _page(request, header_of(request, address, Permission.ARCHIVE))


def accept(request: HttpRequest, address: RepositoryAddress, number: int) -> HttpResponse:
    return _decide(request, address, number, "accepted")


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
    context = {"header": header, "tab": "settings", "subpage": "access", "lists": lists, "forms": forms | tried}
    return render(request, "site/access.html", context, status=status_of(tried))


def _to_access(header: RepositoryHeader) -> HttpResponse:
    return redirect("access", header.repository)


set_gate = replace(CONFIGURE, page=_page, back=_to_access).form(
    "gate", Gate, lambda header, given, by: gates.set_gate(header.repository, given["gate"], by)
)
grant = replace(ARCHIVE, page=_page, back=_to_access).form(
    "grant", Grant, lambda header, given, by: gates.grant_access(header.repository, given["grant"], by)
)
