"""The settings of one repository, for its administrators: visibility, deprecation, archive, name, deletion."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST, require_safe

from hub.site.converters import RepositoryAddress
from hub.site.forms import Confirm, Form, status_of
from hub.site.forms.repositories import Deprecation, Move, Visibility
from hub.site.repository.finding_headers import header_of
from hub.site.repository.repository_header import RepositoryHeader
from hub.site.sign_in.reauthentication import ask_again, has_proven_lately
from hub.site.visitor import caller
from hub.site.words import DELETE_LABELS
from registry.kernel.policy import Permission
from registry.publish import moves, repositories
from registry.publish.retention import restoring

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
    if not restoring.days() and not has_proven_lately(request):
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
    days = restoring.days()
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
