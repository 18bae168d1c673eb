"""The acts on webhooks that leave an event, for tests/registry/test_audited_services.py."""

from collections.abc import Callable

from features.webhooks import verbs
from features.webhooks.models import Webhook
from features.webhooks.verbs import Wish
from tests.cast import Cast

Act = Callable[[], object]
WISH = Wish("https://example.org/x", [("user", "alice")], ("repo",))


def _made(cast: Cast) -> Webhook:
    return verbs.create(WISH, cast.session("alice"))


def _enable(cast: Cast) -> Act:
    made = _made(cast)
    verbs.set_disabled(made, True)
    return lambda: verbs.set_disabled(made, False)


def _then(act: Callable[..., object], *more: object) -> Callable[[Cast], Act]:
    def scenario(cast: Cast) -> Act:
        made = _made(cast)
        return lambda: act(made, *more)

    return scenario


SERVICES: dict[str, Callable[[Cast], Act]] = {
    "webhook:create": lambda cast: lambda: _made(cast),
    "webhook:change": _then(verbs.change, Wish("https://example.org/y", [("user", "alice")], ("repo",))),
    "webhook:disable": _then(verbs.set_disabled, True),
    "webhook:enable": _enable,
    "webhook:delete": _then(verbs.delete),
}
