"""How fast somebody may guess passwords: longer waits per account and per address, never a lock-out."""

import hashlib
import time

from django.http import HttpRequest

from hub import counters
from hub.origin import network_of
from registry.kernel import site_settings

FREE_TRIES = {"account": 5, "address": 20}
LONGEST_WAIT = 900
REMEMBERED_SECONDS = 24 * 3600


def wait(request: HttpRequest, username: str) -> int:
    """Seconds until this account may be tried from this address again; 0 when now is fine."""
    if site_settings.get_setting("throttle") == "off":
        return 0
    until = counters.recall(*(f"{key}:until" for _, key in _keys(request, username)))
    return max(0, round(max(until) - time.time() + 0.5))


def failed(request: HttpRequest, username: str) -> None:
    """Remember a wrong password: after the free tries the wait doubles each time, up to 15 minutes."""
    for what, key in _keys(request, username):
        count = counters.count(f"{key}:count", REMEMBERED_SECONDS)
        if count >= FREE_TRIES[what]:
            pause = min(LONGEST_WAIT, 2 ** min(count - FREE_TRIES[what], 10))
            counters.remember(f"{key}:until", time.time() + pause, REMEMBERED_SECONDS)


def succeeded(request: HttpRequest, username: str) -> None:
    """Forget the account's failures; the address keeps its own, else one good account would free a guesser."""
    for what, key in _keys(request, username):
        if what == "account":
            counters.forget(f"{key}:count", f"{key}:until")


def _keys(request: HttpRequest, username: str) -> list[tuple[str, str]]:
    account = hashlib.sha256(username.strip().lower().encode("utf-8", "replace")).hexdigest()
    return [("account", f"signin:account:{account}"), ("address", f"signin:address:{network_of(request)}")]
