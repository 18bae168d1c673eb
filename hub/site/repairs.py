"""The button that opens a pull request with the repaired config."""

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.views.decorators.http import require_POST

from hub.site.visitor import caller, person
from registry.kernel.policy import Permission
from registry.publish import repairs
from registry.repos import lookup


@require_POST
def repair(request: HttpRequest, ns: str, name: str, type: str = "model") -> HttpResponse:
    """Open it, or find the one that is open, and show it."""
    by = caller(request)
    repository = lookup.find_at_address(f"{ns}/{name}", by, Permission.BROWSE, type=type)
    person(request)
    made = repairs.propose(repository, by, request.POST.get("base", "")[:200])
    return HttpResponseRedirect(f"/{repository.full_name}/discussions/{made.discussion.number}")
