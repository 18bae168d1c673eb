"""The downloads of an adapter, day by day."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from hub.api import pages
from hub.api.asking import View
from hub.api.shapes.adapters import downloads as shapes
from registry.kernel.policy import Permission
from registry.repos import lookup
from registry.repos.delivery import download_counts


class Downloads(View):
    @extend_schema(
        operation_id="downloads", summary="Downloads by day", parameters=[shapes.Days], responses=shapes.Downloads
    )
    def get(self, request: Request, ns: str, name: str) -> Response:
        days = int(pages.parameters(request, shapes.Days)["days"])
        repository = lookup.find_at_address(f"{ns}/{name}", self.caller, Permission.BROWSE)
        counted = download_counts.by_day(repository, days)
        answer = {
            "adapter": repository.full_name,
            "all_time": repository.downloads,
            "sum": sum(count for _, count in counted),
            "days": [{"day": day, "downloads": count} for day, count in counted],
        }
        return Response(answer)
