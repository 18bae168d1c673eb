"""How fast somebody may guess passwords: longer waits per account and per address, never a lock-out."""

import time

from django.conf import settings
from django.core.cache import caches
from django.http import HttpRequest

from registry import site

FREE_TRIES = {"account": 5, "address": 20}
LONGEST_WAIT = 900
REMEMBERED_SECONDS = 24 * 3600
counters = caches["counters"]


def wait(request: HttpRequest, username: str) -> int:
    """Seconds until this account may be tried from this address again; 0 when now is fine."""
    if site.value("throttle") == "off":
        return 0
    now = time.time()
    until = [float(counters.get(f"{key}:until") or 0) for _, key in _keys(request, username)]
    return max(0, round(max(until) - now + 0.5))


def failed(request: HttpRequest, username: str) -> None:
    """Remember a wrong password: after the free tries the wait doubles each time, up to 15 minutes."""
    for what, key in _keys(request, username):
        counters.add(f"{key}:count", 0, REMEMBERED_SECONDS)
        count = counters.incr(f"{key}:count")
        if count >= FREE_TRIES[what]:
            pause = min(LONGEST_WAIT, 2 ** min(count - FREE_TRIES[what], 10))
            counters.set(f"{key}:until", time.time() + pause, REMEMBERED_SECONDS)


def succeeded(request: HttpRequest, username: str) -> None:
    """Forget the account's failures; the address keeps its own, else one good account would free a guesser."""
    for what, key in _keys(request, username):
        if what == "account":
            counters.delete_many([f"{key}:count", f"{key}:until"])


def _keys(request: HttpRequest, username: str) -> list[tuple[str, str]]:
    account = username.strip().lower().encode()[:200].hex()
    return [("account", f"signin:account:{account}"), ("address", f"signin:address:{client_address(request)}")]


def client_address(request: HttpRequest) -> str:
    """The address of whoever asks: the last hop that is not one of our own proxies."""
    address = str(request.META.get("REMOTE_ADDR", ""))
    hops = [hop.strip() for hop in request.META.get("HTTP_X_FORWARDED_FOR", "").split(",") if hop.strip()]
    while address in settings.TRUSTED_PROXIES and hops:
        address = hops.pop()
    return address
