"""Delivers messages to webhooks: takes a row, signs and sends it, writes down what came of it."""

import hashlib
import hmac
import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings

from registry.models import Delivery
from registry.talk import deliveries
from workers import outbound_http
from workers.outbound_http import Unreachable

AT_ONCE = 4  # messages of one person: addresses that let us wait must not hold all threads of the errands
LATER_SECONDS = 30
_sending: Counter[int] = Counter()
_lock = threading.Lock()


def deliver(number: int) -> None:
    """Send a delivery that is due, once; what failed is due again later, and so is one too many of one person."""
    owner = deliveries.owner_of(number)
    if owner is None:
        return
    with _one_of(owner) as has_turn:
        if has_turn:
            _deliver(number)
        else:
            deliveries.put_off(number, LATER_SECONDS)


@contextmanager
def _one_of(owner: int) -> Iterator[bool]:
    """Count one message of a person while it is sent here; false where there are enough."""
    with _lock:
        has_turn = _sending[owner] < AT_ONCE
        _sending[owner] += has_turn
    try:
        yield has_turn
    finally:
        with _lock:
            _sending[owner] -= has_turn
            if not _sending[owner]:
                del _sending[owner]


def _deliver(number: int) -> None:
    taken = deliveries.claim(number)
    if taken is None:
        return
    body = json.dumps(taken.payload, separators=(",", ":")).encode()
    try:
        answer = outbound_http.post(taken.webhook.url, body, headers(taken, body))
    except Unreachable as problem:
        deliveries.record(taken, {"status": None, "problem": str(problem)})
    else:
        said = "".join(char if char.isprintable() or char == "\n" else " " for char in answer.text)
        deliveries.record(taken, {"status": answer.status, "answer": said[:1000], "ms": answer.milliseconds})


def headers(delivery: Delivery, body: bytes) -> dict[str, str]:
    """Return what goes with a message: the secret as the Hub sends it, and beside it a signature of the body."""
    secret = delivery.webhook.secret
    sent = {
        "Content-Type": "application/json",
        "User-Agent": f"Dovetail-Webhook (+{settings.PUBLIC_URL})",
        "X-Dovetail-Delivery": str(delivery.pk),
    }
    if secret:
        digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        sent |= {"X-Webhook-Secret": secret, "X-Hub-Signature-256": f"sha256={digest}"}
    return sent
