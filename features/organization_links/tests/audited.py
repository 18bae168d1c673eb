"""The act by a link that leaves events, for tests/registry/test_audited_services.py."""

from collections.abc import Callable

from features.organization_links import verbs
from registry.people.organizations.join_links import Terms
from tests.cast import Cast

Act = Callable[[], object]


def _use(cast: Cast) -> Act:
    secret = verbs.create("acme", Terms(role="read"), cast.session("alice"))
    return lambda: verbs.accept(secret, cast.session("carol"))


SERVICES: dict[str, Callable[[Cast], Act]] = {}
TWO = {"join-link:use": (_use, ["organization:member", "join-link:use"])}
