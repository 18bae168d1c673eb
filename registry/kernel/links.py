"""Whole addresses, for mails and messages that are read outside a browser."""

from urllib.parse import urljoin

from django.conf import settings


def absolute(path: str) -> str:
    """Return the whole address of a path that `reverse` gave; the path begins with the one the hub is mounted below."""
    public: str = settings.PUBLIC_URL
    return urljoin(public, path)
