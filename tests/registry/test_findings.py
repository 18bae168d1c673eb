"""The hub's own findings become holds: pickles, live tokens; on every road at once."""

import hashlib
import json
import pickle

import pytest
from django.test import Client

from dovetail.adapters.checks import search_program
from registry.bytes import intake
from registry.bytes.blobs import Digest
from registry.models import Case, Event, ModerationDecision, OutboxEvent, Repository, Token
from registry.moderation import quarantine
from registry.people.tokens import tokens
from registry.publish import push, repositories, retirement
from registry.repos import refs
from registry.talk import dispatch, feed
from tests.api.conftest import FILES, judged, pushed
from tests.cast import Cast
from tests.of_features import rows as of_features
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


def test_a_dangerous_pickle_in_a_verdict_holds_the_version(cast, adapter):
    revision = pushed(cast, adapter)
    judged(revision, "failed", checks=[finding("file.pickle", quarantine=True, file="a.bin")])
    dispatch.run()
    revision.refresh_from_db()
    assert revision.is_quarantined
    decision = revision.decisions.get()
    assert (decision.finding, decision.reason) == ("file.pickle", "file.pickle said no. Remove it.")


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


def test_a_token_in_a_version_that_is_held_already_is_revoked_all_the_same(cast, adapter):
    value = cast.token("bob")
    revision = pushed(cast, adapter, files={**FILES, LEAK: f"Use {value} to pull.".encode()})
    quarantine.quarantine(adapter, cast.session("mona"), reason="It phones home.", revision=revision)
    judged(revision, checks=[finding("privacy.secret", "warned", file=LEAK)])
    dispatch.run()
    assert not Token.objects.filter(user=cast["bob"]).exists()
    assert not Case.objects.exists()


def test_a_pickle_that_was_judged_in_the_bin_is_held_after_the_restore(cast, adapter):
    revision = pushed(cast, adapter)
    repositories.delete(adapter, cast.session("alice"))
    judged(revision, "failed", checks=[finding("file.pickle", quarantine=True, file="a.bin")])
    dispatch.run()
    retirement.restore(adapter.pk, cast.session("alice"))
    dispatch.run()
    revision.refresh_from_db()
    assert revision.is_quarantined
    assert not Event.objects.filter(kind="verdict").exists()


# --- roads of a version that is held back while main is another ------------------------------------------------------
ROADS = (
    "/alice/reviews/commit/{old}", "/alice/reviews/tree/{old}", "/alice/reviews/blob/{old}/README.md",
    "/alice/reviews/verdict/{old}", "/alice/reviews/resolve/{old}/README.md", "/alice/reviews/raw/{old}/README.md",
    "/api/models/alice/reviews/revision/{old}", "/api/models/alice/reviews/tree/{old}",
    "/api/v1/adapters/alice/reviews/revisions/{old}", "/api/v1/adapters/alice/reviews/revisions/{old}/verdict",
    "/api/v1/adapters/alice/reviews/revisions/{old}/files/README.md",
)  # fmt: skip
LISTS = ("/api/v1/changes", *of_features("LISTS"), "/api/models/alice/reviews/refs")


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
            seq=dispatch.next_number(),
        )
    feed.since(0, cast.session("carol"), 50)
    with django_assert_max_num_queries(7):
        assert len(feed.since(0, cast.session("carol"), 50)) >= 20


def revoke_in_large_texts(cast: Cast) -> Repository:
    """Push tokens that come by Git LFS, or lie behind what the push looks at, and have a worker look for them.

    A piece that the worker reads may end within a token.
    """
    notes = cast.repository("bob/notes", by="bob", type="dataset")
    first, second, third, kept = (cast.token(name) for name in ("alice", "carol", "dave", "ada"))
    stored = {
        "log.txt": b"x" * (search_program.TEXT_START - 20) + f" {first} ".encode(),
        "rows.jsonl": b" " * (search_program.TEXT_START + search_program.PIECE - 20) + f"{second} ".encode(),
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
    return notes


def test_tokens_in_large_texts_are_revoked_by_a_worker_right_after_the_push(cast):
    notes = revoke_in_large_texts(cast)
    assert [str(token.user) for token in Token.objects.all()] == ["ada"], "in a file that is no text"
    told = OutboxEvent.objects.get(kind="tokens-leaked").data
    assert told["files"] == ["end.csv", "log.txt", "rows.jsonl"]
    dispatch.run()
    assert ModerationDecision.objects.get().finding == "privacy.secret-live"
    pushed(cast, notes, by="bob", files={"a.txt": b"a"})
    pushed_files.scan_revisions()
    assert not OutboxEvent.objects.filter(kind="tokens-leaked").exists(), "told once"
    dispatch.run()


@pytest.mark.parametrize("protocol", [2, 4])
def test_a_token_is_recognised_in_what_torch_and_python_pickle(protocol):
    values = {tokens.new_value(), tokens.new_value()}
    held = pickle.dumps([*values, *values], protocol)
    assert values <= tokens.candidates(held)
