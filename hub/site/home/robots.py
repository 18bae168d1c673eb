"""Files that programs ask for by name: robots.txt and the icon.

Crawlers may read public pages, but not the endless combinations of filters, nor the bytes.
"""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.templatetags.static import static
from django.urls import reverse
from django.views.decorators.http import require_safe

from hub.addresses import origin

RULES = """User-agent: *
Disallow: /api/
Disallow: /admin/
Disallow: /adapters?
Disallow: /search
Disallow: /*/resolve/
Disallow: /login
"""


@require_safe
def robots(request: HttpRequest) -> HttpResponse:
    return HttpResponse(f"{RULES}Sitemap: {origin(request)}{reverse('sitemap')}\n", content_type="text/plain")


@require_safe
def icon(request: HttpRequest) -> HttpResponse:
    """Lead programs that read no HTML to the icon."""
    return redirect(static("img/favicon.svg"))
