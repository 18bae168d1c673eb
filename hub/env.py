"""Reads DOVETAIL_* variables for settings.py, and refuses names that nobody reads."""

import os
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

PREFIX = "DOVETAIL_"
# Read by the pip client; whoever has set them may run a hub too.
CLIENT = {"DOVETAIL_ENDPOINT", "DOVETAIL_TOKEN", "DOVETAIL_HOME"}
_known: set[str] = set()


def text(name: str, default: str = "") -> str:
    """Return the value of DOVETAIL_<name>, or the default when it is unset or empty."""
    _known.add(PREFIX + name)
    return os.environ.get(PREFIX + name, "") or default


def whole(name: str, default: int) -> int:
    """Return DOVETAIL_<name> as an integer; sizes and times say their unit in docs/settings.md."""
    value = text(name, str(default))
    try:
        return int(value)
    except ValueError:
        raise ImproperlyConfigured(f"{PREFIX}{name} must be a whole number, not {value!r}.") from None


def truth(name: str, default: bool) -> bool:
    """Return DOVETAIL_<name> as a yes or no."""
    value = text(name, "on" if default else "off").lower()
    if value in {"1", "on", "true", "yes"}:
        return True
    if value in {"0", "off", "false", "no"}:
        return False
    raise ImproperlyConfigured(f"{PREFIX}{name} must be on or off, not {value!r}.")


def choice(name: str, *choices: str) -> str:
    """Return DOVETAIL_<name>, one of the choices; the first is the default."""
    value = text(name, choices[0])
    if value not in choices:
        raise ImproperlyConfigured(f"{PREFIX}{name} must be one of {', '.join(choices)}, not {value!r}.")
    return value


def words(name: str, default: str = "") -> list[str]:
    """Return DOVETAIL_<name> split at commas."""
    return [word.strip() for word in text(name, default).split(",") if word.strip()]


def refuse_unknown(environment: Mapping[str, str] = os.environ) -> None:
    """Raise ImproperlyConfigured for a DOVETAIL_* name that no setting reads: a typo must not pass silently."""
    unknown = sorted(name for name in environment if name.startswith(PREFIX) and name not in _known | CLIENT)
    if unknown:
        raise ImproperlyConfigured(
            f"Unknown setting {', '.join(unknown)}. The names that exist are listed in docs/settings.md."
        )


def known() -> frozenset[str]:
    """Return every DOVETAIL_* name that settings.py has read."""
    return frozenset(_known)


def database(url: str) -> dict[str, object]:
    """Turn sqlite:///PATH or postgres://user:password@host:port/name into Django's dictionary."""
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        # Opening the file and setting it up takes longer than answering a request.
        kept: dict[str, object] = {"CONN_MAX_AGE": SQLITE_KEPT_SECONDS, "OPTIONS": dict(SQLITE_OPTIONS)}
        return {"ENGINE": "hub.sqlite", "NAME": parts.path, **kept}
    if parts.scheme in {"postgres", "postgresql"}:
        options: dict[str, object] = {key: values[-1] for key, values in parse_qs(parts.query).items()}
        # 128 threads with a connection each would exhaust PostgreSQL's default limit of 100.
        options["pool"] = {"min_size": 1, "max_size": 10}
        return {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": parts.path.lstrip("/"),
            "USER": unquote(parts.username or ""),
            "PASSWORD": unquote(parts.password or ""),
            "HOST": parts.hostname or "",
            "PORT": str(parts.port or ""),
            "CONN_MAX_AGE": 0,
            "OPTIONS": options,
        }
    raise ImproperlyConfigured(f"DOVETAIL_DATABASE_URL must begin with sqlite:// or postgres://, not {url!r}.")


def blobs(url: str) -> str:
    """Return where bytes are kept as it was written: file://DIR or s3://bucket?endpoint=URL."""
    parts = urlsplit(url)
    if not (parts.scheme == "file" and parts.netloc + parts.path) and not (parts.scheme == "s3" and parts.netloc):
        raise ImproperlyConfigured(f"DOVETAIL_BLOBS must be file://DIR or s3://bucket?endpoint=URL, not {url!r}.")
    return url


class Smtp(NamedTuple):
    """Where letters are handed over; without a host nobody sends any."""

    host: str = ""
    port: int = 25
    user: str = ""
    password: str = ""
    ssl: bool = False
    tls: bool = False


def smtp(url: str) -> Smtp:
    """Turn smtp://user:password@host:port into its parts; smtps is TLS from the first byte, smtp+tls by STARTTLS."""
    if not url:
        return Smtp()
    parts = urlsplit(url)
    ports = {"smtp": 25, "smtps": 465, "smtp+tls": 587}
    if parts.scheme not in ports or not parts.hostname:
        raise ImproperlyConfigured("DOVETAIL_SMTP_URL must be smtp://, smtps:// or smtp+tls:// with a host.")
    return Smtp(
        parts.hostname, parts.port or ports[parts.scheme], unquote(parts.username or ""), unquote(parts.password or ""),
        ssl=parts.scheme == "smtps", tls=parts.scheme == "smtp+tls",
    )  # fmt: skip


# IMMEDIATE, because under WAL a deferred transaction that reads and then writes fails at once when
# somebody else wrote in between, whatever the timeout.
SQLITE_KEPT_SECONDS = 300
SQLITE_OPTIONS: dict[str, object] = {
    "transaction_mode": "IMMEDIATE",
    "timeout": 20,
    "init_command": (
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-65536; PRAGMA mmap_size=268435456;"
        "PRAGMA temp_store=MEMORY; PRAGMA journal_size_limit=67108864;"
    ),
}
