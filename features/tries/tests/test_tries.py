"""Tries on the page and in REST: who may ask, what waits, what is shown, and what is deleted."""

from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now
from django.test import Client

from dovetail.adapters.results.usage import Answer, Mark, Share, Side
from features.tries import verbs
from features.tries.models import Tryout
from features.tries.verbs import TryoutNotFound
from registry.kernel.errors import RepositoryQuarantined
from registry.models import AuditEvent, Base, Revision
from registry.moderation import quarantine
from registry.proof.verdicts import requests
from registry.proof.verdicts.jobs import sign_of_life
from registry.proof.verdicts.queue import Capabilities, Offer
from tests.api.conftest import BASE, judged, pushed
from tests.api.test_answers import described, faults
from tests.site.conftest import EVALS

PAGE, ASK, REST = "/alice/reviews/try", "/alice/reviews/try/ask", "/api/v1/adapters/alice/reviews/revisions/main/try"
SAMPLES = [{"input": "A fine film.", "expected": "good", "base": "bad", "adapter": "good"}]
ABLE = Capabilities(frozenset([BASE.lower()]), frozenset(), ("e5",))
TEXT = "zebra <b>crossing</b>"


def proven(cast: Any, name: str = "alice/reviews", **more: Any) -> Revision:
    """Push a version that an engine ran and passed."""
    repository = cast.repository(name, **more)
    sign_of_life("host:1", "", Offer("door", 1, {BASE: "0" * 64}, ("e5",)))
    ran = {"engines": [{"name": "e5", "state": "passed"}], "evals": EVALS, "samples": SAMPLES, "depth": "evaluated"}
    return judged(pushed(cast, repository), **ran).revision


@pytest.fixture
def revision(cast: Any) -> Revision:
    return proven(cast)


def answered(answer: Answer) -> Tryout:
    """Answer the oldest try, as a worker does."""
    claim = verbs.claim(ABLE, (), cold=True)
    assert claim is not None
    verbs.record(claim, answer)
    return Tryout.objects.get(pk=claim.row.pk)


def read(client: Client, address: str, **query: Any) -> str:
    return client.get(address, query).content.decode()


def test_a_text_waits_is_answered_and_is_seen_by_nobody_else(visit, revision):
    alice, carol = visit("alice"), visit("carol")
    assert 'name="new_tokens"' not in read(alice, PAGE), "a classifier writes nothing"
    assert "A fine film.</textarea>" in read(alice, PAGE, sample=1)
    before = AuditEvent.objects.count()
    address = alice.post(ASK, {"rev": "main", "text": TEXT})["Location"].partition("#")[0]
    waiting = alice.get(address).content.decode()
    assert "Yours is next" in waiting
    assert 'hx-trigger="every 1s"' in waiting
    sides = (Side((Share("good", 0.5), Share("bad", 0.5))), Side((Share("good", 0.9), Share("bad", 0.1))))
    row = answered(Answer("SEQ_CLS", *sides, tokens_read=8, tokens=9, guessed=True))
    shown = alice.get(f"{address}&panel=1").content.decode()
    for words in ("90 %", "Base with this adapter&#x27;s head", "first 8 of 9 tokens", "label_names"):
        assert words in shown
    assert "hx-get" not in shown
    assert "zebra &lt;b&gt;crossing" in alice.get(address).content.decode()
    for stranger, codes in ((carol, (404, 404)), (visit(), (302, 401))):
        assert (stranger.get(address).status_code, stranger.get(f"{REST}/{row.key}").status_code) == codes
    assert carol.get(f"{REST}/{row.key}").json()["code"] == "tryout-not-found"
    told = alice.get(f"{REST}/{row.key}").json()
    assert (told["state"], told["before"], told["answer"]["adapter"]["labels"][0]["value"]) == ("done", None, 0.9)
    assert "zebra" not in str(told)
    shape = described("GET", "adapters/{ns}/{name}/revisions/{rev}/try/{key}", 200)
    assert faults(told, shape) == []
    assert AuditEvent.objects.count() == before


def test_each_task_has_its_form_of_an_answer(visit, revision):
    alice = visit("alice")
    marked = Answer("TOKEN_CLS", Side(), Side(marks=(Mark(0, 5, "ANIMAL", 0.75), Mark(3, 99, "X", 1))))
    written = Answer("CAUSAL_LM", Side(text="walks"), Side(text="<runs>"))
    alike = Answer("FEATURE_EXTRACTION", Side(similarity=0.25), Side(similarity=0.5), moved=0.75)
    moved = Answer("FEATURE_EXTRACTION", Side(), Side(), moved=0.75)
    value = Answer("SEQ_CLS", Side((Share("score", -2.5),)), Side((Share("score", 3.25),)))
    span = Answer("QUESTION_ANS", Side(text=""), Side(text="in Paris"))
    for answer, words in (
        (marked, ("<mark>zebra<small>ANIMAL 75 %</small></mark>", "Nothing found")),
        (written, ("walks", "&lt;runs&gt;", "Greedy")),
        (alike, ("0.25", "0.50", "cosine of the two texts")),
        (moved, ("similarity to the base's: 0.75",)),
        (value, ("-2.50", "3.25")),
        (span, ("in Paris", "nothing")),
    ):
        address = alice.post(ASK, {"text": TEXT})["Location"].partition("#")[0]
        answered(answer)
        shown = alice.get(address).content.decode()
        assert [word for word in words if word not in shown] == [], answer.task


