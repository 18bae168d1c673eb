"""Questions of a gate: asked on the form, checked, returned to `HfApi`, exported, and part of a person's data."""

import csv
import io

import pytest

from features.gate_questions import verbs
from registry.models import AccessRequest
from registry.people import gates
from tests.site.conftest import push_more

CARD = b"""---
license: apache-2.0
extra_gated_heading: Acknowledge the license
extra_gated_prompt: "For research <b>alone</b>."
extra_gated_button_content: I acknowledge
extra_gated_fields:
  Company: text
  Country: country
  Since: date_picker
  Use:
    type: select
    options: [Research, {label: Something else, value: other}]
  I agree: checkbox
  Where: ip_location
  Broken: {type: select}
---
# Reviews
"""
GOOD = {"Company": "=cmd|' /C calc'!A0", "Country": "FR", "Since": "2026-12-03", "Use": "other", "I agree": "on"}
KEPT = {**GOOD, "I agree": True}
ASK = "/alice/reviews/ask-access"


@pytest.fixture
def gated(cast, reviews):
    push_more(cast, reviews, **{"README.md": CARD})
    gates.set_gate(reviews, "manual", cast.session("alice"))
    return reviews


def test_the_form_asks_what_the_card_asks_and_nothing_else(visit, gated):
    page = visit("carol").get("/alice/reviews").content.decode()
    for part in (
        'name="Company"',
        '<option value="FR">France</option>',
        '<option value="other">Something else</option>',
        'type="date"',
        "Acknowledge the license",
        "For research &lt;b&gt;alone&lt;/b&gt;.",
        ">I acknowledge</button>",
    ):
        assert part in page, part
    assert 'name="Where"' not in page
    assert 'name="Broken"' not in page
    assert "I acknowledge" not in visit().get("/alice/reviews").content.decode(), "strangers sign in first"


def test_a_gate_without_questions_has_the_plain_button(visit, cast, reviews):
    gates.set_gate(reviews, "manual", cast.session("alice"))
    assert ">Ask for access</button>" in visit("carol").get("/alice/reviews").content.decode()
    visit("carol").post(ASK, {"text": "A study", "Company": "not asked for"})
    assert AccessRequest.objects.get().answers == {}


def test_answers_are_kept_shown_to_the_owner_and_returned_to_clients(visit, cast, gated, client):
    visit("carol").post(ASK, {**GOOD, "text": "A study", "more": "nobody asked"})
    assert AccessRequest.objects.get().answers == KEPT
    listed = client.get(
        "/api/models/alice/reviews/user-access-request/pending",
        headers={"Authorization": f"Bearer {cast.token('alice')}"},
    ).json()
    assert listed[0]["fields"] == {"text": "A study", **KEPT}
    alice = visit("alice")
    assert alice.get("/api/v1/adapters/alice/reviews/access/requests").json()["items"][0]["answers"] == KEPT
    assert "<bdi>Company</bdi>" in alice.get("/alice/reviews/access").content.decode()


def test_the_export_has_a_column_for_each_question_and_no_formula(visit, gated):
    visit("carol").post(ASK, GOOD)
    answer = visit("alice").get("/alice/reviews/access/requests.csv")
    assert answer["Content-Type"].startswith("text/csv")
    assert answer["Cache-Control"] == "no-store"
    rows = list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode())))
    assert [row["user"] for row in rows] == ["carol"]
    assert rows[0]["email"] == "carol@example.org"
    assert rows[0]["Company"] == "'" + GOOD["Company"]
    assert rows[0]["I agree"] == "true"
    for who in ("anonymous", "carol", "mona"):
        assert visit(who).get("/alice/reviews/access/requests.csv").status_code in (302, 401, 403, 404), who


def test_a_person_who_was_added_directly_has_no_address_in_the_export(visit, cast, gated):
    gates.grant_access(gated, "dave", cast.session("alice"))
    text = b"".join(visit("alice").get("/alice/reviews/access/requests.csv").streaming_content).decode()
    assert "dave," in text
    assert "dave@example.org" not in text


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"Company": " "}, "is missing"),
        ({"Company": "x" * 1001}, "1001 characters"),
        ({"Country": "XX"}, "none of its options"),
        ({"Since": "31.12.2026"}, "not a date"),
        ({"Use": "Something else"}, "none of its options"),
        ({"I agree": ""}, "is missing"),
        ({"I agree": "perhaps"}, "not true or false"),
        ({"Company": ["a"]}, "not a text"),
        ({"Company": 1}, "not a text"),
    ],
)
def test_a_wrong_answer_is_refused_and_nothing_is_kept(visit, gated, wrong, said):
    body = {"text": "A study", "answers": {**GOOD, **wrong}}
    answer = visit("carol").post("/api/v1/adapters/alice/reviews/access", body, "application/json")
    assert answer.status_code == 400, answer.content
    assert said in answer.content.decode()
    assert answer.json()["field"] == "answers"
    assert not AccessRequest.objects.exists()


def test_asking_again_changes_the_answers_until_they_are_decided(visit, cast, gated):
    carol = visit("carol")
    carol.post(ASK, GOOD)
    carol.post(ASK, {**GOOD, "Company": "Acme"})
    assert AccessRequest.objects.get().answers["Company"] == "Acme"
    gates.decide_request(gated, "accepted", cast.session("alice"), username="carol")
    carol.post(ASK, {**GOOD, "Company": "Other"})
    assert AccessRequest.objects.get().answers["Company"] == "Acme"


@pytest.mark.parametrize("fields", [b"[a, b]", b"text", b"{1: {2: 3}, a: [text]}", b"{a: {type: select, options: x}}"])
def test_a_card_that_asks_nonsense_asks_nothing(visit, cast, reviews, fields):
    push_more(cast, reviews, **{"README.md": b"---\nextra_gated_fields: " + fields + b"\n---\n"})
    gates.set_gate(reviews, "manual", cast.session("alice"))
    assert verbs.questions_of(reviews).fields == ()
    assert visit("carol").get("/alice/reviews").status_code == 200
