"""The hub's own findings become cases and holds: pickles, live tokens, holds without a case; on every road at once."""

import hashlib
import json
import pickle
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from registry.bytes import intake
from registry.bytes.blobs import Digest
from registry.models import Alert, AuditEvent, Case, Event, Membership, OutboxEvent, Repository, Token
from registry.moderation import quarantine
from registry.people.organizations import robots
from registry.people.tokens import leaks, tokens
from registry.proof.verified import withdrawals
from registry.publish import history, push, repositories
from registry.publish.retention import restoring
from registry.repos import refs
from registry.talk import dispatch, feed, watching
from registry.talk.alerts import alert_mail, alerts
from tests.api.conftest import FILES, judged, pushed
from tests.cast import Cast
from workers import pushed_files

LEAK = "README.md"


@pytest.fixture(autouse=True)
def _stores(settings, tmp_path):
    settings.BLOBS = f"file://{tmp_path / 'blobs'}"
    settings.DOORBELL = "tests.api.conftest.notify_nobody"


@pytest.fixture
def adapter(cast: Cast) -> Repository:
    return cast.repository("alice/reviews")


def finding(id: str, outcome: str = "failed", **where: object) -> dict[str, object]:
    return {"id": id, "outcome": outcome, "message": f"{id} said no.", "fix": "Remove it.", "where": where}


def test_a_dangerous_pickle_in_a_verdict_holds_the_version_and_opens_a_case(cast, adapter):
    revision = pushed(cast, adapter)
    judged(revision, "failed", checks=[finding("file.pickle", quarantine=True, file="a.bin")])
    dispatch.run()
    revision.refresh_from_db()
    case = Case.objects.get()
    assert revision.is_quarantined
    assert (case.target, case.reason, case.severity, case.reports.get().check_id) == (
        "revision", "malware", 3, "file.pickle",
    )  # fmt: skip
    assert cast["alice"].strikes.count() == 0, "a moderator decides"


@pytest.mark.parametrize(
    ("where", "file"),
    [("adapter_config.json", "adapter_config.json"), ("a\nb", None), (["a"], None), (7, None), (None, None)],
)
def test_the_evidence_of_a_finding_names_a_file_of_the_version_or_none(cast, adapter, where, file):
    judged(pushed(cast, adapter), "failed", checks=[finding("file.pickle", quarantine=True, file=where)])
    dispatch.run()
    assert [place.get("file") for place in Case.objects.get().reports.get().evidence] == [file]


def test_an_ordinary_failure_opens_no_case(cast, adapter):
    judged(pushed(cast, adapter), "failed", checks=[finding("file.pickle"), finding("tensors.not-finite")])
    dispatch.run()
    assert not Case.objects.exists()


def test_a_token_of_this_hub_that_works_is_revoked_and_its_version_held(cast, adapter):
    value = cast.token("bob")
    revision = pushed(cast, adapter, files={**FILES, LEAK: f"Use {value} to pull.".encode()})
    judged(revision, checks=[finding("privacy.secret", "warned", file=LEAK)])
    dispatch.run()
    revision.refresh_from_db()
    assert revision.is_quarantined
    assert not Token.objects.filter(user=cast["bob"]).exists()
    assert revision.decisions.get().reason.startswith("README.md holds an access token of this hub that worked.")
    assert cast["alice"].strikes.count() == 0


def test_a_secret_of_others_opens_a_case_and_holds_nothing(cast, adapter):
    revision = pushed(cast, adapter, files={**FILES, LEAK: b"AKIA0123456789ABCDEF"})
    judged(revision, checks=[finding("privacy.secret", "warned", file=LEAK)])
    dispatch.run()
    revision.refresh_from_db()
    assert not revision.is_quarantined
    assert Case.objects.get().reason == "secret"


def test_a_hold_that_the_hub_made_alone_gets_a_case(cast, adapter):
    revision = pushed(cast, adapter)
    revision.repository = adapter
    withdrawals.hold(revision, "It is blocked.")
    dispatch.run()
    case = Case.objects.get()
    assert revision.decisions.get().case == case
    dispatch.run()
    assert Case.objects.count() == 1


def test_a_pickle_that_the_worker_held_before_its_verdict_is_a_case_and_no_strike(cast, adapter):
    revision = pushed(cast, adapter)
    revision.repository = adapter
    withdrawals.hold(revision, "a.bin is a pickle that runs os.system.", finding="file.pickle")
    judged(revision, "failed", checks=[finding("file.pickle", quarantine=True, file="a.bin")])
    dispatch.run()
    assert (Case.objects.get().reason, cast["alice"].strikes.count()) == ("malware", 0)


def test_words_of_a_reason_decide_nothing(cast, adapter):
    revision = pushed(cast, adapter)
    revision.repository = adapter
    withdrawals.hold(revision, "It says that it is a pickle blocked on this hub.")
    dispatch.run()
    assert (Case.objects.get().reason, Case.objects.get().reports.get().check_id) == ("other", "hub.hold")


