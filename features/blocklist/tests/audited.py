"""The acts on the blocklist that leave an event, for tests/registry/test_audited_services.py."""

from collections.abc import Callable

from features.blocklist import verbs
from tests.cast import Cast


def block(cast: Cast) -> object:
    return verbs.block(["0" * 64], cast.session("mona"), reason="It steals credentials.")


def unblock(cast: Cast) -> Callable[[], object]:
    block(cast)
    return lambda: verbs.unblock("0" * 64, cast.session("mona"))


SERVICES = {"file:block": lambda cast: lambda: block(cast), "file:unblock": unblock}
