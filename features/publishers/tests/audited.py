"""The acts on trusted publishers that leave an event, for tests/registry/test_audited_services.py."""

from collections.abc import Callable

from features.publishers import verbs
from registry.people.tokens.id_tokens import GITHUB
from tests.cast import Cast

Act = Callable[[], object]
CLAIMS = {"repository": ["acme/code"], "repository_owner_id": ["1"], "workflow_ref": ["acme/code/.github/x.yml@main"]}


def _only(cast: Cast) -> Act:
    row = cast.repository("acme/x")
    return lambda: verbs.set_publishers_only(row, True, cast.session("alice"))


def _trust(cast: Cast) -> Act:
    row = cast.repository("acme/x")
    return lambda: verbs.trust(row, GITHUB, CLAIMS, cast.session("alice"))


def _distrust(cast: Cast) -> Act:
    row, alice = cast.repository("acme/x"), cast.session("alice")
    publisher = verbs.trust(row, GITHUB, CLAIMS, alice)
    return lambda: verbs.remove(row, publisher.pk, alice)


SERVICES: dict[str, Callable[[Cast], Act]] = {
    "adapter:publishers-only": _only,
    "publisher:create": _trust,
    "publisher:remove": _distrust,
}
PROVEN_ELSEWHERE = {"publisher:exchange": "features/publishers/tests/test_exchange.py"}