def test_a_squash_of_a_held_version_is_held_for_the_same_finding(cast, adapter):
    revision = pushed(cast, adapter)
    revision.repository = adapter
    withdrawals.hold(revision, "a.bin runs os.system.", finding="file.pickle")
    history.squash(adapter, "main", "One", cast.session("alice"))
    dispatch.run()
    assert [case.reports.get().check_id for case in Case.objects.all()] == ["file.pickle"] * 2


def test_a_token_in_a_version_that_is_held_already_is_revoked_all_the_same(cast, adapter):
    value = cast.token("bob")
    revision = pushed(cast, adapter, files={**FILES, LEAK: f"Use {value} to pull.".encode()})
    quarantine.quarantine(adapter, cast.session("mona"), reason="It phones home.", revision=revision)
    judged(revision, checks=[finding("privacy.secret", "warned", file=LEAK)])
    dispatch.run()
    assert not Token.objects.filter(user=cast["bob"]).exists()
    assert not Case.objects.exists()


def test_a_pickle_that_was_judged_in_the_bin_is_held_after_the_restore_and_the_owner_alone_knows(cast, adapter):
    revision = pushed(cast, adapter)
    repositories.delete(adapter, cast.session("alice"))
    judged(revision, "failed", checks=[finding("file.pickle", quarantine=True, file="a.bin")])
    dispatch.run()
    restoring.restore(adapter.pk, cast.session("alice"))
    dispatch.run()
    revision.refresh_from_db()
    assert revision.is_quarantined
    assert not Event.objects.filter(kind="verdict").exists()
    assert set(Alert.objects.values_list("user__username", "kind")) == {("alice", "held")}


def test_a_page_leaves_a_verdict_for_which_files_are_read_to_the_workers(cast, adapter):
    revision = pushed(cast, adapter, files={**FILES, LEAK: b"AKIA0123456789ABCDEF"})
    dispatch.run()
    judged(revision, checks=[finding("privacy.secret", "warned", file=LEAK)])
    dispatch.catch_up()
    assert not Case.objects.exists()
    assert OutboxEvent.objects.filter(kind="verdict-reached").exists()
    dispatch.run()
    assert Case.objects.exists()


def test_a_verdict_by_which_a_version_is_held_reaches_no_watcher(cast, adapter):
    watching.watch(adapter, "all", cast.session("carol"))
    revision = pushed(cast, adapter)
    dispatch.run()
    judged(revision, "failed", checks=[finding("file.pickle", quarantine=True, file="a.bin")])
    dispatch.run()
    kinds = set(Alert.objects.filter(user=cast["carol"]).values_list("kind", flat=True))
    assert (kinds - {"pushed"}, list(alerts.of(cast["carol"]))) == (set(), [])


def test_a_verdict_on_a_version_that_is_held_later_leaves_the_alerts_of_watchers(cast, adapter):
    watching.watch(adapter, "all", cast.session("carol"))
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


# --- roads of a version that is held back while main is another ------------------------------------------------------
ROADS = (
    "/alice/reviews/commit/{old}", "/alice/reviews/tree/{old}", "/alice/reviews/blob/{old}/README.md",
    "/alice/reviews/verdict/{old}", "/alice/reviews/resolve/{old}/README.md", "/alice/reviews/raw/{old}/README.md",
    "/api/models/alice/reviews/revision/{old}", "/api/models/alice/reviews/tree/{old}",
    "/api/v1/adapters/alice/reviews/revisions/{old}", "/api/v1/adapters/alice/reviews/revisions/{old}/verdict",
    "/api/v1/adapters/alice/reviews/revisions/{old}/files/README.md",
)  # fmt: skip
LISTS = ("/api/v1/changes", "/stats/changes", "/api/models/alice/reviews/refs")


def test_a_held_version_is_nowhere_for_strangers_and_the_others_stay(cast, adapter):
    old = pushed(cast, adapter)
    judged(old)
    adapter.refs.create(name="refs/tags/v1", revision=old)
    new = pushed(cast, adapter, files={**FILES, "README.md": b"# New\n"})
    judged(new)
    dispatch.run()
    client = Client()
    for road in ROADS:
        assert client.get(road.format(old=old.oid)).status_code in {200, 302}, road
    assert old.oid in client.get("/api/v1/changes").content.decode()
    quarantine.quarantine(adapter, cast.session("mona"), reason="It phones home.", revision=old)
    for road in ROADS:
        response, head = client.get(road.format(old=old.oid)), client.head(road.format(old=old.oid))
        assert (response.status_code, head.status_code) == (404, 404), road
    entries = json.loads(client.get("/api/v1/changes").content)["items"]
    kinds = [entry["event"] for entry in entries if entry["revision"] == old.oid]
    assert kinds == ["quarantine"], "those who have a copy must know, and nothing else is told"
    assert client.get("/alice/reviews").status_code == 200
    assert adapter.refs.get(name=refs.VERIFIED).revision == new
    quarantine.release(adapter, cast.session("mona"), reason="Harmless.", revision=old)
    for road in ROADS:
        assert client.get(road.format(old=old.oid)).status_code in {200, 302}, road


