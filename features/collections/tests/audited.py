"""The acts on collections that leave an event, for tests/registry/test_audited_services.py."""

from collections.abc import Callable

from features.collections import verbs
from tests.cast import Cast


def delete(cast: Cast) -> Callable[[], object]:
    made = verbs.create("alice", "Good ones", cast.session("alice"))
    return lambda: verbs.delete(made, cast.session("alice"))


SERVICES = {
    "collection:create": lambda cast: lambda: verbs.create("alice", "Good ones", cast.session("alice")),
    "collection:delete": delete,
}
