"""Names without a namespace, such as gpt2, and the repositories that other hubs mean by them."""

from contextlib import suppress

from django.conf import settings
from django.core.cache import cache

from features.upstream import asking, documents, names, origins, reading
from features.upstream.errors import UpstreamUnavailable, UpstreamWrong
from features.upstream.models import UpstreamRepository

KEPT_SECONDS = 30 * 24 * 3600


def canonical(name: str, type: str) -> str | None:
    """Return the id that another hub gives a name without a namespace; None if it means nothing.

    Never return an id in a namespace of this hub: its owner could put other files in place of a well-known repository.
    Raises UpstreamUnavailable, UpstreamWrong.
    """
    if not settings.UPSTREAM.hubs or not names.may_be_asked_alone(name):
        return None
    key = documents.key_of("upstream-canonical", type, name.lower())
    full_name = cache.get(key)
    if full_name is None:
        full_name = _asked(name, type, key)
    return full_name if full_name and names.may_be_asked(full_name) else None


def _asked(name: str, type: str, key: str) -> str:
    """Return the id from the hubs, else the one they gave before if none can be asked; "" for no such name."""
    known = UpstreamRepository.objects.filter(type=type, short_name=name.lower()).order_by("-read_at").first()
    if not origins.may_ask():
        return known.full_name if known else ""
    try:
        stated = _stated(name, type)
    except UpstreamUnavailable:
        if known is None:
            raise
        return known.full_name
    cache.set(key, stated, KEPT_SECONDS if stated else settings.UPSTREAM.missing_seconds)
    if stated:
        _keep(name, stated, type)
    return stated


def _keep(name: str, stated: str, type: str) -> None:
    """Write the name to the row of the repository, for when the cache has lost it; the next request reads it anyway."""
    with suppress(UpstreamUnavailable, UpstreamWrong):
        row = reading.find(stated, type)
        if row is not None:
            UpstreamRepository.objects.filter(pk=row.pk).update(short_name=name.lower())


def _stated(name: str, type: str) -> str:
    for hub in settings.UPSTREAM.hubs:
        reply = asking.ask(hub, origins.api_path(type, name))
        stated = reply.value.get("id") if reply.status == 200 and isinstance(reply.value, dict) else None
        if isinstance(stated, str) and stated.lower().endswith(f"/{name.lower()}"):
            return stated
    return ""
