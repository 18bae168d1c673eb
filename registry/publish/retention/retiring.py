"""Deprecate and archive repositories: the owner's word that others should move on, and a state without changes."""

from typing import Any

from django.db import transaction
from django.utils import timezone

from registry.kernel import audit, outbox, policy
from registry.kernel.errors import ValueInvalid
from registry.kernel.outbox import Kind
from registry.kernel.policy import Caller, Permission
from registry.kernel.texts import names
from registry.models import Repository
from registry.repos import lookup

MAX_MESSAGE = 500


def deprecate(repository: Repository, by: Caller, message: str, successor: str = "") -> None:
    """Mark a repository as deprecated, with advice and perhaps the id of its successor; it is served as before.

    Raises ValueInvalid without advice, RepositoryNotFound for a successor that the caller cannot see, and what
    policy.require raises for CONFIGURE.
    """
    policy.require(by, Permission.CONFIGURE, repository)
    message = names.check_text(message, "message", MAX_MESSAGE)
    if successor:
        successor = lookup.find(successor, by, type=repository.type).full_name
    if successor == repository.full_name:
        raise ValueInvalid("A repository cannot succeed itself.", fix="Name another one, or none.")
    if not message and not successor:
        raise ValueInvalid("A deprecation needs a message or a successor.", fix="Say what people should do instead.")
    at = repository.deprecated_at or timezone.now()
    _set(repository, by, Permission.CONFIGURE, deprecated_at=at, deprecation=message, successor=successor)


def undeprecate(repository: Repository, by: Caller) -> None:
    """Take a deprecation back; raises what policy.require raises for CONFIGURE."""
    _set(repository, by, Permission.CONFIGURE, deprecated_at=None, deprecation="", successor="")


def archive(repository: Repository, by: Caller) -> None:
    """Make a repository read-only: no pushes, discussions or settings but this one. Raises as policy.require does."""
    _set(repository, by, Permission.ARCHIVE, archived_at=repository.archived_at or timezone.now())


def unarchive(repository: Repository, by: Caller) -> None:
    """Allow changes again; raises what policy.require raises for ARCHIVE."""
    _set(repository, by, Permission.ARCHIVE, archived_at=None)


def status_of(repository: Repository) -> str:
    """Return the strictest state that its owner gave to a repository as a whole: archived, deprecated, or active."""
    if repository.is_archived:
        return "archived"
    return "deprecated" if repository.is_deprecated else "active"


def _set(repository: Repository, by: Caller, permission: Permission, **columns: Any) -> None:
    with transaction.atomic():
        current = policy.require_now(by, permission, repository)
        before = {name: getattr(current, name) for name in columns}
        if before != columns:
            for name, value in columns.items():
                setattr(current, name, value)
            current.save(update_fields=list(columns))
            audit.record(
                by.user,
                "adapter:archive" if permission is Permission.ARCHIVE else "adapter:deprecation",
                current.full_name,
                about=current,
                before=_readable(before),
                after=_readable(columns),
            )
            outbox.record(Kind.CONFIGURED, current, by.user)
    for name, value in columns.items():
        setattr(repository, name, value)


def _readable(columns: dict[str, Any]) -> dict[str, str]:
    return {name: str(value or "") for name, value in columns.items()}
