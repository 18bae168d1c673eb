"""Answers about the hub itself and the account that asks."""

from collections.abc import Mapping
from typing import Annotated

from dovetail.answers.record import Answer, MappedAnswer, OneOf, Time, Url


class Banner(Answer):
    text: str
    level: Annotated[str, OneOf("information", "warning", "outage")]
    starts_at: Time | None
    ends_at: Time | None


class Plane(Answer):
    """The address of signed documents, by which pulls go on while the hub does not answer."""

    url: Url
    keys: Annotated[tuple[str, ...], "public Ed25519 keys in base64, today's first"]


class Site(MappedAnswer, needs="version"):
    version: str
    registration: Annotated[str, OneOf("open", "invite", "closed")]
    pull_policy: Annotated[str, OneOf("open", "verified")]
    uploads: bool
    new_repositories: bool
    writable: Annotated[bool, "false: the whole hub is read-only"]
    banner: Annotated[Mapping[str, object] | None, Banner]
    plane: Annotated[Mapping[str, object] | None, Plane, "null: there is no read plane"]


class OrganizationRole(MappedAnswer, needs="name role"):
    name: str
    role: str


class Usage(MappedAnswer):
    """The bytes that the person's own repositories hold."""

    bytes: int
    limit: Annotated[int | None, "null: no limit"]


class Token(MappedAnswer, needs="name role"):
    """A token without its value, which nobody can read again."""

    id: int
    name: str
    role: Annotated[str, OneOf("read", "write", "fine-grained")]
    created_at: Time
    last_used_at: Time | None
    expires_at: Time | None


class Me(MappedAnswer, needs="name organizations"):
    name: str
    full_name: str
    email: str
    role: str
    organizations: tuple[OrganizationRole, ...]
    usage: Usage
    token: Annotated[Token | None, "the one that asked"]


class ReportedTarget(MappedAnswer):
    type: Annotated[str, OneOf("adapter", "revision", "file", "discussion", "comment", "person", "organization")]
    id: Annotated[str, "ns/name, ns/name@REV, ns/name@REV:PATH, ns/name#NUMBER[:COMMENT], or a name"]


class FiledReport(MappedAnswer, needs="id state merged"):
    id: Annotated[int, "of the case"]
    target: ReportedTarget
    state: str
    merged: Annotated[bool, "whether the case was open already"]
