"""The page behind a sign-in link from the operator: a button, so that no preview of the link uses it up."""

from allauth.account.internal.flows.login import record_authentication
from allauth.account.utils import perform_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from registry.people import sign_in_links


@require_http_methods(["GET", "POST"])
def sign_in(request: HttpRequest, key: str) -> HttpResponse:
    """Sign an administrator in; a second factor is still asked for."""
    if request.method == "GET":
        user = sign_in_links.find(key)
        return render(request, "site/once.html", {"user": user, "key": key}, status=200 if user else 404)
    user = sign_in_links.use(key)
    if user is None:
        return render(request, "site/once.html", {"user": None}, status=404)
    record_authentication(request, user, "link", reauthenticated=True)
    answer: HttpResponse = perform_login(request, user)
    return answer
