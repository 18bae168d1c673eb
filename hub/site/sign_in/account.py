"""Joining, signing in and signing out."""

from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from hub.site.forms import posted
from hub.site.forms.account.accounts import Join, SignIn
from hub.site.sign_in import organization_links, password_attempts
from hub.site.sign_in.password_attempts import signed_in
from hub.site.visitor import person
from hub.site.words import english
from registry.kernel import site_settings
from registry.kernel.errors import InvitationNotFound, NotAllowed, TooOften
from registry.people import accounts, sign_in_links
from registry.people.organizations import join_links


@sensitive_post_parameters("password1", "password2")
@require_http_methods(["GET", "POST"])
def join(request: HttpRequest) -> HttpResponse:
    """Make an account where people may; who opens a link to an organisation becomes a member there."""
    secret = request.POST.get("invitation") or request.GET.get("invitation", "")
    if link := join_links.find_of_organization(secret):
        return organization_links.join(request, link, secret)
    if request.user.is_authenticated:
        if secret:
            join_links.find(secret)
        return redirect("home")
    if closed := _why_closed(secret):
        return render(request, "site/join.html", {"closed": closed}, status=403)
    ended = _why_ended(secret) if secret else ""
    address = join_links.find(secret).email if secret and not ended else ""
    form = Join(posted(request), initial={"invitation": secret, "email": address})
    if form.is_valid():
        given = form.cleaned_data
        with form:
            user = accounts.register(
                given["username"], email=given["email"], password=given["password1"], invitation=secret
            )
            return signed_in(request, user, f"{reverse('tokens')}?welcome=1", joined=True)
    return render(request, "site/join.html", {"form": form, "ended": ended}, status=form.status)


def _why_closed(secret: str) -> str:
    """Return why nobody may join now, or an empty text: registration is open, or the invitation is good."""
    if not settings.PASSWORD_SIGN_IN:
        return gettext("People join this hub by signing in with its identity provider.")
    registration = site_settings.get_setting("registration")
    if registration == "open":
        return ""
    if registration == "closed":
        return gettext("This hub takes no new accounts.")
    if not secret:
        return gettext("People join this hub by invitation.")
    return _why_ended(secret)


def _why_ended(secret: str) -> str:
    """Return why the link to the hub lets nobody in, or an empty text."""
    try:
        join_links.find(secret)
    except InvitationNotFound as refusal:
        return english(refusal.detail)
    return ""


@sensitive_post_parameters("password")
@require_http_methods(["GET", "POST"])
def sign_in(request: HttpRequest) -> HttpResponse:
    target = safe_next(request)
    if request.user.is_authenticated:
        return redirect(target)
    form = SignIn(posted(request))
    if request.method == "GET":
        return render(request, "site/login.html", {"form": form, "next": target})
    if not settings.PASSWORD_SIGN_IN:
        form.add_error(None, gettext("Passwords sign nobody in here. Sign in with the button below."))
        return render(request, "site/login.html", {"form": form, "next": target}, status=403)
    username = request.POST.get("username", "").strip()
    try:
        user = password_attempts.authenticate(request, username, request.POST.get("password", ""))
    except (NotAllowed, TooOften) as refusal:
        form.refuse(refusal)
        return password_attempts.shown_again(request, "site/login.html", {"form": form, "next": target}, refusal)
    return signed_in(request, user, target)


@require_http_methods(["GET", "POST"])
def sign_in_once(request: HttpRequest, key: str) -> HttpResponse:
    """Sign an administrator in by a button, so that no preview of the link uses it up; a second factor is asked for."""
    if request.method == "GET":
        user = sign_in_links.find(key)
        return render(request, "site/once.html", {"user": user, "key": key}, status=200 if user else 404)
    user = sign_in_links.use(key)
    if user is None:
        return render(request, "site/once.html", {"user": None}, status=404)
    return signed_in(request, user, reverse("home"), by="link")


@require_safe
def confirm(request: HttpRequest) -> HttpResponse:
    """Show how a person without a password proves again who they are."""
    person(request)
    return render(request, "account/reauthenticate.html", {"redirect_field_value": safe_next(request)})


@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    logout(request)
    return redirect("home")


def safe_next(request: HttpRequest) -> str:
    """Return where to go after signing in: a path of this site, never another host."""
    target = request.POST.get("next") or request.GET.get("next") or ""
    return target if _is_path(target) else reverse("home")


def page_before(request: HttpRequest, otherwise: str) -> str:
    """Return the path of the page whose form was sent, or the path `otherwise` if it is not known."""
    before = request.headers.get("Referer", "")
    if not url_has_allowed_host_and_scheme(before, {request.get_host()}, require_https=request.is_secure()):
        return otherwise
    parts = urlsplit(before)
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    return target if _is_path(target) else otherwise


def _is_path(target: str) -> bool:
    """Return whether an address stays on this site; `//example.org` and `/\\example.org` do not."""
    is_here = url_has_allowed_host_and_scheme(target, allowed_hosts=None)
    return is_here and target.startswith("/") and "\\" not in target
