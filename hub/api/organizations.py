"""Organisations: create, change and delete them; their members and invitations."""

from typing import Annotated

from django.db import transaction
from rest_framework import serializers as s
from rest_framework.request import Request

from dovetail.answers.record import Answer, OneOf, Page, Time
from hub.api import pages
from hub.api.account import UsageInFull, usage_in_full
from hub.api.pages import Data, Text
from hub.api.records import of_row, operation
from hub.api.views import View
from registry import models
from registry.kernel.errors import NamespaceNotFound
from registry.kernel.policy import Caller
from registry.people import accounts
from registry.people.organizations import invitations, organizations
from registry.publish import moves

ROLES = models.Membership.Role.choices
VISIBILITY = ["public", "private"]
Role = Annotated[str, OneOf(*models.Membership.Role.values)]


class NewOrganization(s.Serializer[Data]):
    name = Text(max_length=96)
    full_name = Text(required=False, allow_blank=True, default="", max_length=200)
    default_visibility = s.ChoiceField(choices=VISIBILITY, required=False, default="public")


class OrganizationChange(s.Serializer[Data]):
    """The fields to change; a missing one stays as it is."""

    name = Text(required=False, max_length=96, help_text="all its repositories move with it")
    full_name = Text(required=False, allow_blank=True, max_length=200)
    default_visibility = s.ChoiceField(choices=VISIBILITY, required=False)
    second_factor_required = s.BooleanField(
        required=False, help_text="of members, for their role to count; false in a session only"
    )


class NewRole(s.Serializer[Data]):
    role = s.ChoiceField(choices=ROLES)


class Organization(Answer):
    name: str
    full_name: str
    members: Annotated[int, "how many"]
    role: Annotated[Role | None, "the caller's"]
    default_visibility: Annotated[str | None, OneOf(*VISIBILITY), "null for who is not in it"]
    second_factor_required: Annotated[bool | None, "null for who is not in it"]


class Member(Answer):
    name: str
    full_name: str
    role: Role


class ListedMember(Member):
    second_factor: Annotated[bool, "whether the person has an app or a passkey"]
    teams: Annotated[tuple[str, ...], "their names"]


class Invitation(Member):
    """A person who is invited, and becomes a member when they accept."""

    by: Annotated[str, "who asks"]
    asked_at: Time
    ends_at: Time


class OwnInvitation(Answer):
    """An organisation that invites the caller."""

    organization: str
    full_name: str
    role: Role
    by: Annotated[str, "who asks"]
    asked_at: Time
    ends_at: Time


class Joined(Answer):
    organization: str
    role: Role


class Organizations(View):
    @operation(
        "found_organization",
        body=NewOrganization,
        status=201,
        example={"name": "lab", "full_name": "The lab", "default_visibility": "private"},
    )
    def post(self, request: Request) -> Organization:
        """Found an organisation."""
        self.person()
        given = pages.body(request, NewOrganization)
        organization = organizations.create_as(
            given["name"],
            self.caller,
            full_name=given["full_name"],
            private_by_default=given["default_visibility"] == "private",
        )
        return _shown_organization(organization, Caller(user=self.caller.user))


class OneOrganization(View):
    @operation("organization", callers="anyone")
    def get(self, request: Request, org: str) -> Organization:
        """An organisation."""
        organization: models.Organization | None = getattr(accounts.resolve_namespace(org), "organization", None)
        if organization is None:
            raise NamespaceNotFound(f"There is no organisation {org!r}.")
        return _shown_organization(organization, self.caller)

    @operation("change_organization", body=OrganizationChange, example={"full_name": "The laboratory"})
    def patch(self, request: Request, org: str) -> Organization:
        """Rename it, or change what it says of itself.

        With a new name all its repositories move, and old addresses lead to new ones.
        """
        organization = organizations.require_administered(org, self.caller)
        given = pages.body(request, OrganizationChange)
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
        return _shown_organization(changed, self.caller)

    @operation("delete_organization")
    def delete(self, request: Request, org: str) -> None:
        """Delete an organisation without repositories.

        Its name stays reserved.
        """
        organizations.delete_organization(org, self.caller)


class Members(View):
    @operation("members")
    def get(self, request: Request, org: str) -> Page[ListedMember]:
        """An organisation's members."""
        return pages.page(request, map(_listed, organizations.list_members(org, self.caller)))


