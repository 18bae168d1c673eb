"""Organisations: create, change and delete them; their members and invitations."""

from django.db import transaction
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from hub.api import pages
from hub.api.asking import View
from hub.api.people.account import usage_in_full
from hub.api.shapes import Data
from hub.api.shapes.people import organizations as shapes
from hub.api.shapes.people.account import UsageInFull
from registry.kernel.errors import NamespaceNotFound
from registry.kernel.policy import Caller
from registry.models import Invitation, Membership, Organization
from registry.people import accounts
from registry.people.organizations import invitations, organization_links, organizations
from registry.publish import moves
from registry.talk.alerts import invitation_letters


class Organizations(View):
    @extend_schema(
        operation_id="found_organization", summary="Found an organisation", request=shapes.NewOrganization,
        responses={201: shapes.Organization},
    )  # fmt: skip
    def post(self, request: Request) -> Response:
        self.person()
        given = pages.body(request, shapes.NewOrganization)
        organization = organizations.create_as(
            given["name"], self.caller, full_name=given["full_name"],
            private_by_default=given["default_visibility"] == "private",
        )  # fmt: skip
        return Response(_shown(organization, Caller(user=self.caller.user)), status.HTTP_201_CREATED)


class OneOrganization(View):
    @extend_schema(operation_id="organization", summary="An organisation", responses=shapes.Organization)
    def get(self, request: Request, org: str) -> Response:
        organization: Organization | None = getattr(accounts.resolve_namespace(org), "organization", None)
        if organization is None:
            raise NamespaceNotFound(f"There is no organisation {org!r}.")
        return Response(_shown(organization, self.caller))

    @extend_schema(
        operation_id="change_organization", summary="Rename it, or change what it says of itself",
        description="With a new name all its repositories move, and old addresses lead to new ones.",
        request=shapes.OrganizationChange, responses=shapes.Organization,
    )  # fmt: skip
    def patch(self, request: Request, org: str) -> Response:
        organization = organizations.require_administered(org, self.caller)
        given = pages.body(request, shapes.OrganizationChange)
        hidden = (
            given["default_visibility"] == "private"
            if "default_visibility" in given
            else organization.private_by_default
        )
        full_name = given.get("full_name", organization.full_name)
        with transaction.atomic():
            organizations.change_organization(
                organization, full_name=full_name, private_by_default=hidden, by=self.caller.user
            )
            is_required = given.get("second_factor_required", organization.requires_second_factor)
            organizations.require_second_factor(organization, is_required, self.caller)
            changed = moves.rename(org, given.get("name", organization.namespace.name), self.caller)
        return Response(_shown(changed, self.caller))

    @extend_schema(
        operation_id="delete_organization", summary="Delete an organisation without repositories",
        description="Its name stays reserved.", responses={204: None},
    )  # fmt: skip
    def delete(self, request: Request, org: str) -> Response:
        organizations.delete_organization(org, self.caller)
        return Response(status=status.HTTP_204_NO_CONTENT)


class Members(View):
    @extend_schema(operation_id="members", summary="An organisation's members", responses=shapes.MemberPage)
    def get(self, request: Request, org: str) -> Response:
        return Response({"items": [_listed(row) for row in organizations.list_members(org, self.caller)], "next": None})


class Usage(View):
    @extend_schema(
        operation_id="organization_usage", summary="What an organisation's repositories hold of the quota",
        description="For its administrators.", responses=UsageInFull,
    )  # fmt: skip
    def get(self, request: Request, org: str) -> Response:
        return Response(usage_in_full(organizations.require_administered(org, self.caller, writing=False).namespace))


class OneMember(View):
    @extend_schema(
        operation_id="member", summary="A member of an organisation", description="For its administrators.",
        responses=shapes.ListedMember,
    )  # fmt: skip
    def get(self, request: Request, org: str, user: str) -> Response:
        return Response(_listed(organizations.get_member(org, user, self.caller)))

    @extend_schema(
        operation_id="put_member", summary="Give a person a role",
        description="Who is no member becomes one at once, but for who left or declined lately.",
        request=shapes.NewRole, responses=shapes.Member,
    )  # fmt: skip
    def put(self, request: Request, org: str, user: str) -> Response:
        return Response(_member(invitations.add_member(org, user, _role(self, request, org), self.caller)))

    @extend_schema(operation_id="drop_member", summary="Take a person out, or leave", responses={204: None})
    def delete(self, request: Request, org: str, user: str) -> Response:
        organizations.remove_member(org, user, self.caller)
        return Response(status=status.HTTP_204_NO_CONTENT)


