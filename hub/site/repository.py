"""The settings of one repository, for its administrators: who sees it, what it is called, and its end."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from hub.site.converters import RepositoryAddress
from hub.site.forms import Confirm, Form, status_of
from hub.site.forms.repositories import Move, Visibility
from hub.site.head import Head, head_of
from hub.site.visitor import caller
from registry.kernel.policy import Permission
from registry.publish import moves, repositories

DELETE_HELP = "All its versions, discussions and verdicts are deleted with it, for good. Type `{name}` to confirm."


@require_safe
def settings(request: HttpRequest, address: RepositoryAddress) -> HttpResponse:
    return _page(request, head_of(request, address, Permission.CONFIGURE))


@require_POST
def set_visibility(request: HttpRequest, address: RepositoryAddress) -> HttpResponse:
    head = head_of(request, address, Permission.CONFIGURE)
    form = Visibility(request.POST)
    if form.is_valid():
        with form:
            repositories.set_private(head.repository, form.cleaned_data["visibility"] == "private", caller(request))
            return redirect("repository-settings", head.repository)
    return _page(request, head, visibility=form)


@require_POST
def move(request: HttpRequest, address: RepositoryAddress) -> HttpResponse:
    head = head_of(request, address, Permission.CONFIGURE)
    form = Move(request.POST)
    if form.is_valid():
        with form:
            moved = moves.move(head.repository, form.cleaned_data["name"], caller(request))
            return redirect("repository-settings", moved)
    return _page(request, head, move=form)


@require_POST
def delete(request: HttpRequest, address: RepositoryAddress) -> HttpResponse:
    head = head_of(request, address, Permission.CONFIGURE)
    form = _confirm(head, request.POST)
    if form.is_valid():
        with form:
            repositories.delete(head.repository, caller(request))
            return redirect(head.repository.namespace)
    return _page(request, head, delete=form)


def _confirm(head: Head, data: object = None) -> Confirm:
    name = head.repository.full_name
    return Confirm(data, noun=head.noun, name=name, help_text=DELETE_HELP.format(name=name))


def _page(request: HttpRequest, head: Head, **tried: Form) -> HttpResponse:
    """Show the settings with their forms; `tried` is the one that was refused."""
    forms: dict[str, Form] = {
        "visibility": Visibility(initial={"visibility": "private" if head.repository.private else "public"}),
        "move": Move(initial={"name": head.repository.full_name}),
        "delete": _confirm(head),
    }
    context = {"head": head, "tab": "settings", "forms": forms | tried}
    return render(request, "site/repository_settings.html", context, status=status_of(tried))
