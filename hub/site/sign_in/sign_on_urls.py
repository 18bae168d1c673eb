"""Routes of signing in by an identity provider, and by a link from the operator."""

from allauth.account.internal.flows.login import record_authentication
from allauth.account.utils import perform_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from hub.site.routing import at
from hub.site.routing import forms as posts
from hub.site.sign_in import sign_on
from registry.people import sign_in_links


@require_http_methods(["GET", "POST"])
def _once(request: HttpRequest, key: str) -> HttpResponse:
    """Sign an administrator in by a button, so that no preview of the link uses it up; a second factor is asked for."""
    if request.method == "GET":
        user = sign_in_links.find(key)
        return render(request, "site/once.html", {"user": user, "key": key}, status=200 if user else 404)
    user = sign_in_links.use(key)
    if user is None:
        return render(request, "site/once.html", {"user": None}, status=404)
    record_authentication(request, user, "link", reauthenticated=True)
    answer: HttpResponse = perform_login(request, user)
    return answer


urlpatterns = [
    *posts("login", "login/with", ("<str:provider>", sign_on.start, "sign-on")),
    at("login/with/<str:provider>/callback", sign_on.callback, "sign-on-callback"),
    at("login/once/<str:key>", _once, "sign-in-once"),
    at("settings/security/confirm/provider", sign_on.confirm, "confirm-by-provider"),
    *posts(
        "security",
        "settings/security/linked",
        ("with/<str:provider>", sign_on.link, "link-provider"),
        ("<int:number>/remove", sign_on.unlink, "unlink-provider"),
    ),
]
