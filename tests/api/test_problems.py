"""Refusals as documents, and the routes that describe the interface itself."""

import pytest
from django.test import Client, RequestFactory

from hub.api import problems
from hub.errors import TABLE, HttpForm
from registry.kernel import site_settings
from registry.kernel.errors import StoreUnavailable
from registry.models import RevisionFacts
from registry.repos.lists import catalog
from tests.api.conftest import judged, pushed
from tests.api.document import document
from tests.sweep import sweep

GRANTS = '{"name": "x", "role": "fine-grained", "repos": {%s}}'
MEMBERS = {"type", "title", "status", "code", "detail", "fix"}


@sweep(
    "method, url, body, kind, status, code",
    [
        ("GET", "/api/v1/nowhere", "", "", 404, "route-not-found"),
        ("POST", "/api/v1/nowhere/at/all", "", "", 404, "route-not-found"),
        ("DELETE", "/api/v1/adapters", "", "", 405, "method-not-allowed"),
        ("POST", "/api/v1/me/tokens", "{", "application/json", 400, "body-invalid"),
        ("POST", "/api/v1/me/tokens", "[]", "application/json", 400, "value-invalid"),
        ("POST", "/api/v1/me/tokens", "\xff", "application/json", 400, "body-invalid"),
        ("POST", "/api/v1/me/tokens", "a=b", "application/x-www-form-urlencoded", 415, "media-type-unsupported"),
        ("POST", "/api/v1/me/tokens", '{"name": "x", "role": "root"}', "application/json", 400, "value-invalid"),
        ("GET", "/api/v1/adapters?limit=0", "", "", 400, "value-invalid"),
        ("GET", "/api/v1/adapters?limit=ten", "", "", 400, "value-invalid"),
        ("GET", "/api/v1/adapters?sort=colour", "", "", 400, "value-invalid"),
        ("GET", "/api/v1/adapters?q=%00", "", "", 400, "value-invalid"),
        ("GET", "/api/v1/adapters/a/b%00c", "", "", 404, "route-not-found"),
        ("GET", "/api/v1/organizations/a%00c/members", "", "", 404, "route-not-found"),
        ("GET", "/api/v1/adapters/%ff/%fe", "", "", 404, "adapter-not-found"),
        ("GET", "/api/v1/adapters?cursor=%ff", "", "", 400, "value-invalid"),
        ("GET", "/api/v1/adapters/alice/reviews/revisions?cursor=%ff", "", "", 404, "revision-not-found"),
        ("GET", f"/api/v1/me/tokens/{10**40}", "", "", 404, "token-not-found"),
        ("POST", "/api/v1/me/tokens", '{"name": "\\ud800", "role": "read"}', "application/json", 400, "value-invalid"),
        ("POST", "/api/v1/me/tokens", '{"name": "\\u0000", "role": "read"}', "application/json", 400, "value-invalid"),
        ("POST", "/api/v1/me/tokens", GRANTS % '"alice/\\u0000": "read"', "application/json", 400, "name-invalid"),
        ("POST", "/api/v1/me/tokens", GRANTS % '"alice/\\ud800": "read"', "application/json", 400, "name-invalid"),
        ("POST", "/api/v1/me/tokens", GRANTS % '"alice": "read"', "application/json", 400, "name-invalid"),
        ("POST", "/api/v1/me/tokens", GRANTS % '"alice/x": "own"', "application/json", 400, "value-invalid"),
        ("POST", "/api/v1/me/tokens", '{"name": "x", "role": "\\ud800"}', "application/json", 400, "value-invalid"),
        ("POST", "/api/v1/me/tokens", "[" * 100_000, "application/json", 400, "body-invalid"),
        ("POST", "/api/v1/me/tokens", " " * (5 << 20), "application/json", 400, "body-invalid"),
        ("PUT", "/api/v1/organizations/acme/members/bob", " " * (5 << 20), "application/json", 400, "body-invalid"),
    ],
)
def test_whatever_is_wrong_is_a_problem_document(ask, repository, method, url, body, kind, status, code):
    answer = ask("alice").generic(method, url, body.encode("latin-1"), kind)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer["Content-Type"] == "application/problem+json"
    assert set(answer.json()) == MEMBERS
    assert answer.json()["detail"]
    assert answer.json()["fix"]
    assert answer.json()["status"] == status


