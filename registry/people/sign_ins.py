"""Sign-ins: in the audit log each good one, and bad ones with their count; notices of those from new places."""

import hashlib
from ipaddress import ip_address, ip_network

from django.db import transaction
from django.utils import timezone

from registry.kernel import audit, outbox
from registry.kernel.outbox import Kind
from registry.models import SignInPlace, User

EACH_UP_TO = 5
MAX_PLACES = 50  # kept of one person; the place that was used least recently is forgotten


def record(user: User, methods: list[str], *, browser: str = "") -> None:
    """Log that a person signed in, with what and by which browser; record an event if the place is new."""
    with transaction.atomic():
        audit.record(user, "account:sign-in", user.username, about=user, after=methods)
        if browser and _is_new_place(user, browser):
            sender = audit.client.get()
            place = audit.shorten_address(sender.address) if sender else ""
            outbox.record(Kind.SIGNED_IN, None, person=user.pk, browser=browser, address=place)


def _is_new_place(user: User, browser: str) -> bool:
    """Note the place of a sign-in; return whether the person has used others and never this one."""
    places = SignInPlace.objects.filter(user=user)
    had_any = places.exists()
    _, is_new = SignInPlace.objects.update_or_create(
        user=user, sha256=_digest(browser), defaults={"used_at": timezone.now()}
    )
    if is_new:
        places.exclude(pk__in=list(places.order_by("-used_at").values_list("pk", flat=True)[:MAX_PLACES])).delete()
    return is_new and had_any


def _digest(browser: str) -> str:
    """Return the digest of a browser and a network: addresses change within one, and versions of browsers do too."""
    sender = audit.client.get()
    try:
        address = ip_address(sender.address if sender else "")
        network = str(ip_network((address, 24 if address.version == 4 else 48), strict=False))
    except ValueError:
        network = ""
    return hashlib.sha256(f"{browser}\n{network}".encode()).hexdigest()


def record_failure(name: str, *, count: int, from_address: int) -> None:
    """Log wrong credentials for a name: `count` of them today, `from_address` of them by this address.

    Each of the first few has a row, then every doubling: thousands of guesses must not become thousands of rows. Names
    that nobody has are counted by address alone, because a guesser can invent any number of them.
    """
    user = User.objects.filter(username__lower=name.lower()).first()
    number = count if user else from_address
    if number <= EACH_UP_TO or number & (number - 1) == 0:
        name = user.username if user else "(nobody)"
        counts = {"wrong_today": count, "by_this_address": from_address}
        audit.record(None, "account:sign-in-failed", name, about=user, after=counts)
