"""The page on which a person changes his password; what makes one good, and who may, is the heart's matter."""

from django.contrib.auth import update_session_auth_hash
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from hub.site import signin
from hub.site.visitor import person
from registry.kernel.errors import NotAllowed, ValueInvalid
from registry.models import User
from registry.people import accounts


@sensitive_post_parameters("old", "password1", "password2")
@require_http_methods(["GET", "POST"])
def password(request: HttpRequest) -> HttpResponse:
    user = person(request)
    if request.method == "GET":
        return render(request, "site/password.html")
    if seconds := signin.wait(request, user.username):  # who found an open browser must not guess here either
        answer = _again(request, 429, detail=f"Too many tries. Wait {seconds} seconds.")
        answer["Retry-After"] = str(seconds)
        return answer
    if request.POST.get("password1") != request.POST.get("password2"):
        return _again(request, 400, detail="The two new passwords differ.")
    return _change(request, user)


def _change(request: HttpRequest, user: User) -> HttpResponse:
    try:
        accounts.change_password(user, request.POST.get("old", ""), request.POST.get("password1", ""))
    except NotAllowed as error:
        signin.failed(request, user.username)
        return _again(request, 400, detail=error.detail, fix=error.fix)
    except ValueInvalid as error:
        return _again(request, 400, detail=error.detail, fix=error.fix)
    signin.succeeded(request, user.username)
    update_session_auth_hash(request, user)  # this session stays, every other one ends
    return render(request, "site/password.html", {"saved": True})


def _again(request: HttpRequest, status: int, **said: str) -> HttpResponse:
    return render(request, "site/password.html", said, status=status)
