"""Alerts of what moderators decide, and of what the hub finds."""

from datetime import timedelta

import pytest
from django.utils import timezone

from features.notify import alerts, events, notices, preferences
from features.notify import mail as alert_mail
from features.notify.models import Alert
from registry.kernel import site_settings
from registry.models import AuditEvent, Case, Membership, OutboxEvent, Token
from registry.moderation import quarantine
from registry.moderation.findings import LIVE_SECRET, PICKLE
from registry.publish import repositories, retirement
from registry.repos import refs
from registry.talk import dispatch
from tests.api.conftest import judged, pushed
from tests.registry.test_findings import finding, revoke_in_large_texts

cases = pytest.importorskip("features.moderation.tests.test_cases")  # who decides what people are told
appeals, intake, targets = cases.appeals, cases.intake, cases.targets
WHY, Outcome, decided, filed = cases.WHY, cases.Outcome, cases.decided, cases.filed
fresh, opened, signed_in = cases.fresh, cases.opened, cases.signed_in


def test_moderators_are_alerted_of_a_grave_case_that_waits_once_for_each_passing_of_the_target(cast, adapter):
    grave, light = filed(cast, "carol").case, filed(cast, "carol", "spam", "dave", "person").case
    assert events.alarm() == 0
    opened(grave, 25)
    opened(light, 500)
    assert [events.alarm() for _ in range(3)] == [1, 0, 0]
    rows = Alert.objects.filter(kind="case-overdue")
    assert {(alert.user.username, alert.topic, alert.mail) for alert in rows} == {
        ("mona", "overdue", "now"),
        ("ada", "overdue", "now"),
    }
    [alert] = alerts.of(cast["mona"]).filter(kind="case-overdue")
    assert notices.sentence(alert) == "A malware case about alice/reviews has been waiting for 25 hours."
    page = signed_in(cast, "mona").get(notices.address(alert), follow=True)
    assert page.context["case"].pk == grave.pk
    Case.objects.update(alarmed_at=timezone.now() - timedelta(hours=25))
    assert events.alarm() == 1
    assert rows.count() == 2, "the unread one is replaced"
    Case.objects.update(alarmed_at=timezone.now() - timedelta(hours=25))
    decided(cast, grave, Outcome.NO_ACTION)
    assert events.alarm() == 0
    site_settings.change_setting("case_hours", "0", None)
    Case.objects.filter(pk=grave.pk).update(state="open", closed_at=None, outcome="")
    assert events.alarm() == 0


def test_a_secret_and_a_pickle_that_the_hub_found_are_grave(cast, adapter):
    head = adapter.refs.get(name=refs.MAIN).revision
    head.repository = adapter
    for reason, check in (("secret", LIVE_SECRET), ("malware", PICKLE)):
        Case.objects.all().delete()
        case = intake.observe(targets.of_revision(head), check, reason, "Found.").case
        opened(case, 25)
        assert events.alarm() == 1


def test_a_verdict_by_which_a_version_is_held_reaches_no_watcher(cast, adapter):
    preferences.watch(adapter, "all", cast.session("carol"))
    revision = pushed(cast, adapter)
    dispatch.run()
    judged(revision, "failed", checks=[finding("file.pickle", quarantine=True, file="a.bin")])
    dispatch.run()
    kinds = set(Alert.objects.filter(user=cast["carol"]).values_list("kind", flat=True))
    assert (kinds - {"pushed"}, list(alerts.of(cast["carol"]))) == (set(), [])


def test_a_verdict_on_a_version_that_is_held_later_leaves_the_alerts_of_watchers(cast, adapter):
    preferences.watch(adapter, "all", cast.session("carol"))
    revision = pushed(cast, adapter)
    judged(revision, "failed", checks=[finding("tensors.not-finite")])
    dispatch.run()
    assert [alert.kind for alert in alerts.of(cast["carol"]) if alert.kind == "verdict"] == ["verdict"]
    quarantine.quarantine(adapter, cast.session("mona"), reason="It phones home.", revision=revision)
    assert list(alerts.of(cast["carol"])) == []


def test_former_members_hear_nothing_of_a_hold(cast):
    repository = cast.repository("acme/covert", private=True)
    revision = pushed(cast, repository, by="bob")
    Membership.objects.filter(user=cast["bob"]).delete()
    quarantine.quarantine(repository, cast.session("mona"), reason="It phones home.", revision=revision)
    dispatch.run()
    assert list(Alert.objects.filter(kind="held").values_list("user__username", flat=True)) == ["alice"]


