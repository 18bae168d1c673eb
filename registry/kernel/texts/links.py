"""Addresses for mails and messages: absolute URLs, which are read outside a browser, and the page of a quota."""

from urllib.parse import urljoin

from django.conf import settings
from django.urls import reverse


def absolute(path: str) -> str:
    """Return the absolute URL of a path from `reverse`; the path includes the one that the hub is mounted below."""
    public: str = settings.PUBLIC_URL
    return urljoin(public, path)


def usage_path(owner: str, *, is_person: bool) -> str:
    """Return the path of the page that says what a person or an organisation holds."""
    return reverse("usage") if is_person else reverse("organization-usage", args=[owner])