class Usage(View):
    @operation("organization_usage")
    def get(self, request: Request, org: str) -> UsageInFull:
        """The storage that an organisation's repositories use, and its quota.

        For its administrators.
        """
        return usage_in_full(organizations.require_administered(org, self.caller, writing=False).namespace)


class OneMember(View):
    @operation("member")
    def get(self, request: Request, org: str, user: str) -> ListedMember:
        """A member of an organisation.

        For its administrators.
        """
        return _listed(organizations.get_member(org, user, self.caller))

    @operation("put_member", body=NewRole, example={"role": "write"})
    def put(self, request: Request, org: str, user: str) -> Member:
        """Give a person a role.

        A person who is no member becomes one at once, but for those who left or declined lately.
        """
        return _member(invitations.add_member(org, user, _role(self, request, org), self.caller))

    @operation("drop_member")
    def delete(self, request: Request, org: str, user: str) -> None:
        """Take a person out, or leave."""
        organizations.remove_member(org, user, self.caller)


class Invitations(View):
    @operation("invitations")
    def get(self, request: Request, org: str) -> Page[Invitation]:
        """List the invitations that are not answered yet."""
        return pages.page(request, map(_invitation, invitations.list_sent(org, self.caller)))


class OneInvitation(View):
    @operation("invite", body=NewRole, example={"role": "read"})
    def put(self, request: Request, org: str, user: str) -> Invitation:
        """Invite somebody with a role.

        They are notified, and become a member when they accept.
        """
        return _invitation(invitations.invite(org, user, _role(self, request, org), self.caller))

    @operation("withdraw_invitation")
    def delete(self, request: Request, org: str, user: str) -> None:
        """Withdraw an invitation."""
        invitations.withdraw(org, user, self.caller)


class OwnInvitations(View):
    @operation("own_invitations")
    def get(self, request: Request) -> Page[OwnInvitation]:
        """Organisations that ask you in."""
        self.person()
        return pages.page(request, map(_own, invitations.list_received(self.caller)))


class Accept(View):
    @operation("accept_invitation")
    def post(self, request: Request, org: str) -> Joined:
        """Accept an invitation."""
        pages.body(request)
        joined = invitations.accept(org, self.caller)
        return Joined(organization=str(joined.organization), role=joined.role)


class Decline(View):
    @operation("decline_invitation")
    def post(self, request: Request, org: str) -> None:
        """Decline an invitation."""
        pages.body(request)
        invitations.decline(org, self.caller)


def _role(view: View, request: Request, org: str) -> str:
    """Return the role of the body, after the caller's permission: without it, nothing is said about the body."""
    organizations.require_administered(org, view.caller)
    wish = pages.body(request, NewRole)
    return str(wish["role"])


def _shown_organization(organization: models.Organization, by: Caller) -> Organization:
    membership = {**by.memberships, **by.locked}.get(organization.namespace_id)
    role = membership.role if membership else None
    return Organization(
        name=organization.namespace.name,
        full_name=organization.full_name,
        members=organization.memberships.filter(user__is_active=True).count(),
        role=role,
        default_visibility=("private" if organization.private_by_default else "public") if role else None,
        second_factor_required=organization.requires_second_factor if role else None,
    )


def _member(row: models.Membership) -> Member:
    return of_row(Member, row.user, name=row.user.username, role=row.role)


def _listed(row: models.Membership) -> ListedMember:
    teams = tuple(sorted(place.team.name for place in row.teams.all()))
    has_factor = row.has_factor  # type: ignore[attr-defined]  # annotated by list_members
    return of_row(ListedMember, row.user, name=row.user.username, role=row.role, second_factor=has_factor, teams=teams)


def _invitation(row: models.Invitation) -> Invitation:
    return of_row(Invitation, row.user, name=row.user.username, **_asked(row))


def _own(row: models.Invitation) -> OwnInvitation:
    return of_row(OwnInvitation, row.organization, organization=str(row.organization), **_asked(row))


def _asked(row: models.Invitation) -> dict[str, object]:
    ends_at = row.asked_at + invitations.INVITED
    return {"role": row.role, "by": row.by.username, "asked_at": row.asked_at, "ends_at": ends_at}
