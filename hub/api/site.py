"""The hub itself: what is turned on, the banner of the operator, and the numbers of its moderation."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from hub.about import VERSION
from hub.api import pages
from hub.api.asking import View
from hub.api.shapes import site as shapes
from registry.kernel import banner
from registry.kernel.site_settings import get_setting
from registry.moderation import transparency
from registry.plane import signing


class Transparency(View):
    @extend_schema(
        operation_id="transparency", summary="Reports, decisions, appeals and takedowns by month",
        description="For moderators in a session, where the site setting `transparency` says so.",
        responses=shapes.TransparencyPage,
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        transparency.require(self.caller)
        pages.parameters(request, pages.Nothing)
        items = [
            {"month": f"{row.month:%Y-%m}", "computed_at": row.computed_at, **row.numbers, "journal": row.journal}
            for row in transparency.months()
        ]
        return Response(pages.page(request, [shapes.Month(item).data for item in items]))


class Site(View):
    @extend_schema(
        operation_id="site", summary="What this hub takes now, and its banner", responses=shapes.Site,
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        pages.parameters(request, pages.Nothing)
        shown = banner.current()
        return Response(
            {
                "version": VERSION,
                "registration": get_setting("registration"),
                "pull_policy": get_setting("pull_policy"),
                "uploads": get_setting("uploads") == "on",
                "new_repositories": get_setting("new_repositories") == "on",
                "writable": get_setting("read_only") == "off",
                "banner": shown.document() if shown else None,
                "plane": signing.stated(),
            }
        )
