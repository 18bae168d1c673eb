"""Slows the guessing of passwords: longer waits for a caller and an account, never a lock-out.

Two counts lead to a wait: wrong passwords of one address for one account, and of one address for any account. Nothing
is refused because of what other addresses did: a stranger cannot keep the owner out.
"""

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager

from allauth.account.internal.flows.login import record_authentication
from allauth.account.utils import perform_login
from django.contrib import auth
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from hub.addresses import network_of
from hub.server import shared_cache
from registry.kernel import site_settings
from registry.kernel.errors import NotAllowed, RegistryError, TooOften
from registry.models import User
from registry.people import sign_ins

FREE_TRIES = {"pair": 5, "address": 20}
LONGEST_WAIT = 900
REMEMBERED_SECONDS = 24 * 3600


def authenticate(request: HttpRequest, username: str, password: str) -> User:
    """Return the person with this name and password. Raises NotAllowed for wrong ones, and what `counted` raises."""
    with counted(request, username):
        user = auth.authenticate(request, username=username, password=password)
        if not isinstance(user, User):
            raise NotAllowed("That user name and password do not go together.", fix="Check both and try again.")
        return user


@contextmanager
def counted(request: HttpRequest, username: str) -> Iterator[None]:
    """Count what the block finds of a password: it raises NotAllowed for a wrong one, and nothing for the right one.

    Raises TooOften, whose fact `seconds` is the wait, while this address may not try this account.
    """
    if seconds := _wait(request, username):
        raise TooOften("Too many attempts.", fix=f"Wait {seconds} seconds, then try again.", seconds=seconds)
    try:
        yield
    except NotAllowed:
        _count_failure(request, username)
        raise
    # Only the failures for this account are forgotten: one good account must not free a guesser.
    key = _keys(request, username)["pair"]
    shared_cache.forget(f"{key}:count", f"{key}:until")


def shown_again(
    request: HttpRequest, page: str, values: dict[str, object], refusal: RegistryError | None
) -> HttpResponse:
    """Show a page with its form again: a wrong password is the form's fault, like every other one; REST has no such."""
    answer = render(request, page, values, status=429 if isinstance(refusal, TooOften) else 400)
    if refusal and "seconds" in refusal.facts:
        answer["Retry-After"] = str(refusal.facts["seconds"])
    return answer


def _wait(request: HttpRequest, username: str) -> int:
    """Return the seconds until this address may try this account again; 0 when now is fine."""
    if site_settings.get_setting("throttle") == "off":
        return 0
    until = shared_cache.recall(*(f"{key}:until" for key in _keys(request, username).values()))
    return max(0, round(max(until) - time.time() + 0.5))


def _count_failure(request: HttpRequest, username: str) -> None:
    """Count a wrong password: after the free tries the wait doubles each time, up to 15 minutes."""
    counts = {}
    for kind, key in _keys(request, username).items():
        counts[kind] = count = shared_cache.count(f"{key}:count", REMEMBERED_SECONDS)
        if count >= FREE_TRIES[kind]:
            pause = min(LONGEST_WAIT, 2 ** min(count - FREE_TRIES[kind], 10))
            shared_cache.remember(f"{key}:until", time.time() + pause, REMEMBERED_SECONDS)
    everywhere = shared_cache.count(f"signin:account:{_digest(username)}:count", REMEMBERED_SECONDS)
    sign_ins.record_failure(username.strip(), count=everywhere, from_address=counts["address"])


def _keys(request: HttpRequest, username: str) -> dict[str, str]:
    network = network_of(request)
    return {"pair": f"signin:pair:{_digest(username)}:{network}", "address": f"signin:address:{network}"}


def _digest(username: str) -> str:
    return hashlib.sha256(username.strip().lower().encode("utf-8", "replace")).hexdigest()


def signed_in(
    request: HttpRequest, user: User, target: str, *, joined: bool = False, by: str = "password"
) -> HttpResponse:
    """Begin the session of a person who gave the right password or link, or ask for the second factor first."""
    record_authentication(request, user, by, reauthenticated=True)
    answer: HttpResponse = perform_login(request, user, redirect_url=target, signup=joined)
    return answer
