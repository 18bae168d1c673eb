"""Runs a request once, however often it is sent: its answer is kept for a day under the caller and a key of theirs.

An answer may hold a secret, such as the value of a new token. So it is encrypted with the caller's key, of which only
a digest is stored.
"""

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from registry.kernel.callers import Caller
from registry.kernel.errors import IdempotencyKeyReused, RequestInProgress
from registry.models import IdempotentRequest

LIFE = timedelta(hours=24)
LEASE = timedelta(minutes=5)  # after that a request without an answer has died, and the next one runs
MAX_BODY = 1 << 20  # bytes: a longer answer is not kept


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a request, as it was sent."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Ticket:
    """The right to work on a request; `finish` or `release` ends it."""

    row: int
    key: str


def begin(by: Caller, key: str, request: bytes) -> Ticket | Answer:
    """Return the kept answer to a request of this caller under this key, or a ticket to work on it.

    `request` is all that makes two requests the same. Raises IdempotencyKeyReused and RequestInProgress.
    """
    assert by.user is not None
    digest, credential = hashlib.sha256(request).hexdigest(), str(by.token.pk) if by.token else ""
    place = {"user": by.user, "credential": credential, "key": hashlib.sha256(key.encode()).hexdigest()}
    now = timezone.now()
    IdempotentRequest.objects.filter(**place, begun_at__lt=now - LIFE).delete()
    IdempotentRequest.objects.filter(**place, begun_at__lt=now - LEASE, answer__isnull=True).delete()
    try:
        with transaction.atomic():
            return Ticket(IdempotentRequest.objects.create(**place, request=digest).pk, key)
    except IntegrityError:
        row = IdempotentRequest.objects.filter(**place).first()
    if row is not None and row.request != digest:
        raise IdempotencyKeyReused("This Idempotency-Key was already used for another request.")
    if row is None or row.answer is None:
        raise RequestInProgress("A request with this Idempotency-Key is still in progress.")
    return _decrypted(key, bytes(row.answer))


def finish(ticket: Ticket, answer: Answer) -> None:
    """Keep the answer to a request that did something; one that was refused did nothing, and its key is free again."""
    rows = IdempotentRequest.objects.filter(pk=ticket.row)
    if answer.status >= 400 or len(answer.body) > MAX_BODY:
        rows.delete()
    else:
        rows.update(answer=_encrypted(ticket.key, answer))


def sweep() -> int:
    """Delete the rows whose day is over, and return how many there were."""
    return IdempotentRequest.objects.filter(begun_at__lt=timezone.now() - LIFE).delete()[0]


def _encrypted(key: str, answer: Answer) -> bytes:
    document = {
        "status": answer.status,
        "headers": dict(answer.headers),
        "body": base64.b64encode(answer.body).decode(),
    }
    return _cipher(key).encrypt(json.dumps(document).encode())


def _decrypted(key: str, data: bytes) -> Answer:
    try:
        document = json.loads(_cipher(key).decrypt(data))
    except InvalidToken:
        raise IdempotencyKeyReused("The stored answer for this Idempotency-Key can no longer be read.") from None
    return Answer(document["status"], document["headers"], base64.b64decode(document["body"]))


def _cipher(key: str) -> MultiFernet:
    """Return what encrypts under the hub's secret key and reads under those before it."""
    secret_keys = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    return MultiFernet([Fernet(base64.urlsafe_b64encode(_secret(each, key))) for each in secret_keys])


def _secret(secret_key: str, key: str) -> bytes:
    return hashlib.sha256(b"dovetail idempotency:" + secret_key.encode() + b":" + key.encode()).digest()
