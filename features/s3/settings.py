"""Reads DOVETAIL_S3_HOST: the host that S3 has for itself, for clients whose endpoint takes no path."""

import re

from django.core.exceptions import ImproperlyConfigured

from hub.environment import Environment

_HOST = re.compile(r"(?=[^:]{1,253}(?::|$))[a-z0-9-]+(?:\.[a-z0-9-]+)*(?::[0-9]{1,5})?")


def own_host(value: str) -> str:
    """Return a host with or without a port in lower case, "" for none. Raises ImproperlyConfigured."""
    host = value.strip().lower()
    if host and not _HOST.fullmatch(host):
        raise ImproperlyConfigured(
            f"DOVETAIL_S3_HOST must be a host such as s3.hub.example.org, or a host and a port, not {value!r}."
        )
    return host


def SETTINGS(env: Environment) -> dict[str, object]:  # as hub/settings.py looks for it
    """Return the host of S3, and what leads requests for it to the routes of S3."""
    host = env("S3_HOST", own_host, default="")
    return {
        "S3_HOST": host,
        "FIRST_MIDDLEWARE": ["features.s3.wire.signatures.OwnHost"] if host else [],
    }
