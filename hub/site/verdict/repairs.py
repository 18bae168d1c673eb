"""The button that opens a pull request with a repair."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from hub.site.converters import RepositoryAddress
from hub.site.visitor import caller, person
from registry.kernel.policy import Permission
from registry.publish.made import repairs
from registry.repos import lookup


@require_POST
def repair(request: HttpRequest, address: RepositoryAddress) -> HttpResponse:
    """Open it, or find the one that is open, and show it."""
    by = caller(request)
    repository = lookup.find_at_address(address.full_name, by, Permission.BROWSE, type=address.type)
    person(request)
    base, privacy = request.POST.get("base", "")[:200], "privacy" in request.POST
    made = repairs.propose(repository, by, base, privacy=privacy)
    return redirect(made.discussion)
