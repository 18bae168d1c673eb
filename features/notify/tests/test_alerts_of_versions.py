"""Alerts of what happens in the core: of moderation, quotas, aliases, regressions, organisations and tokens."""

from features.notify import alerts, notices, preferences
from features.notify.models import Alert
from registry.models import Verdict
from registry.proof.verdicts import requests, sweeps
from registry.proof.verified import verified
from registry.repos.eligibility import Kind
from registry.talk import dispatch
from tests.api.conftest import accuracy, judged
from tests.registry.test_aliases import NAME, put, withdraw
from tests.registry.test_eligibility import GOOD, IDLE, as_before
from tests.registry.test_regressions import BASE, REASON


def test_owners_hear_of_a_fallback_and_watchers_of_every_move(cast, repository, versions):
    preferences.watch(repository, "all", cast.session("carol"))
    dispatch.run()
    Alert.objects.all().delete()
    put(cast, repository, versions[0])
    put(cast, repository, versions[1])
    dispatch.run()
    [heard] = Alert.objects.filter(kind="alias-moved")
    assert (heard.user.username, heard.count) == ("carol", 2)
    assert notices.sentence(heard) == f"prod of {NAME} now points to {versions[1].oid[:12]}, by bob (1 more moves)."
    withdraw(cast, "yank", versions[1])
    dispatch.run()
    told_of = Alert.objects.filter(kind="alias-fell-back")
    assert {alert.user.username for alert in told_of} == {"alice"}
    sentence = f"The version behind prod of {NAME} was withdrawn; prod now points to {versions[0].oid[:12]}."
    assert notices.sentence(told_of[0]) == sentence
    assert told_of[0] in alerts.of(cast["alice"])
    withdraw(cast, "hold", versions[0])
    dispatch.run()
    assert notices.sentence(Alert.objects.filter(kind="alias-fell-back").latest("pk")).endswith(
        "prod now points to no version."
    )


def test_owners_hear_that_a_version_adds_nothing_once(repository, cast, version):
    idle = version("idle", **IDLE)
    dispatch.run()
    alert = Alert.objects.get(user=cast.people["alice"], kind="regressed")
    assert alert.data == {"revision": idle.oid, "because": "adds-nothing"}
    requests.again(idle, None)
    judged(idle, **IDLE)
    dispatch.run()
    assert Alert.objects.filter(user=cast.people["alice"], kind="regressed").count() == 1


def test_owners_hear_of_a_version_that_is_held_and_watchers_of_one_that_is_let_through(repository, cast, version):
    _, worse = (
        version(words, evals=[accuracy(right)], base=BASE, depth="evaluated")
        for words, right in (("good", 46), ("worse", 30))
    )
    dispatch.run()
    regressed = Alert.objects.filter(kind="regressed")
    assert {alert.user.username for alert in regressed} == {"alice"}, "who owns it; bob only writes"
    assert notices.sentence(regressed[0]).startswith(f"acme/reviews at {worse.oid[:12]} scores worse than")
    assert notices.address(regressed[0]) == f"/acme/reviews/verdict/{worse.oid}"
    preferences.watch(repository, "releases", cast.session("carol"))
    verified.override(worse, cast.session("alice"), REASON)
    dispatch.run()
    assert Alert.objects.get(user__namespace__name="carol", kind="verified").verdict.revision == worse


def test_owners_hear_of_what_the_sweep_finds_of_an_earlier_release(repository, cast, version):
    idle = [version("good", **GOOD), version("idle", **IDLE)][-1]
    dispatch.run()
    Alert.objects.all().delete()
    Verdict.objects.update(eligibility=Kind.UNJUDGED)
    as_before(idle)
    sweeps.sweep()
    dispatch.run()
    assert Alert.objects.filter(user=cast.people["alice"], kind="regressed", data__revision=idle.oid).exists()
