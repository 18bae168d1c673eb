"""Logs: one JSON object a line, with the request's id, and never a secret."""

import json
import logging

import pytest
from django.test import Client, RequestFactory

from hub.monitoring import logs
from tests.sweep import sweep

SECRETS = {
    "a token of the Hub": "token hf_AbCdEfGhIjKlMnOp refused",
    "a token of ours": "dvt_AbCdEfGhIjKlMnOpQrStUv123456",
    "a bearer header": "Authorization: Bearer s3cr3t.value",
    "a basic header": "authorization: Basic czNjcjN0",
    "a presigned query": "https://s3/b/k?X-Amz-Credential=s3cr3t%2F2026&X-Amz-Signature=s3cr3t&response=1",
    "a ticket": "/-/bytes/abc?ticket=s3cr3t&x=1",
    "a password in JSON": '{"username": "alice", "password": "s3cr3t"}',
    "a password in a form": "username=alice&password1=s3cr3t&password2=s3cr3t",
    "a password in an address": "redis://user:s3cr3t@host:6379/0",
    "a cookie": "Cookie: sessionid=s3cr3t",
    "a token of the directory": "it sent dvs_AbCdEfGh-4hJ_k9LmN0pQrStUvWxYz123",
    "a Python dict": "{'access_token': 's3cr3t'}",
}


def line(message: str, *arguments: object, **extra: object) -> str:
    record = logging.LogRecord("hub.test", logging.INFO, __file__, 1, message, arguments, None)
    vars(record).update(extra)
    return logs.JsonLine().format(record)


@sweep("text", SECRETS.values())
def test_a_secret_never_reaches_a_log(text: str) -> None:
    written = line("%s", text, detail=text)
    assert "s3cr3t" not in written
    assert "AbCdEfGh" not in written
    assert "czNjcjN0" not in written


def test_what_is_no_secret_stays() -> None:
    assert json.loads(line("alice pushed 3 files to acme/router?download=true"))["message"] == (
        "alice pushed 3 files to acme/router?download=true"
    )


def test_a_forged_line_break_stays_inside_its_line() -> None:
    written = line('x\n{"level": "CRITICAL"}\x1b[31m\u2028')
    assert "\n" not in written
    assert "\x1b" not in written
    assert json.loads(written)["level"] == "INFO"


def test_extras_become_fields_with_their_types() -> None:
    written = json.loads(line("done", rows=24, seconds=0.5, adapter="alice/x", error=None))
    assert (written["rows"], written["seconds"], written["adapter"], written["error"]) == (24, 0.5, "alice/x", None)


def test_a_hostile_line_costs_little() -> None:
    logs.redact("a-" * 50_000)
    logs.redact("secret-" * 10_000)


def test_an_answer_carries_the_trace_id_of_the_client_after_ours() -> None:
    answer = Client().get("/livez", headers={"X-Amzn-Trace-Id": "client-chose-this-1"})
    assert answer["X-Request-Id"].endswith(";client-chose-this-1")
    assert len(answer["X-Request-Id"]) > len(";client-chose-this-1") + 8


def test_an_answer_gives_the_request_id_that_the_client_chose_back_as_it_is() -> None:
    request = RequestFactory().get("/", headers={"X-Request-Id": "client-chose-this-1"})
    assert (
        Client().get("/livez", headers={"X-Request-Id": "client-chose-this-1"})["X-Request-Id"] == "client-chose-this-1"
    )
    assert logs.name_of(request.META).endswith(";client-chose-this-1"), (
        "our log knows it by a name that nobody can repeat"
    )


@pytest.mark.parametrize("theirs", ["a b", "x" * 129, "é", '"', "<script>"])
def test_an_id_with_characters_that_no_id_has_is_dropped(theirs: str) -> None:
    request = RequestFactory().get("/", headers={"X-Request-Id": theirs})
    assert theirs not in logs.name_of(request.META)


def test_a_request_is_logged_without_its_query(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "hub.requests"):
        Client().get("/livez?q=private-search-words")
    [record] = [record for record in caplog.records if record.name == "hub.requests"]
    assert record.getMessage() == "GET /livez 200"


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/xet/v1/reconstructions/" + "0" * 64, "/api/models/a/b", "/api/v1/adapters/a/b"])
def test_a_refusal_is_logged_with_its_code_and_its_sentence(caplog: pytest.LogCaptureFixture, path: str) -> None:
    with caplog.at_level(logging.INFO, logger="hub.requests"):
        answer = Client().get(path)
    assert answer.status_code >= 400
    [record] = [record for record in caplog.records if record.name == "hub.requests"]
    written = json.loads(logs.JsonLine().format(record))
    assert written["code"] == answer.json()["code"]
    assert written["why"]