def test_who_may_not_read_or_is_not_signed_in_tries_nothing(visit, cast, revision, settings):
    proven(cast, "acme/secret", private=True)
    strangers = visit()
    assert "Sign in to try it" in read(strangers, PAGE)
    assert strangers.post(ASK, {"text": TEXT})["Location"].startswith("/login?next=")
    body = {"data": {"text": TEXT}, "content_type": "application/json"}
    assert strangers.post(REST, **body).json()["code"] == "sign-in-required"
    assert visit("carol").post("/acme/secret/try/ask", {"text": TEXT}).status_code == 404
    settings.TRY = "everyone"
    answer = strangers.post(REST, **body)
    assert (answer.status_code, answer.json()["state"]) == (202, "queued")
    assert strangers.get(f"{REST}/{answer.json()['id']}").status_code == 200
    assert visit("carol").get(f"{REST}/{answer.json()['id']}").status_code == 404
    settings.TRY = "off"
    assert visit("alice").post(REST, **body).json()["code"] == "tryout-refused"
    assert "Try it" not in read(visit("alice"), "/alice/reviews")


def test_only_what_an_engine_ran_and_nothing_held_back_is_tried(visit, cast, revision):
    alice = visit("alice")
    newer = pushed(cast, revision.repository, files={"README.md": b"x"})
    assert "Only a version that passed" in read(alice, PAGE, rev=newer.oid)
    assert "Run base and adapter" in read(alice, PAGE), "without a version it is the verified one"
    held, body = f"{PAGE}?rev={revision.oid}", {"rev": revision.oid, "text": TEXT}
    assert alice.post(ASK, body).status_code == 302
    quarantine.quarantine(revision.repository, cast.session("mona"), reason="It attacks.", revision=revision)
    claim = verbs.claim(ABLE, (), cold=True)
    with pytest.raises(RepositoryQuarantined):
        verbs.require_allowed(claim)
    assert alice.post(ASK, body).status_code == 403
    assert "Run base" not in alice.get(held).content.decode()
    quarantine.release(revision.repository, cast.session("mona"), reason="No.", revision=revision)
    requests.again(revision, None)
    assert "Run base and adapter" in alice.get(held).content.decode(), "also while it is validated again"
    Base.objects.update(has_weights=False)
    assert "No worker runs this version" in alice.get(held).content.decode()
    Base.objects.update(has_weights=True)
    sign_of_life("host:1", "", Offer("door", 1, {"other/base": "0" * 64}, ("e5",)))
    assert "No running worker of this hub has" in alice.get(held).content.decode()


@pytest.mark.parametrize(("limit", "code"), [("AT_ONCE", 429), ("AN_HOUR", 429), ("WAITING_AT_MOST", 503)])
def test_one_person_and_all_together_have_limits(visit, revision, monkeypatch, limit, code):
    monkeypatch.setattr(verbs, limit, 1)
    alice = visit("alice")
    assert alice.post(ASK, {"text": TEXT}).status_code == 302
    if limit == "AN_HOUR":
        answered(Answer("SEQ_CLS", Side(), Side()))
    refused = alice.post(ASK, {"text": TEXT})
    assert refused.status_code == code
    assert "zebra" in refused.content.decode(), "what was typed is still there"
    assert visit("bob").post(ASK, {"text": TEXT}).status_code == (503 if code == 503 else 302)


@pytest.mark.parametrize("given", [{"text": " "}, {"text": "x" * 2001}, {"text": "x", "other": "x" * 2001}])
def test_texts_that_are_none_or_too_long_are_refused(visit, revision, given):
    assert "other" in given or visit("alice").post(ASK, given).status_code in {400, 409}
    body = {"data": given, "content_type": "application/json"}
    assert visit("alice").post(REST, **body).status_code in {400, 409}
    assert not Tryout.objects.exists()


def test_a_try_is_retried_ends_and_is_forgotten(visit, cast, revision):
    alice, asker = cast.session("alice"), verbs.Asker(cast.session("alice"))
    row = verbs.request(revision, TEXT, "", 8, asker)
    assert verbs.claim(ABLE, [("e5", "other/base")], cold=False) is None, "its engine is cold"
    for _ in range(verbs.ATTEMPTS):
        Tryout.objects.update(free_at=Now())
        claim = verbs.claim(ABLE, [("e5", BASE.lower())], cold=False)
        verbs.give_back(claim, counted=False)
        Tryout.objects.update(free_at=Now())
        claim = verbs.claim(ABLE, (), cold=True)
        verbs.give_back(claim)
    verbs.record(claim, Answer("SEQ_CLS", Side(), Side()))
    row.refresh_from_db()
    assert (row.state, row.attempt) == ("failed", 2), "a late worker writes nothing"
    late = verbs.request(revision, TEXT, "", 8, asker)
    Tryout.objects.filter(pk=late.pk).update(asked_at=Now() - verbs.PATIENCE)
    verbs.sweep()
    late.refresh_from_db()
    assert late.state == "expired"
    Tryout.objects.update(asked_at=Now() - verbs.KEPT - timedelta(seconds=1))
    with pytest.raises(TryoutNotFound):
        verbs.find(revision, late.key, alice)
    verbs.sweep()
    assert not Tryout.objects.exists()
