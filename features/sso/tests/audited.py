"""The acts of sign-on and of its administrators that leave an event, for tests/registry/test_audited_services.py."""

from collections.abc import Callable

from features.sso import identities, tokens
from tests.cast import Cast

Act = Callable[[], object]


def _revoke(cast: Cast) -> Act:
    ada = cast.session("ada")
    tokens.create("Entra", 9, ada)
    row = tokens.list_all(ada).get()
    return lambda: tokens.revoke(row.pk, ada)


def _link(cast: Cast, *, removed: bool) -> Act:
    return lambda: identities.record_link(cast["alice"], "corp", by=cast["alice"], removed=removed)


def _come_back(cast: Cast) -> Act:
    identities.leave(cast["carol"])
    return lambda: identities.come_back(cast["carol"])


SERVICES: dict[str, Callable[[Cast], Act]] = {
    "person:leave": lambda cast: lambda: identities.leave(cast["carol"]),
    "person:return": _come_back,
    "account:link": lambda cast: _link(cast, removed=False),
    "account:unlink": lambda cast: _link(cast, removed=True),
    "directory-token:create": lambda cast: lambda: tokens.create("Entra", 9, cast.session("ada")),
    "directory-token:revoke": _revoke,
}
STATELESS = {"account:link", "account:unlink"}
TWO: dict[str, tuple[Callable[[Cast], Act], list[str]]] = {
    "person:remove": (
        lambda cast: lambda: identities.remove(cast["carol"]),
        ["person:leave", "person:email", "person:remove"],
    ),
}
