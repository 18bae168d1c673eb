"""The pages that crawlers may read, and the site map."""

from xml.sax.saxutils import escape

from django.db.models import Max
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import path, reverse
from django.views.decorators.http import require_safe

from hub.addresses import absolute, origin
from hub.site.panels import Pages
from registry.kernel.callers import NOBODY
from registry.kernel.policy import listed_to
from registry.models import Repository

# Crawlers may read public pages, but not the endless combinations of filters, nor the bytes.
ROBOT_RULES = """User-agent: *
Disallow: /api/
Disallow: /admin/
Disallow: /adapters?
Disallow: /search
Disallow: /*/resolve/
Disallow: /login
"""


@require_safe
def robots(request: HttpRequest) -> HttpResponse:
    return HttpResponse(f"{ROBOT_RULES}Sitemap: {origin(request)}{reverse('sitemap')}\n", content_type="text/plain")


# The site map (https://www.sitemaps.org/protocol.html): public repositories, for crawlers.
SITEMAP_PART = 10_000  # row numbers in a part of the map; the protocol allows 50,000 addresses
SITEMAP_NAMESPACE = "http://www.sitemaps.org/schemas/sitemap/0.9"


@require_safe
def sitemap(request: HttpRequest) -> HttpResponse:
    """Return the addresses of the parts. Nothing is counted, so a part may be empty."""
    last = Repository.objects.aggregate(last=Max("pk"))["last"] or 0
    parts = [absolute(request, reverse("sitemap-part", args=[number])) for number in range(last // SITEMAP_PART + 1)]
    return _xml("sitemapindex", [f"<sitemap><loc>{escape(address)}</loc></sitemap>" for address in parts])


@require_safe
def sitemap_part(request: HttpRequest, number: int) -> HttpResponse:
    """Return the repositories of a part that a visitor who is not signed in finds, in the order of creation."""
    if number > 1_000_000_000:
        raise Http404
    rows = Repository.objects.filter(
        listed_to(NOBODY), pk__gte=number * SITEMAP_PART, pk__lt=(number + 1) * SITEMAP_PART
    )
    return _xml(
        "urlset",
        [
            f"<url><loc>{escape(absolute(request, row.get_absolute_url()))}</loc>"
            f"<lastmod>{row.updated_at.isoformat(timespec='seconds')}</lastmod></url>"
            for row in rows.select_related("namespace")
            .only("namespace__name", "name", "type", "updated_at")
            .order_by("pk")
        ],
    )


def _xml(root: str, nodes: list[str]) -> HttpResponse:
    text = (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<{root} xmlns="{SITEMAP_NAMESPACE}">\n'
        + "\n".join(nodes)
        + f"\n</{root}>\n"
    )
    return HttpResponse(text, content_type="application/xml")


PAGES = Pages(
    routes=[
        path("robots.txt", robots, name="robots"),
        path("sitemap.xml", sitemap, name="sitemap"),
        path("feeds/sitemap-<int:number>.xml", sitemap_part, name="sitemap-part"),
    ]
)
