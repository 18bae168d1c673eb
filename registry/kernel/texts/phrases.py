"""Absolute addresses for mails and messages, which are read outside a browser, and sizes in words."""

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


def size_in_words(count: int) -> str:
    """Return bytes in decimal units, as clients show them: 306 kB."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 999.5:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 10 else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"
