"""The settings of one repository, for its administrators: visibility, deprecation, archive, name, deletion."""

from typing import ClassVar

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST, require_safe

from hub.site.forms import Confirm, Form, Option, Refusals, name_field, status_of, text_field, visibility_field
from hub.site.repository.repository_header import RepositoryHeader
from hub.site.repository.repository_pages import header_of
from hub.site.routing import RepositoryAddress
from hub.site.sign_in.sessions import ask_again, has_proven_lately
from hub.site.visitor import caller
from hub.site.words import DELETE_LABELS
from registry.kernel.errors import RegistryError, RepositoryNotFound, ValueInvalid
from registry.kernel.policy import Permission
from registry.publish import moves, repositories, retirement


class Visibility(Form):
    visibility = visibility_field(
        _("Who may see it"),
        Option(_("Everybody"), _("Listed and pulled by anyone.")),
        Option(_("Only its owners"), _("For everybody else it does not exist.")),
        must_answer=True,
    )


class Deprecation(Form):
    message = text_field(_("Deprecated"), _("What is wrong with it, or what people should do instead."), required=False)
    successor = name_field(
        _("Successor"), _("The id of what to use in its place, where there is one."), maxlength=200, required=False
    )
    fields_of: ClassVar[Refusals] = {RepositoryNotFound: "successor", ValueInvalid: "message"}


class Move(Form):
    name = name_field(
        _("Its id"),
        _("Another name, or another owner where you may create repositories. Old links and clients are redirected."),
        maxlength=200,
    )

    def field_of(self, refusal: RegistryError) -> str | None:
        return "name"


DELETE_HELP = _("Its versions, discussions and verdicts go with it. {restoring} Type `{name}` to confirm.")


@require_safe
def settings(request: HttpRequest, address: RepositoryAddress) -> HttpResponse:
    return settings_page(request, header_of(request, address, Permission.ARCHIVE))


@require_POST
def set_visibility(request: HttpRequest, address: RepositoryAddress) -> HttpResponse:
    header = header_of(request, address, Permission.CONFIGURE)
    form = Visibility(request.POST)
    if form.is_valid():
        with form:
            repositories.set_private(header.repository, form.cleaned_data["visibility"] == "private", caller(request))
            messages.success(request, gettext("Who may see it is saved."))
            return redirect("repository-settings", header.repository)
    return settings_page(request, header, visibility=form)


@require_POST
def move(request: HttpRequest, address: RepositoryAddress) -> HttpResponse:
    header = header_of(request, address, Permission.CONFIGURE)
    form = Move(request.POST)
    if form.is_valid():
        with form:
            moved = moves.move(header.repository, form.cleaned_data["name"], caller(request))
            return redirect("repository-settings", moved)
    return settings_page(request, header, move=form)


@require_POST
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
        return gettext("Nobody can restore it.")
    sentence = gettext("You can restore it for {days} days at Settings, Deleted repositories.")
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


@require_POST
def deprecate(request: HttpRequest, address: RepositoryAddress) -> HttpResponse:
    header = header_of(request, address, Permission.CONFIGURE)
    form = Deprecation(request.POST)
    if form.is_valid():
        given = form.cleaned_data
        with form:
            retirement.deprecate(header.repository, caller(request), given["message"], given["successor"].strip())
            return redirect("repository-settings", header.repository)
    return settings_page(request, header, deprecation=form)


@require_POST
def undeprecate(request: HttpRequest, address: RepositoryAddress) -> HttpResponse:
    header = header_of(request, address, Permission.CONFIGURE)
    retirement.undeprecate(header.repository, caller(request))
    return redirect("repository-settings", header.repository)


@require_POST
def archive(request: HttpRequest, address: RepositoryAddress) -> HttpResponse:
    header = header_of(request, address, Permission.ARCHIVE)
    retirement.archive(header.repository, caller(request))
    return redirect("repository-settings", header.repository)


@require_POST
def unarchive(request: HttpRequest, address: RepositoryAddress) -> HttpResponse:
    header = header_of(request, address, Permission.ARCHIVE)
    retirement.unarchive(header.repository, caller(request))
    return redirect("repository-settings", header.repository)
