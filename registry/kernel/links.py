"""Absolute URLs, for mails and messages that are read outside a browser."""

from urllib.parse import urljoin

from django.conf import settings


def absolute(path: str) -> str:
    """Return the absolute URL of a path from `reverse`; the path includes the one that the hub is mounted below."""
    public: str = settings.PUBLIC_URL
    return urljoin(public, path)
