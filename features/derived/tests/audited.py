"""The act on derived versions that leaves an event, for tests/registry/test_audited_services.py."""

from collections.abc import Callable

from features.derived import verbs
from tests.api.conftest import pushed
from tests.cast import Cast

Act = Callable[[], object]


def _derive(cast: Cast) -> Act:
    revision = pushed(cast, cast.repository("acme/x"))
    return lambda: verbs.request_conversion(revision, "mlx", cast.session("alice"))


SERVICES: dict[str, Callable[[Cast], Act]] = {"adapter:derive": _derive}
