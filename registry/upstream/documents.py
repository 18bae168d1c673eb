"""JSON answers of other hubs, kept: those about a commit for ever, those about a name for a while.

When a hub fails, what it said last is still good: a document that is too old is better than none.
"""

import gzip
import hashlib
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.cache import cache
from django.utils import timezone

from registry.kernel.errors import UpstreamUnavailable, UpstreamWrong
from registry.models import UpstreamDocument, UpstreamRepository

MAX_DOCUMENTS = 500  # of one repository; the oldest go first
REFRESH_SECONDS = 20  # within which one request asks again, and the others take what is here
MAX_KEY = 400


def key_of(*parts: str) -> str:
    """Return a key of bounded length for these words."""
    text = ":".join(parts)
    return text if len(text) <= MAX_KEY else f"{parts[0]}:{hashlib.sha256(text.encode()).hexdigest()}"


def stored(repository: UpstreamRepository, key: str) -> Any:
    """Return a document that is here, however old; None if it is not."""
    row = repository.documents.filter(key=key).first()
    return None if row is None else _unpacked(row)


def store(repository: UpstreamRepository, key: str, value: Any) -> Any:
    """Keep a document, and return it."""
    body = gzip.compress(json.dumps(value, separators=(",", ":")).encode(), 3, mtime=0)
    now = timezone.now()
    _, is_new = repository.documents.update_or_create(key=key, defaults={"body": body, "asked_at": now})
    if is_new and repository.documents.count() > MAX_DOCUMENTS:
        oldest = repository.documents.order_by("asked_at").values("pk")[: MAX_DOCUMENTS // 10]
        repository.documents.filter(pk__in=list(oldest.values_list("pk", flat=True))).delete()
    return value


def lasting(repository: UpstreamRepository, key: str, fetch: Callable[[], Any]) -> Any:
    """Return a document that never changes; `fetch` is called once."""
    value = stored(repository, key)
    return store(repository, key, fetch()) if value is None else value


def passing(repository: UpstreamRepository, key: str, fetch: Callable[[], Any]) -> Any:
    """Return a document that is younger than DOVETAIL_UPSTREAM_REFS_TTL, asked for again if need be.

    An older one is returned while the other hub fails, while another request asks, and offline.
    """
    row = repository.documents.filter(key=key).first()
    if row is None:
        if settings.UPSTREAM.offline:
            raise UpstreamUnavailable(f"This of {repository.full_name} was never read here, and this hub is offline.")
        return store(repository, key, fetch())
    age = timezone.now() - row.asked_at
    is_fresh = age < timedelta(seconds=settings.UPSTREAM.refs_seconds)
    if is_fresh or settings.UPSTREAM.offline or not cache.add(f"upstream:asking:{row.pk}", 1, REFRESH_SECONDS):
        return _unpacked(row)
    try:
        return store(repository, key, fetch())
    except (UpstreamUnavailable, UpstreamWrong):
        return _unpacked(row)
    finally:
        cache.delete(f"upstream:asking:{row.pk}")


def _unpacked(row: UpstreamDocument) -> Any:
    return json.loads(gzip.decompress(bytes(row.body)))