def test_reading_the_feed_asks_one_more_query_however_long_it_is(cast, adapter, django_assert_max_num_queries):
    for number in range(20):
        Event.objects.create(
            kind="push",
            repository=adapter,
            type="model",
            name="alice/reviews",
            was_public=True,
            revision=f"{number:040x}",
        )
    feed.since(0, cast.session("carol"), 50)
    with django_assert_max_num_queries(7):
        assert len(feed.since(0, cast.session("carol"), 50)) >= 20


def test_a_token_is_revoked_by_the_push_that_brings_it_and_its_owner_is_alerted(cast, mailoutbox, settings):
    """In a repository of any type, long before a worker comes by; where it lay is told to who may see that."""
    settings.MAIL_FROM = "hub@example.org"
    notes = cast.repository("bob/notes", by="bob", private=True, type="dataset")
    cast.token("bob")
    alice = cast.session("alice")
    robots.create_robot("acme", "deploy", alice)
    of_robot = robots.create_token("acme", "deploy", "ci", {"acme/*": "read"}, timezone.now() + timedelta(9), alice)
    values = [cast.token("bob"), cast.token("carol"), of_robot]
    texts = {f"{number}.env": f"KEY={value}\n".encode() for number, value in enumerate(values)}
    pushed(cast, notes, by="bob", files={"README.md": b"# Notes", **texts, "not.bin": b"\xff dvt_" + b"x" * 32})
    assert [str(token.user) for token in Token.objects.all()] == ["bob"]
    assert AuditEvent.objects.filter(action="token:revoke").count() == 3
    dispatch.run()
    ends = "where others may have read it. It is revoked: make a new one."
    assert {
        (alert.user.username, alerts.sentence(alert), alerts.address(alert), alert.mail)
        for alert in Alert.objects.filter(kind="token-leaked")
    } == {
        ("bob", f"Your token write 2 was found in 0.env and 2 more of bob/notes, {ends}", "/settings/tokens", "always"),
        ("carol", f"Your token write 3 was found, {ends}", "/settings/tokens", "always"),
        (
            "alice",
            f"The token ci of acme+deploy was found, {ends}",
            "/organizations/acme/settings/robots/deploy",
            "always",
        ),
    }
    assert Case.objects.get().reports.get().check_id == "privacy.secret-live"
    assert alert_mail.send_due() == 3
    assert sum("It is revoked: make a new one." in mail.body for mail in mailoutbox) == 3


def test_tokens_in_large_texts_are_revoked_by_a_worker_right_after_the_push(cast):
    """Those that came by Git LFS or Xet, or that lie behind what the push looks at; a piece may end within a token."""
    notes = cast.repository("bob/notes", by="bob", type="dataset")
    first, second, third, kept = (cast.token(name) for name in ("alice", "carol", "dave", "ada"))
    stored = {
        "log.txt": b"x" * (pushed_files.TEXT_START - 20) + f" {first} ".encode(),
        "rows.jsonl": b" " * (pushed_files.TEXT_START + pushed_files.PIECE - 20) + f"{second} ".encode(),
        "weights.bin": b"\0" * 9 + kept.encode(),
    }
    operations: list = [push.Inline("end.csv", b"," * push.MAX_SCANNED + f" {third}".encode())]
    for path, content in stored.items():
        digest = Digest(hashlib.sha256(content).hexdigest(), len(content))
        intake.store_and_register(notes, digest, lambda content=content: [content])
        operations.append(push.Stored(path, digest.sha256))
    push.receive(push.Intent(notes, refs.MAIN, cast.session("bob"), "Logs"), operations)
    assert Token.objects.count() == 4
    pushed_files.scan_revisions()
    assert [str(token.user) for token in Token.objects.all()] == ["ada"], "in a file that is no text"
    dispatch.run()
    files = {alert.user.username: alert.data["files"] for alert in Alert.objects.filter(kind="token-leaked")}
    assert files == {name: ["end.csv", "log.txt", "rows.jsonl"] for name in ("alice", "carol", "dave")}
    assert Case.objects.get().reports.get().check_id == "privacy.secret-live"
    pushed(cast, notes, by="bob", files={"a.txt": b"a"})
    pushed_files.scan_revisions()
    dispatch.run()
    assert Alert.objects.filter(kind="token-leaked").count() == 3, "told once"


def test_nobody_is_alerted_of_a_token_whose_owner_is_gone(cast):
    """Nor are administrators, as if it were the token of a directory."""
    pushed(cast, cast.repository("bob/notes", by="bob"), by="bob", files={"a.env": cast.token("carol").encode()})
    data = {"tokens": [{"name": "ci", "owner": 10**9}]}
    assert OutboxEvent.objects.filter(kind="tokens-leaked").update(data=data) == 1
    dispatch.run()
    assert not Alert.objects.filter(kind="token-leaked").exists()


@pytest.mark.parametrize("protocol", [2, 4])
def test_a_token_is_recognised_in_what_torch_and_python_pickle(protocol):
    values = {tokens.new_value(), tokens.new_value()}
    held = pickle.dumps([*values, *values], protocol)
    assert values <= leaks.candidates(held)
