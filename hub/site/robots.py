"""robots.txt: crawlers may read public pages, but not the endless combinations of filters, nor the bytes."""

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

RULES = """User-agent: *
Disallow: /api/
Disallow: /admin/
Disallow: /adapters?
Disallow: /*/resolve/
Disallow: /login
"""


@require_safe
def robots(request: HttpRequest) -> HttpResponse:
    return HttpResponse(RULES, content_type="text/plain")
