"""The acts on releases that leave an event, for tests/registry/test_audited_services.py."""

from collections.abc import Callable
from functools import partial

from features.releases import verbs
from features.releases.models import Release
from tests.api.conftest import pushed
from tests.cast import Cast

Act = Callable[[], object]


def _made(cast: Cast) -> Callable[[], Release]:
    repository = cast.repository("acme/x")
    return partial(verbs.create, repository, "v1.0.0", pushed(cast, repository), cast.session("alice"), force=True)


def _then(act: Callable[..., object], **options: object) -> Callable[[Cast], Act]:
    def scenario(cast: Cast) -> Act:
        release = _made(cast)()
        return lambda: act(release.repository, "v1.0.0", cast.session("alice"), **options)

    return scenario


SERVICES: dict[str, Callable[[Cast], Act]] = {
    "release:create": _made,
    "release:edit": _then(verbs.edit, notes="New."),
    "release:delete": _then(verbs.delete),
}
