"""Alerts of tokens, invitations and quotas."""

from datetime import timedelta

import pytest
from django.core import mail
from django.db.models import F
from django.test import Client
from django.utils import timezone

from features.notify import alerts, events, notices
from features.notify import mail as alert_mail
from features.notify.models import Alert
from registry.kernel import quotas
from registry.models import Membership, NamespaceQuota, RevisionFile, Token, User
from registry.people import accounts
from registry.people.organizations import invitations, organizations
from registry.people.tokens import tokens
from registry.publish import repositories, retirement
from registry.talk import dispatch
from tests.api.conftest import pushed
from tests.cast import Cast
from tests.registry.test_organizations import earlier, invite
from tests.registry.test_quotas import FIRST, files, set_limit
from tests.site.test_addresses import sign_in


def token_that_ends(owner: User, name: str, *, days: float, made_days_ago: float = 30) -> Token:
    now = timezone.now()
    end = now + timedelta(days=days)
    value = tokens.create_token(owner, name, "fine-grained", grants={"acme/x": "read"}, expires_at=end)
    Token.objects.filter(sha256=tokens.digest(value)).update(created_at=now - timedelta(days=made_days_ago))
    return Token.objects.get(sha256=tokens.digest(value))


def test_who_is_responsible_is_alerted_once_that_a_token_ends(cast: Cast):
    robot = accounts.create_machine("acme+deploy", User.Kind.ROBOT, cast.acme.namespace)
    token_that_ends(cast["bob"], "laptop", days=6)
    token_that_ends(robot, "nightly", days=3)
    assert events.remind() == 2
    assert events.remind() == 0
    told = {
        alert.user.username: notices.sentence(alert) for alert in Alert.objects.select_related("user", "token__user")
    }
    assert told.keys() == {"alice", "bob"}
    assert told["bob"].startswith("Your token laptop expires on ")
    assert told["alice"].startswith("The token nightly of acme+deploy expires on ")
    [alert] = alerts.of(cast["alice"])
    assert notices.address(alert) == "/organizations/acme/settings/robots/deploy"
    [alert] = alerts.of(cast["bob"])
    assert notices.address(alert) == "/settings/tokens"
    browser = Client()
    browser.force_login(cast["bob"])
    assert "create a new one before then" in browser.get("/settings/notifications").content.decode()


def test_nobody_is_alerted_of_a_token_that_ends_late_or_lives_shortly_or_has_ended(cast: Cast):
    token_that_ends(cast["bob"], "late", days=8)
    token_that_ends(cast["bob"], "short", days=5, made_days_ago=0)
    token_that_ends(cast["bob"], "over", days=-1)
    tokens.create_token(cast["bob"], "endless", "read")
    assert events.remind() == 0
    assert not Alert.objects.exists()


def test_a_token_that_ends_is_mailed_about(cast: Cast, settings, mailoutbox):
    settings.MAIL_FROM = "Dovetail <dovetail@example.org>"
    token_that_ends(cast["bob"], "laptop", days=6)
    events.remind()
    Alert.objects.update(created_at=timezone.now() - timedelta(hours=1))
    assert alert_mail.send_due() == 1
    assert mailoutbox[0].to == ["bob@example.org"]
    assert "Your token laptop expires on" in mailoutbox[0].subject
    assert "/settings/tokens" in mailoutbox[0].body


def test_a_token_that_is_revoked_takes_its_alert_along(cast: Cast):
    token = token_that_ends(cast["bob"], "laptop", days=6)
    events.remind()
    tokens.revoke_token(cast["bob"], token.pk)
    assert not Alert.objects.exists()


def unread(cast, who: str, kind: Alert.Kind = Alert.Kind.QUOTA) -> list[str]:
    """Return the sentences behind the bell, the oldest first."""
    rows = alerts.of(cast[who]).filter(kind=kind, read_at=None)
    return [notices.sentence(alert) for alert in rows.order_by("pk")]


def test_the_owner_is_alerted_once_at_80_percent_and_once_when_full(cast, settings):
    settings.QUOTA_BYTES, settings.MAIL_FROM = 100_000, "dovetail@example.org"
    repository = cast.repository("alice/reviews")
    pushed(cast, repository, files=files(79_000 - FIRST))
    assert unread(cast, "alice") == []
    pushed(cast, repository, files=files(1_000, first="h"))
    assert unread(cast, "alice") == ["alice is nearly full: it uses 80 kB of 100 kB."]
    Alert.objects.update(read_at=F("created_at"))
    pushed(cast, repository, files=files(10_000, first="i"))
    assert unread(cast, "alice") == []
    pushed(cast, repository, files=files(10_000, first="j"))
    assert unread(cast, "alice") == ["alice is full: it uses 100 kB of 100 kB, so pushes with new files are refused."]
    Alert.objects.update(created_at=F("created_at") - timedelta(days=1))
    assert alert_mail.send_due() == 1
    assert "alice is full" in mail.outbox[0].body
    assert "/settings/usage" in mail.outbox[0].body


