"""The acts on robots that leave an event, for tests/registry/test_audited_services.py."""

from collections.abc import Callable

from features.robots import verbs
from tests.cast import Cast

Act = Callable[[], object]


def _remove(cast: Cast) -> Act:
    verbs.create_robot("acme", "ci", cast.session("alice"))
    return lambda: verbs.remove_robot("acme", "ci", cast.session("alice"))


SERVICES: dict[str, Callable[[Cast], Act]] = {
    "robot:create": lambda cast: lambda: verbs.create_robot("acme", "ci", cast.session("alice")),
    "robot:remove": _remove,
}
STATELESS = {"robot:create", "robot:remove"}
