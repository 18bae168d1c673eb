"""The hub that a repository is read from, and requests about it."""

from typing import Any
from urllib.parse import quote

from django.conf import settings

from features.upstream import asking
from features.upstream.asking import Hub, Reply
from features.upstream.errors import UpstreamRefused, UpstreamUnavailable
from features.upstream.models import UpstreamRepository


def hub_of(repository: UpstreamRepository) -> Hub:
    """Return the hub of a repository. Raises UpstreamUnavailable for one that the settings name no more."""
    for hub in settings.UPSTREAM.hubs:
        if hub.url == repository.origin:
            return hub
    raise UpstreamUnavailable(f"{repository.full_name} came from {repository.origin}, which is not asked any more.")


def may_ask() -> bool:
    """Return whether other hubs may be asked now, for a request that passed few of them before."""
    return not settings.UPSTREAM.offline and asking.hops.get() < asking.MAX_HOPS


def ask(repository: UpstreamRepository, rest: str, question: object = None) -> Reply:
    """Ask the hub of a repository for something below its address in the API. Raises what asking.ask raises."""
    return asking.ask(hub_of(repository), f"{api_path(repository.type, repository.full_name)}{rest}", question)


def api_path(type: str, full_name: str) -> str:
    """Return the path of a repository in a hub's API."""
    return f"/api/{type}s/{quote(full_name)}"


def file_path(repository: UpstreamRepository, oid: str, path: str) -> str:
    """Return the path at which a hub serves a file."""
    prefix = "" if repository.type == "model" else f"{repository.type}s/"
    return f"/{prefix}{quote(repository.full_name)}/resolve/{oid}/{quote(path)}"


def require_license(info: dict[str, Any]) -> None:
    """Raise UpstreamRefused for a repository whose license the operator did not list."""
    card = info.get("cardData")
    stated = card.get("license") if isinstance(card, dict) else None
    names = stated if isinstance(stated, list) else [stated]
    lower = {name.lower() for name in names if isinstance(name, str)}
    allowed = settings.UPSTREAM.licenses
    if allowed and not (lower and lower <= set(allowed)):
        named = ", ".join(sorted(lower)) or "no license"
        raise UpstreamRefused(f"{info.get('id')} states {named}, and this hub reads {', '.join(allowed)} only.")
