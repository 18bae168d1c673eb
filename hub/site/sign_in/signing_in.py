"""The beginning of a session, after a password that was right or an account that was just made."""

from allauth.account.internal.flows.login import record_authentication
from allauth.account.utils import perform_login
from django.http import HttpRequest, HttpResponse

from registry.models import User


def signed_in(request: HttpRequest, user: User, target: str, *, joined: bool = False) -> HttpResponse:
    """Begin the session of a person who gave the right password, or ask for the second factor first."""
    record_authentication(request, user, "password", reauthenticated=True)
    answer: HttpResponse = perform_login(request, user, redirect_url=target, signup=joined)
    return answer
