"""Passwords as a way to sign in, which a hub with an identity provider may switch off on every road at once."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.backends import ModelBackend
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from registry.models import User


class PasswordBackend(ModelBackend):
    """Django's backend; it knows nobody by a password where DOVETAIL_PASSWORD_SIGN_IN is off."""

    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **more: Any
    ) -> User | None:
        if not settings.PASSWORD_SIGN_IN:
            return None
        user = super().authenticate(request, username, password, **more)
        return user if isinstance(user, User) else None


def needs_passwords(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Wrap a page that is about passwords or passkeys: where they sign nobody in, it leads to the sign-in page."""

    @wraps(view)
    def answered(request: HttpRequest, *args: Any, **route: Any) -> HttpResponse:
        if settings.PASSWORD_SIGN_IN:
            return view(request, *args, **route)
        messages.error(request, "People sign in to this hub by its identity provider alone.")
        return redirect("security" if request.user.is_authenticated else "login")

    return answered
