"""The acts on rules of retention that leave an event, for tests/registry/test_audited_services.py."""

from collections.abc import Callable
from datetime import timedelta

from django.utils import timezone

from features.retention import expiry, verbs
from features.retention.verbs import Limits
from tests.api.conftest import pushed
from tests.cast import Cast

Act = Callable[[], object]


def _deed(verb: str) -> Callable[[Cast], Act]:
    def scenario(cast: Cast) -> Act:
        row, limits = cast.repository("acme/x"), Limits(1)
        if verb == "set":
            return lambda: verbs.set_rule(row, cast.session("alice"), limits)
        if verb == "clear":
            verbs.set_owner_rule("acme", cast.session("alice"), limits)
            return lambda: verbs.clear_owner_rule("acme", cast.session("alice"))
        for words in ("one", "two"):
            pushed(cast, row, files={"README.md": words.encode()})
        row.revisions.update(created_at=timezone.now() - timedelta(days=2))
        if verb == "expire":
            return lambda: expiry.expire(row, limits)
        expiry.expire(row, limits)
        return lambda: expiry.restore(row, cast.session("alice"))

    return scenario


SERVICES: dict[str, Callable[[Cast], Act]] = {
    f"retention:{verb}": _deed(verb) for verb in ("set", "clear", "expire", "restore")
}
