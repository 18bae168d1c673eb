"""Joining, signing in and signing out."""

from django.contrib.auth import authenticate, login, logout
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from hub.errors import status_with
from hub.site import signin
from registry.kernel import site_settings
from registry.kernel.errors import RegistryError
from registry.models import User
from registry.people import accounts

BACKEND = "django.contrib.auth.backends.ModelBackend"


@sensitive_post_parameters("password1", "password2")
@require_http_methods(["GET", "POST"])
def join(request: HttpRequest) -> HttpResponse:
    if request.user.is_authenticated:
        return redirect("home")
    open_to_all = site_settings.value("registration") == "open"
    if request.method == "GET" or not open_to_all:
        return _join_form(request, status=200 if open_to_all else 403, closed=not open_to_all)
    if request.POST.get("password1") != request.POST.get("password2"):
        return _join_form(request, status=400, field="password2", detail="The two passwords differ.")
    try:
        user = accounts.register(
            request.POST.get("username", "").strip(),
            email=request.POST.get("email", ""),
            password=request.POST.get("password1", ""),
        )
    except RegistryError as error:
        return _join_form(
            request, status=status_with(error), field=_field_of(error), detail=error.detail, fix=error.fix
        )
    login(request, user, backend=BACKEND)
    return redirect(f"{reverse('tokens')}?welcome=1")


def _join_form(request: HttpRequest, *, status: int, field: str = "", **said: object) -> HttpResponse:
    return render(request, "site/join.html", {"wrong_field": field, "given": request.POST, **said}, status=status)


def _field_of(error: RegistryError) -> str:
    """Which field of the form a refusal speaks of; the sentence itself comes from the heart."""
    for word, field in (("password", "password1"), ("mail", "email")):
        if word in error.detail.lower():
            return field
    return "username"


@sensitive_post_parameters("password")
@require_http_methods(["GET", "POST"])
def sign_in(request: HttpRequest) -> HttpResponse:
    target = safe_next(request)
    if request.user.is_authenticated:
        return HttpResponseRedirect(target)
    if request.method == "GET":
        return render(request, "site/login.html", {"next": target})
    name = request.POST.get("username", "")
    if seconds := signin.wait(request, name):
        answer = _sign_in_again(request, target, 429, wait=seconds)
        answer["Retry-After"] = str(seconds)
        return answer
    user = authenticate(request, username=name.strip(), password=request.POST.get("password", ""))
    if not isinstance(user, User):
        signin.failed(request, name)
        return _sign_in_again(request, target, 400)
    signin.succeeded(request, name)
    login(request, user)
    return HttpResponseRedirect(target)


def _sign_in_again(request: HttpRequest, target: str, status: int, wait: int = 0) -> HttpResponse:
    given = request.POST.get("username", "")
    return render(
        request, "site/login.html", {"next": target, "given": given, "wait": wait, "wrong": True}, status=status
    )


@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    logout(request)
    return redirect("home")


def safe_next(request: HttpRequest) -> str:
    """Where to go after signing in: a path of this site, never another host."""
    target = request.POST.get("next") or request.GET.get("next") or reverse("home")
    safe = url_has_allowed_host_and_scheme(target, allowed_hosts=None, require_https=request.is_secure())
    return target if safe and target.startswith("/") and "\\" not in target else reverse("home")
