"""The settings of one repository, for who administers it: who sees it, what it is called, and its end."""

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from hub.errors import status_with
from hub.site.converters import RepositoryAddress
from hub.site.head import Head
from hub.site.visitor import caller
from registry.kernel.errors import RegistryError, ValueInvalid
from registry.kernel.policy import Caller, Permission
from registry.publish import moves, repositories
from registry.repos import lookup, pull


@require_http_methods(["GET", "POST"])
def settings(request: HttpRequest, address: RepositoryAddress) -> HttpResponse:
    """Show them; POST changes the one that its button names, and goes where the repository is then."""
    by, error = caller(request), None
    repository = lookup.find_at_address(address.full_name, by, Permission.CONFIGURE, type=address.type)
    head = Head(repository, pull.resolve(repository, "main"), "main", by)
    if request.method == "POST":
        try:
            return HttpResponseRedirect(_change(request, head, by))
        except RegistryError as refusal:
            error = refusal
    shown = {"head": head, "tab": "settings", "error": error, "given": request.POST}
    return render(request, "site/repository_settings.html", shown, status=status_with(error))


def _change(request: HttpRequest, head: Head, by: Caller) -> str:
    given, repository = request.POST, head.repository
    if "visibility" in given:
        repositories.set_private(repository, given["visibility"] == "private", by)
        return reverse("repository-settings", args=[repository])
    if "name" in given:
        return reverse("repository-settings", args=[moves.move(repository, given["name"].strip(), by)])
    if "confirm" in given:
        if given["confirm"].strip() != repository.full_name:
            raise ValueInvalid(
                f"The {head.noun} was not deleted.", fix=f"Type its id, {repository.full_name}, to delete it."
            )
        repositories.delete(repository, by)
        return repository.namespace.get_absolute_url()
    raise ValueInvalid("The form names nothing to change.", fix="Use the buttons of the page.")
