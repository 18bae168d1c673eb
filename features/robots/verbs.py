"""Robots: service accounts of an organisation, made, given tokens that end, and removed by its administrators."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from registry.kernel import audit, policy
from registry.kernel.errors import Missing, NameTaken, QuotaExceeded, SessionRequired, ValueInvalid
from registry.kernel.policy import Caller
from registry.kernel.seams import Feature
from registry.kernel.texts import names
from registry.models import Organization, Token, User
from registry.people import accounts
from registry.people.organizations import organizations
from registry.people.provision import Entry, at, moment
from registry.people.tokens import tokens

MAX_ROBOTS = 50  # of one organisation
MAX_TOKENS = 50  # of one robot
MAX_NAME = 40
MAX_LIFE = timedelta(days=366)


class RobotNotFound(Missing):
    code = "robot-not-found"


def list_robots(organization_name: str, by: Caller) -> list[User]:
    """Return the robots of an organisation by name, each with its tokens. Raises what _administered raises."""
    return list(_robots(_administered(organization_name, by)))


def get_robot(organization_name: str, name: str, by: Caller) -> User:
    """Return a robot with its tokens. Raises RobotNotFound and what _administered raises."""
    return _robot(_administered(organization_name, by), name)


def create_robot(organization_name: str, name: str, by: Caller, *, purpose: str = "") -> User:
    """Make a robot, named after its organisation: acme+deploy.

    Raises NameInvalid, NameTaken, QuotaExceeded, ValueInvalid and what _administered raises.
    """
    return _create(_administered(organization_name, by), name, purpose, by.user)


def set_robot(organization: Organization, name: str, purpose: str | None) -> tuple[User, bool]:
    """Return the robot of that name and whether it was made or changed now, for the operator; None: any purpose.

    Raises what create_robot raises of the name and the purpose.
    """
    robot = _robots(organization).filter(username__lower=f"{organization}+{name}".lower()).first()
    if robot is None:
        return _create(organization, name, purpose or "", None), True
    return robot, purpose is not None and accounts.set_profile(robot, full_name=purpose, by=None)


def _create(organization: Organization, name: str, purpose: str, by: User | None) -> User:
    names.check_name(name, "name")
    if len(name) > MAX_NAME:
        raise ValueInvalid(f"The name {name!r} is {len(name)} characters long.", f"Use at most {MAX_NAME}.", "name")
    purpose = names.check_text(purpose, "purpose", 200)
    username = f"{organization}+{name}"
    try:
        with organizations.lock_organization(organization):
            if _robots(organization).count() >= MAX_ROBOTS:
                raise QuotaExceeded(f"{organization} already has {MAX_ROBOTS} robots.", fix="Remove one first.")
            if _named(User.objects.filter(works_for=organization.namespace), name).exists():
                raise _taken(organization, name)  # also by one of a former name of the organisation: acme-labs+deploy
            robot = accounts.create_machine(username, User.Kind.ROBOT, organization.namespace, full_name=purpose)
            audit.record(by, "robot:create", username, about=organization, note=purpose)
    except IntegrityError:
        raise _taken(organization, name) from None
    return robot


def create_token(
    organization_name: str,
    name: str,
    token_name: str,
    grants: Mapping[str, str],
    expires_at: datetime | None,
    by: Caller,
) -> str:
    """Make a token of a robot and return its value. `grants` name repositories of the organisation, also by pattern.

    Raises RobotNotFound, ValueInvalid, NameInvalid, NameTaken, QuotaExceeded and what _administered raises.
    """
    organization = _administered(organization_name, by)
    robot = _robot(organization, name)
    check_terms(organization, grants, expires_at)
    if robot.tokens.count() >= MAX_TOKENS:
        raise QuotaExceeded(f"{robot} already has {MAX_TOKENS} tokens.", fix="Revoke one first.")
    return tokens.create_token(
        robot, token_name, Token.Role.FINE_GRAINED, expires_at=expires_at, grants=grants, by=by.user
    )


def check_terms(organization: Organization, grants: Mapping[str, str], expires_at: datetime | None) -> None:
    """Raise ValueInvalid for a token of a robot without a near end, or for repositories of somebody else."""
    now = timezone.now()
    if expires_at is None or not now < expires_at <= now + MAX_LIFE:
        raise ValueInvalid(
            "A robot's token must expire within a year.", "Choose a date within the next year.", "expires_at"
        )
    for pattern in grants:
        if pattern.partition("/")[0].lower() != str(organization).lower():
            raise ValueInvalid(
                f"{pattern} is not a repository of {organization}.", fix=f"Write it as {organization}/name."
            )


def revoke_token(organization_name: str, name: str, token_id: int, by: Caller) -> None:
    """Revoke a token of a robot; a no-op for an unknown id. Raises RobotNotFound and what _administered raises."""
    robot = _robot(_administered(organization_name, by), name)
    tokens.revoke(robot.tokens.filter(pk=token_id), by=by.user)


def remove_robot(organization_name: str, name: str, by: Caller) -> None:
    """End a robot and its tokens; its commits keep its name. Raises RobotNotFound and what _administered raises."""
    _end(_robot(_administered(organization_name, by), name), by.user)


def disable(robot: User, by: Caller, *, reason: str, note: str = "") -> bool:
    """End a robot as an administrator of the hub; returns whether anything changed.

    Raises ValueInvalid for another account, and what policy.require_admin raises.
    """
    user = policy.require_admin(by)
    if robot.kind != User.Kind.ROBOT:
        raise ValueInvalid(
            f"{robot.username} is not a robot.",
            fix="Suspend a person, or remove a trusted publisher, in its own settings.",
        )
    if not robot.is_active:
        return False
    _end(robot, user, reason=reason, note=note)
    return True


def _end(robot: User, by: User | None, *, reason: str = "", note: str = "") -> None:
    with transaction.atomic():
        tokens.revoke(robot.tokens.all(), by=by)
        User.objects.filter(pk=robot.pk).update(is_active=False)
        audit.record(by, "robot:remove", robot.username, about=robot, reason=reason, note=note)


def _administered(name: str, by: Caller) -> Organization:
    """Return the organisation. Raises SessionRequired, and what organizations.require_administered raises."""
    organization = organizations.require_administered(name, by)
    if by.token is not None:
        raise SessionRequired("Robots can only be managed in a browser session, not with a token.")
    return organization


def _robots(organization: Organization) -> QuerySet[User]:
    rows = User.objects.filter(kind=User.Kind.ROBOT, works_for=organization.namespace, is_active=True)
    return rows.prefetch_related("tokens").order_by("username")


def _robot(organization: Organization, name: str) -> User:
    robot = _named(_robots(organization), name).first()
    if robot is None:
        raise RobotNotFound(f"{organization} has no robot {name[:100]!r}.")
    return robot


def _named(robots: QuerySet[User], name: str) -> QuerySet[User]:
    """Return the robots that have this name behind that of their organisation, which may have changed since."""
    return robots.filter(kind=User.Kind.ROBOT, username__lower__endswith=f"+{name.lower()}")


def _taken(organization: Organization, name: str) -> NameTaken:
    return NameTaken(
        f"{organization} already has or had a robot {name!r}.",
        fix="Use another name; commits keep the names of removed robots.",
    )


def _apply(organization: Organization, entry: Entry) -> Iterator[str]:
    """Make or change a robot and its tokens; yield a line for each change."""
    name = entry.needed("name")
    with at(entry.where):
        purpose, parts = entry.text("purpose"), entry.parts("tokens")
        entry.end()
        robot, has_changed = set_robot(organization, name, purpose)
    if has_changed:
        yield f"robot {robot}: set"
    for token in parts:
        yield from _token(organization, robot, token)


def _token(organization: Organization, robot: User, entry: Entry) -> Iterator[str]:
    """Give a robot a token of the value that the file has; yield a line if it has not got it already."""
    name, value = entry.needed("name"), entry.needed("value")
    with at(entry.where):
        expires_at, grants = moment(entry.text("expires_at")), entry.words("repos")
        entry.end()
        check_terms(organization, grants, expires_at)
        if tokens.set_token(robot, name, Token.Role.FINE_GRAINED, value=value, expires_at=expires_at, grants=grants):
            yield f"token {name} of {robot}: set"


FEATURE = Feature(
    organization_parts=(("robots", _apply),),
    acts=(("User", "disable", "Disable robot", disable),),
)
