"""Making an adapter by hand: name, owner, who may see it; then the page shows how to push."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from hub.errors import status_with
from hub.site.visitor import caller, owners, person
from registry.kernel.errors import RegistryError
from registry.kernel.policy import CREATORS
from registry.publish import repositories


@require_http_methods(["GET", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    user, error = person(request), None
    if request.method == "POST":
        try:
            full_name = f"{request.POST.get('owner') or user.username}/{request.POST.get('name', '').strip()}"
            made = repositories.create(full_name, caller(request), private=request.POST.get("visibility") == "private")
            return redirect(made)
        except RegistryError as refused:
            error = refused
    shown = {
        "owners": owners(user, CREATORS),
        "given": request.POST or {"owner": request.GET.get("owner", "")},
        "error": error,
    }
    return render(request, "site/new.html", shown, status=status_with(error))
