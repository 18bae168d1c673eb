"""Links by which people join an organisation: list, make or send, and withdraw them."""

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from hub.api import pages
from hub.api.asking import View
from hub.api.shapes.people import organization_links as shapes
from registry.people.organizations import organization_links, organizations
from registry.people.organizations.join_links import Terms
from registry.talk.alerts import invitation_letters


class Links(View):
    @extend_schema(operation_id="join_links", summary="Open links by which people join", responses=shapes.JoinLinkPage)
    def get(self, request: Request, org: str) -> Response:
        rows = organization_links.list_open(org, self.caller)
        return Response({"items": shapes.JoinLink(rows, many=True).data, "next": None})

    @extend_schema(
        operation_id="make_join_link", summary="Make a link by which people join, or send it",
        description="The link is in this answer and nowhere else; one that went by letter is in no answer.",
        request=shapes.NewJoinLink, responses={201: shapes.MadeJoinLink},
    )  # fmt: skip
    def post(self, request: Request, org: str) -> Response:
        organization = organizations.require_administered(org, self.caller)
        wish = pages.body(request, shapes.NewJoinLink)
        made = invitation_letters.offer(str(organization), Terms(**wish), self.caller)
        row = organization_links.list_open(str(organization), self.caller)[0]
        answer = {**shapes.JoinLink(row).data, "link": made.link or None, "sent_to": made.sent_to or None}
        return Response(answer, status.HTTP_201_CREATED, headers={"Cache-Control": "no-store"})


class OneLink(View):
    @extend_schema(operation_id="withdraw_join_link", summary="Withdraw a link", responses={204: None})
    def delete(self, request: Request, org: str, id: int) -> Response:
        organization_links.withdraw(org, id, self.caller)
        return Response(status=status.HTTP_204_NO_CONTENT)