class Invitations(View):
    @extend_schema(
        operation_id="invitations", summary="Who is invited and has not answered", responses=shapes.InvitationPage
    )
    def get(self, request: Request, org: str) -> Response:
        return Response({"items": [_invitation(row) for row in invitations.list_sent(org, self.caller)], "next": None})


class OneInvitation(View):
    @extend_schema(
        operation_id="invite", summary="Invite somebody with a role",
        description="They are notified, and become a member when they accept.",
        request=shapes.NewRole, responses=shapes.Invitation,
    )  # fmt: skip
    def put(self, request: Request, org: str, user: str) -> Response:
        return Response(_invitation(invitations.invite(org, user, _role(self, request, org), self.caller)))

    @extend_schema(operation_id="withdraw_invitation", summary="Withdraw an invitation", responses={204: None})
    def delete(self, request: Request, org: str, user: str) -> Response:
        invitations.withdraw(org, user, self.caller)
        return Response(status=status.HTTP_204_NO_CONTENT)


class OwnInvitations(View):
    @extend_schema(
        operation_id="own_invitations", summary="Organisations that ask you in", responses=shapes.OwnInvitationPage
    )
    def get(self, request: Request) -> Response:
        self.person()
        return Response({"items": [_own(row) for row in invitations.list_received(self.caller)], "next": None})


class Accept(View):
    @extend_schema(
        operation_id="accept_invitation", summary="Accept an invitation", request=None, responses=shapes.Joined
    )
    def post(self, request: Request, org: str) -> Response:
        pages.body(request)
        joined = invitations.accept(org, self.caller)
        return Response({"organization": str(joined.organization), "role": joined.role})


class Join(View):
    @extend_schema(
        operation_id="join_organization", summary="Join an organisation by a link",
        description="From a session only. Who is a member already keeps their role, and the link is not used.",
        request=shapes.JoinByLink, responses=shapes.Joined,
    )  # fmt: skip
    def post(self, request: Request) -> Response:
        self.person_in_session("Joining by a link")
        body = pages.body(request, shapes.JoinByLink)
        organization = organization_links.accept(invitation_letters.secret_of(body["link"]), self.caller)
        member = organization.memberships.get(user=self.caller.user)
        return Response({"organization": str(organization), "role": member.role})


class Decline(View):
    @extend_schema(
        operation_id="decline_invitation", summary="Decline an invitation", request=None, responses={204: None}
    )
    def post(self, request: Request, org: str) -> Response:
        pages.body(request)
        invitations.decline(org, self.caller)
        return Response(status=status.HTTP_204_NO_CONTENT)


def _role(view: View, request: Request, org: str) -> str:
    """Return the role of the body, after the caller's permission: without it, nothing is said about the body."""
    organizations.require_administered(org, view.caller)
    wish = pages.body(request, shapes.NewRole)
    return str(wish["role"])


def _shown(organization: Organization, by: Caller) -> Data:
    membership = {**by.memberships, **by.locked}.get(organization.namespace_id)
    role = membership.role if membership else None
    return {
        "name": organization.namespace.name,
        "full_name": organization.full_name,
        "members": organization.memberships.filter(user__is_active=True).count(),
        "role": role,
        "default_visibility": ("private" if organization.private_by_default else "public") if role else None,
        "second_factor_required": organization.requires_second_factor if role else None,
    }


def _member(row: Membership | Invitation) -> Data:
    return {"name": row.user.username, "full_name": row.user.full_name, "role": row.role}


def _listed(row: Membership) -> Data:
    teams = sorted(place.team.name for place in row.teams.all())
    has_factor = row.has_factor  # type: ignore[attr-defined]  # annotated by list_members
    return _member(row) | {"second_factor": has_factor, "teams": teams}


def _times(row: Invitation) -> Data:
    return {"by": row.by.username, "asked_at": row.asked_at, "ends_at": row.asked_at + invitations.INVITED}


def _invitation(row: Invitation) -> Data:
    return _member(row) | _times(row)


def _own(row: Invitation) -> Data:
    organization = row.organization
    fields = {"organization": str(organization), "full_name": organization.full_name, "role": row.role}
    return fields | _times(row)