def test_a_bad_token_is_refused_and_never_taken_for_nobody(cast):
    for value in ("Bearer wrong", "Bearer", "Digest x", "Basic !!"):
        answer = Client(headers={"Authorization": value}).get("/api/v1/adapters")
        assert (answer.status_code, answer.json()["code"], answer["WWW-Authenticate"]) == (
            401,
            "token-invalid",
            "Bearer",
        )


def test_numbers_beyond_any_column_are_only_large(ask, repository):
    for query in (f"rank_max={10**30}", f"size_max={10**30}"):
        assert len(ask().get(f"/api/v1/adapters?{query}").json()["items"]) == 1
    assert ask().get(f"/api/v1/adapters?rank_min={10**30}").json()["items"] == []


@pytest.mark.parametrize("query", ["cursor=", "limit=", "sort=", "facets=", "rank_min=4&rank_max="])
def test_an_empty_parameter_is_no_wish_for_everything(ask, repository, query):
    answer = ask().get(f"/api/v1/adapters?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "value-invalid")
    assert repr(query.rpartition("&")[2].rstrip("=")) in answer.json()["detail"]


def test_any_accept_header_gets_json(ask, repository):
    for accept in ("text/html", "application/problem+json", "image/png"):
        assert ask().get("/api/v1/adapters", headers={"Accept": accept}).json()["items"]


def test_an_accident_is_a_document_too_and_its_stack_is_logged(ask, cast, monkeypatch, caplog):
    monkeypatch.setattr(catalog, "search", lambda *a, **k: 1 / 0)
    client = ask()
    client.raise_request_exception = False
    answer = client.get("/api/v1/adapters")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal-error")
    assert "ZeroDivisionError" in caplog.text
    assert "Zero" not in answer.content.decode()


def test_a_store_that_is_down_is_said(ask, repository, monkeypatch):
    def down(*_):
        raise StoreUnavailable("The store does not answer.")

    monkeypatch.setattr("registry.repos.contents.stored_facts.read_facts", down)
    assert ask().get("/api/v1/adapters/alice/reviews/revisions/main").status_code == 200, "its facts are a row"
    RevisionFacts.objects.all().delete()
    answer = ask().get("/api/v1/adapters/alice/reviews/revisions/main")
    assert (answer.status_code, answer.json()["code"]) == (503, "store-unavailable")


def test_facts_of_a_refusal_are_members_of_the_document(ask, cast, repository):
    first = repository.revisions.get(title="push")
    judged(first)
    second = pushed(cast, repository, title="worse", files={"notes.txt": b"x"})
    site_settings.change_setting("pull_policy", "verified", None)
    for route in ("/lock", "/files/README.md"):
        answer = ask().get(f"/api/v1/adapters/alice/reviews/revisions/{second.oid}{route}")
        assert (answer.status_code, answer.json()["code"]) == (403, "revision-not-verified")
        assert answer.json()["verified"] == first.oid
        assert ask("alice").get(f"/api/v1/adapters/alice/reviews/revisions/{second.oid}{route}").status_code in (
            200,
            302,
        )
    assert ask().get("/api/v1/adapters/alice/reviews/revisions/verified").status_code == 200


def test_every_error_of_the_table_becomes_a_document():
    request = RequestFactory().get("/api/v1/adapters/alice/old")
    for error, form in ((error, form) for error, form in TABLE.items() if "code" in vars(error)):
        refusal = error("It is so.", asked="alice/old", full_name="alice/new")
        document = problems.answer(refusal, {"request": request}).data
        assert (document["code"], document["status"]) == (error.code, form.status)
    assert isinstance(form, HttpForm)


def test_answers_have_the_keys_that_openapi_promises(ask, repository):
    shapes = document()["components"]["schemas"]
    for url, shape in (
        ("/api/v1/adapters/alice/reviews", "AdapterDetail"),
        ("/api/v1/adapters/alice/reviews/revisions/main", "Manifest"),
        ("/api/v1/adapters/alice/reviews/revisions/main/verdict", "Verdict"),
        ("/api/v1/adapters/alice/reviews/revisions", "HistoryItemPage"),
        ("/api/v1/adapters?facets=1", "AdapterPage"),
        ("/api/v1/bases", "BasePage"),
        ("/api/v1/changes", "ChangePage"),
        ("/api/v1/me", "Me"),
    ):
        answer = ask("alice").get(url).json()
        assert set(answer) == set(shapes[shape]["properties"]), url
        for item in answer.get("items", []):
            inner = shapes[shapes[shape]["properties"]["items"]["items"]["$ref"].rpartition("/")[2]]
            assert set(inner["required"]) <= set(item) <= set(inner["properties"]), url
