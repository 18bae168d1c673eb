"""The site map (https://www.sitemaps.org/protocol.html): public repositories, for crawlers."""

from xml.sax.saxutils import escape

from django.db.models import Max
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_safe

from hub.addresses import absolute
from registry.kernel.callers import NOBODY
from registry.models import Repository
from registry.repos.lists.catalog import listable_for

PART = 10_000  # row numbers in a part of the map; the protocol allows 50,000 addresses
NAMESPACE = "http://www.sitemaps.org/schemas/sitemap/0.9"


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """Return the addresses of the parts. Nothing is counted, so a part may be empty."""
    last = Repository.objects.aggregate(last=Max("pk"))["last"] or 0
    parts = [absolute(request, reverse("sitemap-part", args=[number])) for number in range(last // PART + 1)]
    return _xml("sitemapindex", [f"<sitemap><loc>{escape(address)}</loc></sitemap>" for address in parts])


@require_safe
def part(request: HttpRequest, number: int) -> HttpResponse:
    """Return the repositories of a part that a visitor who is not signed in finds, in the order of creation."""
    if number > 1_000_000_000:
        raise Http404
    rows = Repository.objects.filter(listable_for(NOBODY), pk__gte=number * PART, pk__lt=(number + 1) * PART)
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
        f'<?xml version="1.0" encoding="UTF-8"?>\n<{root} xmlns="{NAMESPACE}">\n' + "\n".join(nodes) + f"\n</{root}>\n"
    )
    return HttpResponse(text, content_type="application/xml")