def test_an_alert_is_armed_again_when_the_use_falls(cast, settings):
    settings.QUOTA_BYTES = 100_000
    keep, drop = cast.repository("acme/keep"), cast.repository("acme/drop")
    pushed(cast, keep, files=files(20_000))
    pushed(cast, drop, files=files(65_000))
    assert len(unread(cast, "alice")) == 1
    Alert.objects.update(read_at=F("created_at"))
    repositories.delete(drop, cast.session("alice"))
    retirement.purge(drop.pk, cast.session("alice"))
    pushed(cast, keep, files=files(64_000, first="k"))
    assert len(unread(cast, "alice")) == 1
    assert unread(cast, "bob") == []


def test_the_review_alerts_of_a_lower_limit_once_and_arms_again(cast, settings):
    Membership.objects.filter(user=cast["bob"]).update(role="admin")
    repository = cast.repository("acme/reviews")
    pushed(cast, repository, files=files(90_000))
    assert quotas.review() == 0
    settings.QUOTA_BYTES = 100_000
    assert (quotas.review(), quotas.review()) == (1, 0)
    assert len(unread(cast, "alice")) == len(unread(cast, "bob")) == 1
    settings.QUOTA_BYTES = 1_000_000
    assert quotas.review() == 0
    assert NamespaceQuota.objects.get().alerted == 0
    settings.QUOTA_BYTES = 50_000
    assert quotas.review() == 1
    assert unread(cast, "bob") == ["acme is full: it uses 91 kB of 50 kB, so pushes with new files are refused."]


def test_a_limit_that_is_set_below_the_use_alerts_at_once(cast):
    pushed(cast, cast.repository("alice/reviews"), files=files(90_000))
    set_limit(cast, "alice", 100_000)
    assert len(unread(cast, "alice")) == 1
    set_limit(cast, "alice", 10_000_000)
    set_limit(cast, "alice", 110_000)
    assert len(unread(cast, "alice")) == 1


def told(who="carol"):
    dispatch.run()
    return Alert.objects.filter(user__username=who).values_list("pk", flat=True)


def test_withdrawing_and_asking_again_tells_nobody_twice_a_day(cast):
    invite(cast)
    first = list(told())
    for _ in range(3):
        invitations.withdraw("acme", "carol", cast.session("alice"))
        assert not alerts.of(cast["carol"])
        invite(cast)
    invite(cast, role="write")
    assert list(told()) == first
    assert [notices.sentence(one) for one in alerts.of(cast["carol"])] == ["alice invited you to join acme as write."]
    invitations.withdraw("acme", "carol", cast.session("alice"))
    earlier(days=2)
    invite(cast)
    assert len(told()) == 1
    assert list(told()) != first


def test_an_invitation_comes_by_mail_unless_it_was_withdrawn_before(cast, settings):
    settings.MAIL_FROM = "dovetail@example.org"
    invite(cast, "carol", "write")
    invite(cast, "mona")
    invitations.withdraw("acme", "mona", cast.session("alice"))
    dispatch.run()
    Alert.objects.update(created_at=timezone.now() - timedelta(minutes=5))
    assert alert_mail.send_due() == 1
    (letter,) = mail.outbox
    assert letter.subject == "[Dovetail] alice invited you to join acme as write."
    assert "/settings/organizations" in letter.body
    assert "alice@" not in letter.body


def test_the_owner_is_told_of_another_quota_and_of_files_that_are_only_shared_is_nobody(cast, settings):
    settings.QUOTA_BYTES, settings.QUOTA_REPOSITORIES = 100_000, 3
    source, target = cast.repository("acme/source", by="bob"), cast.repository("alice/target")
    pushed(cast, source, files=files(70_000))
    shared = RevisionFile.objects.get(path="a.bin").blob_id
    assert repositories.share(source, target, [shared], cast.session("alice")) == {}
    assert unread(cast, "alice") == []
    set_limit(cast, "ACME", 2_000_000_000)
    [told] = unread(cast, "alice", Alert.Kind.QUOTA_CHANGED)
    assert told == "acme can now store 2.0 GB and 3 repositories. Agreed by mail."
    assert unread(cast, "bob", Alert.Kind.QUOTA_CHANGED) == []
    assert Alert.objects.get(kind=Alert.Kind.QUOTA_CHANGED).by is None


@pytest.mark.parametrize("end", ["withdraw", "decline", "delete"])
def test_an_invitation_that_is_open_no_longer_is_no_news(cast, end):
    invite(cast)
    assert told()
    match end:
        case "withdraw":
            invitations.withdraw("acme", "carol", cast.session("alice"))
        case "decline":
            invitations.decline("acme", cast.session("carol"))
        case "delete":
            organizations.delete_organization("ACME", cast.session("alice"))
    assert not alerts.of(cast["carol"])


def test_a_proven_address_that_is_removed_gets_a_letter(visit, cast, settings):
    settings.MAIL_FROM = "hub@example.org"
    client = visit()
    sign_in(client, "alice")
    client.post("/settings/account/address", {"email": ""})
    assert User.objects.get(username="alice").email == ""
    dispatch.run()
    assert mail.outbox[-1].to == ["alice@example.org"]
    assert "was removed" in mail.outbox[-1].body
    assert Alert.objects.get(kind="account-changed").data["change"] == "address-remove"
