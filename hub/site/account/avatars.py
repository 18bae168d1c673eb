"""Pictures of people and organisations: the first letter on a colour that the name chooses."""

import zlib

from django.http import HttpRequest, HttpResponse
from django.utils.html import escape
from django.views.decorators.http import require_safe

from registry.kernel.errors import NamespaceNotFound
from registry.models import Avatar

COLOURS = ("#0b6e5a", "#8a4b0f", "#3d5a98", "#8c3b6a", "#5b6b1f", "#6a4fa3", "#a33b3b", "#1f6f78")
SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64" width="64" height="64"><rect width="64" height="64" '
    'rx="14" fill="{colour}"/><text x="32" y="43" font-family="system-ui,sans-serif" font-size="30" font-weight="600" '
    'text-anchor="middle" fill="#fff">{letter}</text></svg>'
)


@require_safe
def picture(request: HttpRequest, name: str) -> HttpResponse:
    """Send the picture of a person who has one. Raises NamespaceNotFound for all others."""
    found = Avatar.objects.filter(user__username__lower=name.lower(), user__is_active=True).first()
    if found is None:
        raise NamespaceNotFound(f"There is no picture of {name!r}.")
    response = HttpResponse(bytes(found.webp), content_type="image/webp")
    response["Cache-Control"] = "public, max-age=60"  # who removes it, or is suspended, expects it to go
    response["Content-Security-Policy"] = "default-src 'none'"
    return response


@require_safe
def avatar(request: HttpRequest, name: str) -> HttpResponse:
    """Draw a picture for any name, also one that nobody has: it says nothing about who is here."""
    colour = COLOURS[zlib.crc32(name.lower().encode("utf-8", "replace")) % len(COLOURS)]
    letter = escape(name[:1].upper())
    response = HttpResponse(SVG.format(colour=colour, letter=letter), content_type="image/svg+xml")
    response["Cache-Control"] = "public, max-age=604800"
    return response
