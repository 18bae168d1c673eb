"""Reads DOVETAIL_UPSTREAM*: the hubs from which repositories that are not here are read, and the rules for it."""

from pathlib import Path
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

from django.core.exceptions import ImproperlyConfigured

from hub.configuration.environment import Environment, one_of, words


class Upstream(NamedTuple):
    """Another hub: its address, without a slash at the end, and the token that this hub reads it with."""

    url: str
    token: str = ""

    def __repr__(self) -> str:
        """Leave the token out: settings are shown on debug pages and in logs."""
        return f"Upstream({self.url!r})"


class Upstreams(NamedTuple):
    """All of them in the order in which they are asked, and what may be read from them."""

    hubs: tuple[Upstream, ...] = ()
    mode: str = "cache"
    allow: tuple[str, ...] = ()  # patterns of namespace/name; none: all
    deny: tuple[str, ...] = ()
    licenses: tuple[str, ...] = ()  # as cards name them; none: all
    bases: tuple[str, ...] = ()  # patterns of bases that workers fetch when an adapter waits for one
    gated: str = "off"  # who may read what only the token of this hub may: off, members
    hosts: tuple[str, ...] = ()  # that a hub may redirect to; none: any public one
    size: int = 0
    refs_seconds: int = 0
    missing_seconds: int = 0
    days: int = 90  # after which what nobody read is forgotten
    streams: int = 0  # requests of one web process that may wait for a hub at once
    offline: bool = False


def upstreams(env: Environment, size: int) -> Upstreams:
    """Return the hubs and rules; `size` is the default for the cache. Raises ImproperlyConfigured."""
    urls = env("UPSTREAM", words, default=[])
    tokens = _tokens(env, len(urls))
    return Upstreams(
        hubs=tuple(Upstream(_address(url), token) for url, token in zip(urls, tokens, strict=True)),
        mode=env("UPSTREAM_MODE", one_of("cache", "redirect"), default="cache"),
        allow=_patterns(env, "UPSTREAM_ALLOW"),
        deny=_patterns(env, "UPSTREAM_DENY"),
        licenses=_patterns(env, "UPSTREAM_LICENSES"),
        bases=_patterns(env, "UPSTREAM_BASES"),
        gated=env("UPSTREAM_GATED", one_of("off", "members"), default="off"),
        hosts=_patterns(env, "UPSTREAM_HOSTS"),
        size=env("UPSTREAM_SIZE", _positive, default=size),
        refs_seconds=env("UPSTREAM_REFS_TTL", _positive, default=300),
        missing_seconds=env("UPSTREAM_MISSING_TTL", _positive, default=300),
        days=env("UPSTREAM_DAYS", _positive, default=90),
        streams=env("UPSTREAM_STREAMS", _positive, default=8),  # with slow readers three times as many threads, of 64
        offline=env.bool("UPSTREAM_OFFLINE", default=False),
    )


def _patterns(env: Environment, name: str) -> tuple[str, ...]:
    return tuple(word.lower() for word in env(name, words, default=[]))


def _positive(value: str) -> int:
    if not value.isdecimal() or int(value) < 1:
        raise ValueError("be a whole number above 0")
    return int(value)


def _tokens(env: Environment, count: int) -> list[str]:
    """Return one token for each hub, empty for one that is read without."""
    given, files = env("UPSTREAM_TOKEN"), env("UPSTREAM_TOKEN_FILE")
    if given and files:
        raise ImproperlyConfigured("Set DOVETAIL_UPSTREAM_TOKEN or DOVETAIL_UPSTREAM_TOKEN_FILE, not both.")
    name = "DOVETAIL_UPSTREAM_TOKEN_FILE" if files else "DOVETAIL_UPSTREAM_TOKEN"
    values = [value.strip() for value in (given or files).split(",")] if given or files else []
    if len(values) > count:
        raise ImproperlyConfigured(f"{name} has more values than DOVETAIL_UPSTREAM has addresses.")
    tokens = [_read(value) if value else "" for value in values] if files else values
    if any(not token.isascii() or not token.isprintable() or " " in token for token in tokens):
        raise ImproperlyConfigured(f"{name} must hold tokens of printable characters without spaces.")
    return tokens + [""] * (count - len(tokens))


def _read(file: str) -> str:
    try:
        return Path(file).read_text().strip()
    except (OSError, ValueError) as problem:
        raise ImproperlyConfigured(f"DOVETAIL_UPSTREAM_TOKEN_FILE: {file} cannot be read: {problem}.") from None


def _address(url: str) -> str:
    parts = _parts(url)
    if parts is None or parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ImproperlyConfigured("DOVETAIL_UPSTREAM must hold addresses such as https://hub.example.org.")
    if parts.username is not None or parts.password is not None:
        raise ImproperlyConfigured("DOVETAIL_UPSTREAM holds a password: give a token in DOVETAIL_UPSTREAM_TOKEN.")
    return url.rstrip("/")


def _parts(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts
