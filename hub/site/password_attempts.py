"""How fast passwords may be guessed: longer waits for a caller and an account, never a lock-out.

Two counts lead to a wait: wrong passwords of one address for one account, and of one address for any account. Nothing
is refused because of what other addresses did: a stranger cannot keep the owner out.
"""

import hashlib
import time

from django.http import HttpRequest

from hub import counters
from hub.origin import network_of
from registry.kernel import site_settings
from registry.people import sign_ins

FREE_TRIES = {"pair": 5, "address": 20}
LONGEST_WAIT = 900
REMEMBERED_SECONDS = 24 * 3600


def wait(request: HttpRequest, username: str) -> int:
    """Return the seconds until this address may try this account again; 0 when now is fine."""
    if site_settings.get_setting("throttle") == "off":
        return 0
    until = counters.recall(*(f"{key}:until" for key in _keys(request, username).values()))
    return max(0, round(max(until) - time.time() + 0.5))


def failed(request: HttpRequest, username: str) -> None:
    """Count a wrong password: after the free tries the wait doubles each time, up to 15 minutes."""
    counts = {}
    for kind, key in _keys(request, username).items():
        counts[kind] = count = counters.count(f"{key}:count", REMEMBERED_SECONDS)
        if count >= FREE_TRIES[kind]:
            pause = min(LONGEST_WAIT, 2 ** min(count - FREE_TRIES[kind], 10))
            counters.remember(f"{key}:until", time.time() + pause, REMEMBERED_SECONDS)
    everywhere = counters.count(f"signin:account:{_digest(username)}:count", REMEMBERED_SECONDS)
    sign_ins.record_failure(username.strip(), count=everywhere, from_address=counts["address"])


def succeeded(request: HttpRequest, username: str) -> None:
    """Forget this address's failures for the account, and no others: one good account must not free a guesser."""
    key = _keys(request, username)["pair"]
    counters.forget(f"{key}:count", f"{key}:until")


def _keys(request: HttpRequest, username: str) -> dict[str, str]:
    network = network_of(request)
    return {"pair": f"signin:pair:{_digest(username)}:{network}", "address": f"signin:address:{network}"}


def _digest(username: str) -> str:
    return hashlib.sha256(username.strip().lower().encode("utf-8", "replace")).hexdigest()
