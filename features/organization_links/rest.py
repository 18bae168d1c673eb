"""Links by which people join an organisation: list, make or send, and withdraw them; and join by one."""

from typing import Annotated

from django.urls import path
from rest_framework import serializers as s
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from dovetail.answers.record import Answer, Format, Page, Time, Url
from features.organization_links import verbs
from hub.api import pages
from hub.api.organizations import ROLES, Joined, Role
from hub.api.pages import Data, Text
from hub.api.records import of_row, operation
from hub.api.views import View
from registry.people.organizations import join_links, organizations
from registry.talk import letters


class NewJoinLink(s.Serializer[Data]):
    role = s.ChoiceField(choices=ROLES)
    uses = s.IntegerField(required=False, default=1, min_value=1, max_value=join_links.MAX_USES)
    days = s.IntegerField(required=False, default=7, min_value=1, max_value=join_links.MAX_DAYS)
    email = Text(required=False, allow_blank=True, default="", max_length=254, help_text="where it is sent")
    note = Text(required=False, allow_blank=True, default="", max_length=200, help_text="for administrators")


class JoinByLink(s.Serializer[Data]):
    link = Text(max_length=2000, help_text="the address of an invitation, or its secret alone")


class JoinLink(Answer):
    id: int
    role: Role
    note: str
    email: str
    uses: int
    max_uses: int
    by: str
    created_at: Time
    ends_at: Time


class MadeJoinLink(JoinLink):
    link: Annotated[Url | None, "null when it went by letter"]
    sent_to: Annotated[str | None, Format("email"), "null where no letter went out"]


class Links(View):
    @operation("join_links")
    def get(self, request: Request, org: str) -> Page[JoinLink]:
        """Open links by which people join."""
        rows = verbs.list_open(org, self.caller)
        return pages.page(request, [of_row(JoinLink, row, by=row.by.username) for row in rows])

    @operation(
        "make_join_link",
        body=NewJoinLink,
        answers={201: MadeJoinLink},
        example={"role": "read", "uses": 5, "days": 7},
    )
    def post(self, request: Request, org: str) -> Response:
        """Make a link by which people join, or send it.

        The link is in this answer and nowhere else; one that went by letter is in no answer.
        """
        organization = organizations.require_administered(org, self.caller)
        wish = pages.body(request, NewJoinLink)
        made = verbs.offer(str(organization), join_links.Terms(**wish), self.caller)
        row = verbs.list_open(str(organization), self.caller)[0]
        answer = of_row(MadeJoinLink, row, by=row.by.username, link=made.link or None, sent_to=made.sent_to or None)
        return Response(answer, status.HTTP_201_CREATED, headers={"Cache-Control": "no-store"})


class OneLink(View):
    @operation("withdraw_join_link")
    def delete(self, request: Request, org: str, id: int) -> None:
        """Withdraw a link."""
        verbs.withdraw(org, id, self.caller)


class Join(View):
    @operation("join_organization", callers="session", body=JoinByLink)
    def post(self, request: Request) -> Joined:
        """Join an organisation by a link.

        From a session only. A member keeps their role, and the link is not used.
        """
        self.person_in_session("Joining by a link")
        body = pages.body(request, JoinByLink)
        organization = verbs.accept(letters.invitation_secret(body["link"]), self.caller)
        member = organization.memberships.get(user=self.caller.user)
        return Joined(organization=str(organization), role=member.role)


LINKS = "organizations/<str:org>/links"
REST = [
    path("me/invitations/accept", Join.as_view(), name="rest-join"),
    path(LINKS, Links.as_view(asks_for_proof=True), name="rest-join-links"),
    path(f"{LINKS}/<int:id>", OneLink.as_view(), name="rest-join-link"),
]
