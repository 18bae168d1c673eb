"""Delivers messages to webhooks: claims a row, signs and sends it, and records the result."""

import hashlib
import hmac
import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from celery import shared_task
from django.conf import settings

from features.webhooks import deliveries
from features.webhooks.models import Delivery
from registry.kernel import outbound_http, traces
from registry.kernel.seams import Jobs

AT_ONCE = 4  # messages of one person: slow receivers must not occupy all threads of the errands queue
LATER_SECONDS = 30
JOBS = Jobs()  # a task alone
_sending: Counter[int] = Counter()
_lock = threading.Lock()


@shared_task(name="workers.tasks.deliver")
def deliver(number: int) -> None:
    """Send a delivery that is due, once. After a failure, or beyond the owner's limit, it is due again later."""
    owner = deliveries.owner_of(number)
    if owner is None:
        return
    with _slot(owner) as has_slot:
        if has_slot:
            _deliver(number)
        else:
            deliveries.put_off(number, LATER_SECONDS)


@contextmanager
def _slot(owner: int) -> Iterator[bool]:
    """Count one message of a person while it is sent; yield False if the limit is reached."""
    with _lock:
        has_slot = _sending[owner] < AT_ONCE
        if has_slot:
            _sending[owner] += 1
    try:
        yield has_slot
    finally:
        if has_slot:
            with _lock:
                _sending[owner] -= 1
                if not _sending[owner]:
                    del _sending[owner]


def _deliver(number: int) -> None:
    delivery = deliveries.claim(number)
    if delivery is None:
        return
    body = json.dumps(delivery.payload, separators=(",", ":")).encode()
    try:
        with traces.span("webhook", delivery=delivery.pk):
            answer = outbound_http.post(delivery.webhook.url, body, headers(delivery, body))
    except outbound_http.Unreachable as problem:
        deliveries.record(delivery, {"status": None, "problem": str(problem)})
    else:
        text = "".join(char if char.isprintable() or char == "\n" else " " for char in answer.text)
        deliveries.record(delivery, {"status": answer.status, "answer": text[:1000], "ms": answer.milliseconds})


def headers(delivery: Delivery, body: bytes) -> dict[str, str]:
    """Return the headers of a message: the secret, as the Hub sends it, and a signature of the body."""
    secret = delivery.webhook.secret
    fields = {
        "Content-Type": "application/json",
        "User-Agent": f"Dovetail-Webhook (+{settings.PUBLIC_URL})",
        "X-Dovetail-Delivery": str(delivery.pk),
    }
    if secret:
        digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        fields |= {"X-Webhook-Secret": secret, "X-Hub-Signature-256": f"sha256={digest}"}
    return fields
