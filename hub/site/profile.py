"""What a person says about himself: full name and e-mail."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from hub.errors import status_with
from hub.site.visitor import person
from registry.kernel.errors import RegistryError
from registry.people import accounts


@require_http_methods(["GET", "POST"])
def profile(request: HttpRequest) -> HttpResponse:
    user = person(request)
    given = {"full_name": user.full_name, "email": user.email}
    if request.method == "GET":
        return render(request, "site/profile.html", {"given": given})
    given = {name: request.POST.get(name, "") for name in given}
    try:
        accounts.set_profile(user, by=user, **given)
    except RegistryError as error:
        return render(request, "site/profile.html", {"given": given, "error": error}, status=status_with(error))
    return render(request, "site/profile.html", {"given": given, "saved": True})
