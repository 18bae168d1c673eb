"""Links of pages to the routes of REST."""

from hub.site.panels import Link, Pages, Panel

PAGES = Pages(
    links=(Link("footer", "api-docs", "API", words="rest openapi"),), panels=(Panel("docs", "openapi/link.html"),)
)