def test_a_token_is_revoked_by_the_push_that_brings_it_and_its_owner_is_alerted(cast, mailoutbox, settings):
    """In a repository of any type, long before a worker comes by; where it lay is told to who may see that."""
    settings.MAIL_FROM = "hub@example.org"
    notes = cast.repository("bob/notes", by="bob", private=True, type="dataset")
    cast.token("bob")
    values = [cast.token("bob"), cast.token("carol"), cast.robot(**{"acme/*": "read"})]
    texts = {f"{number}.env": f"KEY={value}\n".encode() for number, value in enumerate(values)}
    pushed(cast, notes, by="bob", files={"README.md": b"# Notes", **texts, "not.bin": b"\xff dvt_" + b"x" * 32})
    assert [str(token.user) for token in Token.objects.all()] == ["bob"]
    assert AuditEvent.objects.filter(action="token:revoke").count() == 3
    dispatch.run()
    ends = "where others may have read it. It was revoked; create a new one."
    assert {
        (alert.user.username, notices.sentence(alert), notices.address(alert), alert.mail)
        for alert in Alert.objects.filter(kind="token-leaked")
    } == {
        ("bob", f"Your token write 1 was found in 0.env and 2 more of bob/notes, {ends}", "/settings/tokens", "always"),
        ("carol", f"Your token write 2 was found, {ends}", "/settings/tokens", "always"),
        (
            "alice",
            f"The token ci of acme+deploy was found, {ends}",
            "/organizations/acme/settings/robots/deploy",
            "always",
        ),
    }
    assert Case.objects.get().reports.get().check_id == "privacy.secret-live"
    assert alert_mail.send_due() == 3
    assert sum("It was revoked; create a new one." in mail.body for mail in mailoutbox) == 3


def test_nobody_is_alerted_of_a_token_whose_owner_is_gone(cast):
    """Nor are administrators, as if it were the token of a directory."""
    pushed(cast, cast.repository("bob/notes", by="bob"), by="bob", files={"a.env": cast.token("carol").encode()})
    data = {"tokens": [{"name": "ci", "owner": 10**9}]}
    assert OutboxEvent.objects.filter(kind="tokens-leaked").update(data=data) == 1
    dispatch.run()
    assert not Alert.objects.filter(kind="token-leaked").exists()


def test_closing_a_case_tells_everybody_and_an_appeal_the_other_side(cast, adapter):
    decided(cast, filed(cast, "carol").case, Outcome.HELD, strike=True)
    dispatch.run()
    kinds = {(alert.user.username, alert.kind) for alert in Alert.objects.all()}
    assert kinds == {("alice", "held"), ("alice", "strike"), ("carol", "report-decided")}
    assert [notices.sentence(alert) for alert in alerts.of(cast["carol"])] == [
        f"Your report about alice/reviews was decided. Quarantined as a whole: {WHY}"
    ]
    assert alerts.unread(cast["alice"]) == 2
    alice, mona = cast.session("alice"), cast.session("mona")
    appeal = appeals.open_appeal(fresh(adapter), alice, "It is a test file.")
    appeals.write(appeal, mona, "Which file?", as_moderator=True)
    appeals.write(appeal, mona, "Looks fine to me.", internal=True, as_moderator=True)
    appeals.decide(appeal, cast.session("ada"), approve=True, reason="Harmless.")
    dispatch.run()
    assert {alert.kind for alert in Alert.objects.filter(user=cast["mona"])} == {"appealed"}
    answered = Alert.objects.get(user=cast["alice"], kind="appeal-answered")
    assert notices.sentence(answered) == "Your appeal about alice/reviews was approved."
    kinds = set(Alert.objects.filter(user=cast["alice"]).values_list("kind", flat=True))
    assert kinds == {"held", "strike", "released", "appeal-answered"}
    owner = signed_in(cast, "alice")
    assert WHY in owner.get("/settings/notifications").content.decode()


def test_what_was_held_in_the_bin_is_told_to_its_owner_alone(cast, adapter):
    revision = pushed(cast, adapter)
    repositories.delete(adapter, cast.session("alice"))
    judged(revision, "failed", checks=[finding("file.pickle", quarantine=True, file="a.bin")])
    dispatch.run()
    retirement.restore(adapter.pk, cast.session("alice"))
    dispatch.run()
    assert set(Alert.objects.values_list("user__username", "kind")) == {("alice", "held")}


def test_owners_of_tokens_in_one_push_are_told_once_of_their_files(cast):
    """Whether the push itself reads them or a worker does, right after it."""
    revoke_in_large_texts(cast)
    dispatch.run()
    files = {alert.user.username: alert.data["files"] for alert in Alert.objects.filter(kind="token-leaked")}
    assert files == {name: ["end.csv", "log.txt", "rows.jsonl"] for name in ("alice", "carol", "dave")}
