"""Private and gated repositories of other hubs, which only some people there and the token of this hub may read."""

from typing import Any

from django.conf import settings
from django.core.cache import cache

from registry.kernel import refusals
from registry.kernel.callers import Caller, Permission
from registry.kernel.errors import UpstreamGated
from registry.models import Repository, UpstreamRepository


def require(caller: Caller, permission: Permission, row: UpstreamRepository, asked: str) -> None:
    """Raise the refusal for a caller who may not do this with a repository of another hub.

    Repositories that only the token of this hub opens are for members, if the operator allows it. Nobody writes there.
    """
    is_member = caller.user is not None and (not caller.is_fine_grained or bool(caller.named_grant(row.full_name)))
    may_have = not row.restricted or (settings.UPSTREAM.gated == "members" and is_member)
    if row.restricted == "private" and not may_have:
        raise refusals.repository_not_found(asked)
    if permission in (Permission.READ, Permission.BROWSE):
        return
    if permission is not Permission.DOWNLOAD:
        raise refusals.read_elsewhere(row.full_name, row.origin)
    if not may_have:
        raise UpstreamGated(
            f"{row.origin} gives {row.full_name} to some people alone.",
            fix="Sign in to this hub, or ask its administrator."
            if settings.UPSTREAM.gated == "members"
            else "Ask there for access, and download it there; this hub passes on what everybody may have.",
        )


def stated_in(info: dict[str, Any]) -> str:
    """Return whom a hub gives a repository to, by its info: private, gated, or "" for everybody."""
    return "private" if info.get("private") else "gated" if info.get("gated") else ""


def note(row: UpstreamRepository, info: dict[str, Any]) -> None:
    """Keep whom the hub gives the repository to. Raises UpstreamGated if it is private or gated by now."""
    was, row.restricted = row.restricted, stated_in(info)
    remember(row)
    if row.restricted != was:
        UpstreamRepository.objects.filter(pk=row.pk).update(restricted=row.restricted)
        namespace, _, name = row.folded.partition("/")
        records = Repository.objects.filter(type=row.type, namespace__name__lower=namespace, name__lower=name)
        records.exclude(source="").update(private=bool(row.restricted))
        if row.restricted:  # who asked was let in by what the hub said before
            raise UpstreamGated(f"{row.origin} gives {row.full_name} to some people alone from now on.")


def remember(row: UpstreamRepository) -> None:
    """Believe for DOVETAIL_UPSTREAM_MISSING_TTL what the hub just said."""
    if row.restricted:
        cache.set(_key(row), 1, settings.UPSTREAM.missing_seconds)


def is_old(row: UpstreamRepository) -> bool:
    """Return whether the hub should be asked again for whom the repository is; True for one caller alone."""
    return cache.add(_key(row), 1, settings.UPSTREAM.missing_seconds)


def _key(row: UpstreamRepository) -> str:
    return f"upstream:restricted:{row.pk}"
