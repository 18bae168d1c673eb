"""Two at once: what happens when administrators, moderators and newcomers act at the same moment."""

from collections.abc import Callable

import pytest

from registry.kernel.errors import RegistryError, ValueInvalid
from registry.kernel.policy import Caller
from registry.models import AuditEvent, ModerationDecision, Repository, User
from registry.moderation import quarantine
from registry.people import accounts
from tests.together import at_once

pytestmark = pytest.mark.django_db(transaction=True)


def test_two_moderators_make_one_ruling(cast):
    bad = cast.repository("acme/bad")

    def rule(who: str) -> Callable[[], bool]:
        by = cast.session(who)
        row = Repository.objects.select_related("namespace").get(pk=bad.pk)
        return lambda: quarantine.quarantine(row, by, reason=f"Says {who}.")

    assert sorted(at_once(rule("mona"), rule("ada"))) == [False, True]
    assert ModerationDecision.objects.count() == AuditEvent.objects.filter(action="adapter:quarantine").count() == 1


def test_two_administrators_cannot_dismiss_each_other_at_once(cast):
    bob = cast["bob"]
    accounts.set_role(bob, "admin", by=None)
    ada, by_bob, by_ada = cast["ada"], Caller(user=bob), cast.session("ada")
    results = at_once(
        lambda: accounts.set_role(bob, "user", by=by_ada), lambda: accounts.set_role(ada, "user", by=by_bob)
    )
    assert sum(isinstance(result, ValueInvalid) for result in results) == 1
    assert User.objects.filter(role="admin").count() == 1


def test_two_people_of_one_name_are_one_person(cast):
    def join() -> User:
        return accounts.create_person("Zoe")

    results = at_once(join, join, join)
    assert sum(isinstance(result, User) for result in results) == 1
    assert {result.code for result in results if isinstance(result, RegistryError)} == {"name-taken"}
