"""Answers that are given again: the same ones, never older than the last commit, and each one counted."""

import hashlib
import http.client
import json
import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.db import OperationalError
from django.http import HttpResponse
from huggingface_hub import HfApi

from hub import limits
from hub.monitoring import logs, metrics
from hub.server import repeats
from hub.server.repeats import Commits, Repeats
from registry.bytes.blobs import Keys
from registry.kernel.errors import StoreUnavailable
from tests import live
from tests.live import TOKENS, Hub

ONE_PROCESS = {"WEB_PROCESSES": "1"}  # the answers of another process are its own
CONFIG, WEIGHTS = b'{"peft_type": "LORA"}', bytes(range(256)) * 4096  # 1 MiB: sent by sendfile
REPO = "alice/repeated"
INFO, FILE = f"/api/models/{REPO}", f"/{REPO}/resolve/main"


class Client:
    """One connection to a hub, without cookies."""

    def __init__(self, hub: Hub, who: str = "") -> None:
        self.connection = http.client.HTTPConnection(urlsplit(hub.url).netloc, timeout=30)
        self.headers = {"Authorization": f"Bearer {TOKENS[who]}"} if who else {}

    def ask(self, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        self.connection.request(method, path, headers=self.headers | more)
        answer = self.connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()


def repeated(hub: Hub) -> int:
    """Return how many answers the hub has given again so far."""
    text = Client(hub).ask("/metrics")[2].decode()
    lines = [line for line in text.splitlines() if line.startswith("dovetail_repeated_answers_total")]
    return int(sum(float(line.rpartition(" ")[2]) for line in lines))


def pushed(hub: Hub, repo: str = REPO, *, private: bool = False) -> HfApi:
    api = HfApi(endpoint=hub.url, token=TOKENS["alice"])
    api.create_repo(repo, private=private)
    for path, data in {"adapter_config.json": CONFIG, "adapter_model.safetensors": WEIGHTS}.items():
        api.upload_file(repo_id=repo, path_or_fileobj=data, path_in_repo=path)
    return api


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    with live.hub(tmp_path_factory.mktemp("repeats") / "data", **ONE_PROCESS) as running:
        pushed(running)
        yield running


def settled(client: Client, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    """Ask until an answer can be a repeated one: what a push leaves to be done is committed a moment later."""
    for _ in range(3):
        client.ask(path, method, **headers)
        time.sleep(0.3)
    return client.ask(path, method, **headers)


# --- a whole hub ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("GET", INFO, {}),
        ("HEAD", INFO, {}),
        ("GET", f"{INFO}/tree/main", {}),
        ("GET", "/api/models?limit=5", {}),
        ("GET", f"{FILE}/adapter_config.json", {}),
        ("HEAD", f"{FILE}/adapter_model.safetensors", {}),
        ("GET", f"{FILE}/adapter_model.safetensors", {}),
        ("GET", f"{FILE}/adapter_model.safetensors", {"Range": "bytes=100-70099"}),
        ("GET", f"/{REPO}", {}),
        ("GET", "/", {}),
        ("GET", "/adapters", {}),
    ],
)
def test_an_answer_is_given_again_with_an_id_of_its_own(hub, method, path, headers):
    client = Client(hub, "" if path in (f"/{REPO}", "/", "/adapters") else "carol")
    first = settled(client, path, method, **headers)
    before = repeated(hub)
    second, third = (client.ask(path, method, X_Amzn_Trace_Id=f"trace-{n}", **headers) for n in range(2))
    assert repeated(hub) - before == 2
    ids = {answer[1].pop("x-request-id") for answer in (first, second, third)}
    assert len(ids) == 3
    assert any(one.endswith(";trace-0") for one in ids)
    # A request with a cookie is always for Django: a browser elsewhere would get the same.
    anew = client.ask(path, method, User_Agent="Mozilla/5.0 (Macintosh)", Cookie="other=1", **headers)
    for answer in (first, second, third, anew):
        answer[1].pop("date")
    anew[1].pop("x-request-id")
    assert first == second == third == anew


def test_a_range_and_the_whole_are_what_was_pushed(hub):
    client = Client(hub)
    for _ in range(3):
        assert client.ask(f"{FILE}/adapter_model.safetensors")[2] == WEIGHTS
        assert client.ask(f"{FILE}/adapter_model.safetensors", Range="bytes=7-99999")[2] == WEIGHTS[7:100_000]
        assert client.ask(f"{FILE}/adapter_config.json")[2] == CONFIG


def test_nothing_is_older_than_the_last_commit(hub):
    client, api = Client(hub), pushed(hub, "alice/moving")
    for number in range(15):
        commit = api.upload_file(
            repo_id="alice/moving", path_or_fileobj=b"x" * number, path_in_repo=f"{number}.txt", commit_message="More"
        )
        for _ in range(3):
            told = json.loads(client.ask("/api/models/alice/moving")[2])
            assert told["sha"] == commit.oid
            head = client.ask(f"/alice/moving/resolve/main/{number}.txt", "HEAD")
            assert (head[0], head[1]["x-repo-commit"]) == (200, commit.oid)


def test_what_becomes_private_is_gone_at_once_for_others_alone(hub):
    api = pushed(hub, "alice/hiding")
    path, page = "/alice/hiding/resolve/main/adapter_config.json", "/alice/hiding"
    stranger, carol, alice = Client(hub), Client(hub, "carol"), Client(hub, "alice")
    for client in (stranger, carol, alice):
        assert settled(client, path)[0] == 200
    assert settled(stranger, page)[0] == 200
    api.update_repo_settings("alice/hiding", private=True)
    assert [client.ask(path)[0] for client in (stranger, carol, alice)] == [401, 404, 200]
    assert stranger.ask(page)[0] == 404
    assert [client.ask(path)[0] for client in (alice, carol, stranger)] == [200, 404, 401]


def test_a_token_that_is_deleted_ends_at_once(hub):
    extra = {
        "name": "repeats",
        "password": live.PASSWORD,
        "tokens": [{"name": "t", "role": "read", "value": "hf_ends_at_once"}],
    }
    live.provision(hub, {"users": [extra]})
    client = Client(hub)
    client.headers = {"Authorization": "Bearer hf_ends_at_once"}
    assert settled(client, INFO)[0] == 200
    hub.manage(
        "shell", "-c", "from registry.models import Token; Token.objects.filter(user__username='repeats').delete()"
    )
    assert client.ask(INFO)[0] == 401


def test_a_visitor_gets_no_cookie_for_reading_and_with_one_nothing_is_repeated(hub):
    client = Client(hub)
    for path in (f"/{REPO}", f"/{REPO}/tree/main", "/alice", "/adapters", "/bases"):
        status, headers, _ = client.ask(path)
        assert (status, "set-cookie" in headers) == (200, False), path
    settled(client, f"/{REPO}", Cookie="theme=dark")
    before = repeated(hub)
    assert b'data-theme="dark"' in client.ask(f"/{REPO}", Cookie="theme=dark")[2]
    assert b'data-theme="dark"' not in client.ask(f"/{REPO}", Cookie="theme=light")[2]
    assert repeated(hub) == before


def test_bytes_that_are_lost_are_not_sent(hub):
    api, client = pushed(hub, "alice/losing"), Client(hub)
    lost = b"lost" + WEIGHTS
    api.upload_file(repo_id="alice/losing", path_or_fileobj=lost, path_in_repo="lost.safetensors")
    path = "/alice/losing/resolve/main/lost.safetensors"
    assert settled(client, path)[2] == lost
    (hub.data / "blobs" / Keys.blob(hashlib.sha256(lost).hexdigest())).unlink()
    status, headers, body = client.ask(path)
    assert (status, json.loads(body)["code"]) == (503, "store-unavailable")
    assert "retry-after" in headers


def test_the_log_has_a_line_for_each_answer(hub):
    client = Client(hub)
    settled(client, INFO)
    told = client.ask(INFO, X_Request_Id="a-repeated-one")[1]
    assert told["x-request-id"] == "a-repeated-one"
    lines = [json.loads(line) for line in hub.log("web").splitlines() if "a-repeated-one" in line]
    assert [(line["message"], line["status"]) for line in lines] == [(f"GET {INFO} 200", 200)]


def test_repeated_answers_count_against_the_rate_limit(tmp_path):
    people = live.PEOPLE | {"site": {"throttle": "on"}}
    with live.hub(tmp_path / "data", people=people, **ONE_PROCESS) as running:
        HfApi(endpoint=running.url, token=TOKENS["alice"]).create_repo(REPO)
        client, allowed = Client(running), limits.Family.API.value[0].requests
        if (second := time.time() % limits.WINDOW_SECONDS) > limits.WINDOW_SECONDS / 2:
            time.sleep(limits.WINDOW_SECONDS - second)  # a minute that turns in between would begin anew
        statuses = [client.ask(INFO)[0] for _ in range(allowed + 20)]
        assert repeated(running) > allowed / 2
    assert statuses == [200] * allowed + [429] * 20


def test_one_switch_turns_it_off(tmp_path):
    with live.hub(tmp_path / "data", **ONE_PROCESS, FAST_PATHS="off") as running:
        HfApi(endpoint=running.url, token=TOKENS["alice"]).create_repo(REPO)
        settled(Client(running), INFO)
        assert repeated(running) == 0


# --- the rule, by itself ----------------------------------------------------------------------------------------------
class Django:
    """Stands for Django: answers what it is told to, and counts how often it is asked."""

    def __init__(self) -> None:
        self.asked, self.headers, self.body, self.status, self.seconds = 0, [("X-A", "1")], b"body", 200, 0.0
        self.is_allowed, self.is_refused = True, False
        self.counted: list[str] = []

    def __call__(self, environ, start_response):
        self.asked += 1
        time.sleep(self.seconds)
        environ[limits.COUNT_AGAIN] = self.count
        if self.is_allowed:
            environ[repeats.REPEATABLE] = True
        environ[logs.RECORD] = logs.AnswerRecord("GET", "/", "/", "hf", self.status, "", "", False)
        own = [("X-Request-Id", "first"), *self.taken().headers().items()]
        start_response(f"{self.status} OK", [*self.headers, *own])
        return HttpResponse(self.body)

    def count(self, environ):
        self.counted.append(environ["REMOTE_ADDR"])
        return self.taken()

    def taken(self):
        quota = limits.Quota("api", 300)
        return limits.Taken(quota, 300 - len(self.counted), 60, self.is_refused)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "rows.sqlite3"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE rows (value)")
    connection.close()
    return path


@contextmanager
def writing(path: Path):
    connection = sqlite3.connect(path)
    try:
        with connection:
            yield connection
    finally:
        connection.close()


@pytest.fixture
def django() -> Django:
    return Django()


class Asked:
    """Asks the application that stands before Django; gives status, headers and body."""

    def __init__(self, django: Django, database: Path) -> None:
        self.application = Repeats(django, Commits(database))

    def __call__(self, **changed: str) -> tuple[str, dict[str, str], bytes]:
        said = []
        environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/a", "REMOTE_ADDR": "127.0.0.1"} | changed
        body = self.application(environ, lambda status, headers, *more: said.append((status, headers)))
        status, headers = said[-1]
        return status, dict(headers), b"".join(body)


@pytest.fixture
def asked(django: Django, database: Path) -> Asked:
    return Asked(django, database)


def test_a_commit_and_nothing_less_makes_an_answer_old(asked, django, database):
    asked(), asked()
    assert django.asked == 1
    with writing(database) as connection:
        connection.execute("INSERT INTO rows VALUES (1)")
        asked()
        assert django.asked == 1  # nobody sees the row yet
    asked(), asked()
    assert django.asked == 2


def test_an_answer_made_before_a_commit_is_not_kept_after_it(asked, django, database):
    plain = django.__class__.__call__

    def slow(environ, start_response):
        body = plain(django, environ, start_response)
        with writing(database) as connection:  # somebody commits while Django answers
            connection.execute("INSERT INTO rows VALUES (1)")
        return body

    asked.application._application = slow
    asked(), asked()
    assert django.asked == 2


def test_what_the_clock_decides_is_late_by_seconds_at_most(asked, django, monkeypatch):
    asked()
    now = time.monotonic()
    monkeypatch.setattr("hub.server.repeats.time.monotonic", lambda: now + repeats.SECONDS + 0.1)
    asked()
    assert django.asked == 2


@pytest.mark.parametrize(
    "other",
    [
        {"HTTP_AUTHORIZATION": "Bearer x"},
        {"HTTP_ACCEPT_LANGUAGE": "de"},
        {"HTTP_HOST": "elsewhere.example"},
        {"HTTP_X_REAL_IP": "10.0.0.1"},
        {"QUERY_STRING": "a=b"},
        {"PATH_INFO": "/a'\nQUERY_STRING='"},
        {"REQUEST_METHOD": "HEAD"},
        {"HTTP_RANGE": "bytes=0-1"},
    ],
)
def test_a_request_that_differs_is_another_one(asked, django, other):
    asked(), asked(**other)
    assert django.asked == 2
    asked(), asked(**other)
    assert django.asked == 2


@pytest.mark.parametrize(
    "never",
    [
        {"REQUEST_METHOD": "POST"},
        {"HTTP_COOKIE": "a=b"},
        {"CONTENT_LENGTH": "3"},
        {"HTTP_TRANSFER_ENCODING": "chunked"},
    ],
)
def test_requests_with_a_session_or_a_body_are_never_answered_again(asked, django, never):
    asked(**never), asked(**never)
    assert django.asked == 2


@pytest.mark.parametrize(
    "answer",
    [
        {"is_allowed": False},
        {"status": 404},
        {"status": 503},
        {"headers": [("Set-Cookie", "a=b")]},
        {"body": b"x" * (repeats.MOST_BYTES + 1)},
    ],
)
def test_answers_that_are_not_kept(asked, django, answer):
    vars(django).update(answer)
    asked(), asked()
    assert django.asked == 2


def test_machines_share_an_answer_and_each_is_counted(asked, django):
    """The headers of proxies count only if the proxy is trusted; the program of a client changes nothing."""
    for number in range(4):
        asked(
            REMOTE_ADDR=f"10.0.0.{number}", HTTP_USER_AGENT=f"hf; session_id/{number}", HTTP_X_FORWARDED_FOR="1.2.3.4"
        )
    assert (django.asked, django.counted) == (1, ["10.0.0.1", "10.0.0.2", "10.0.0.3"])


@pytest.mark.parametrize(
    ("name", "one", "other"),
    [("HTTP_X_FORWARDED_HOST", "a.example", "b.example"), ("HTTP_X_FORWARDED_PROTO", "http", "https")],
)
def test_what_a_trusted_proxy_says_of_the_address_makes_another_request(asked, django, settings, name, one, other):
    settings.TRUSTED_PROXIES = ["127.0.0.1"]
    for value in (one, other, one, other):
        asked(HTTP_X_FORWARDED_FOR="1.2.3.4", **{name: value})
    assert django.asked == 2
    asked(HTTP_X_FORWARDED_FOR="1.2.3.4", REMOTE_ADDR="10.0.0.1", **{name: other})  # nobody believes this one
    assert django.asked == 3


def test_the_headers_of_one_request_are_its_own(asked, django):
    first, second, third = (asked()[1] for _ in range(3))
    assert len({headers["X-Request-Id"] for headers in (first, second, third)}) == 3
    assert [headers["RateLimit"] for headers in (first, second, third)] == [
        f'"api";r={left};t=60' for left in (300, 299, 298)
    ]
    assert first["X-A"] == second["X-A"] == third["X-A"] == "1"


def test_a_request_too_many_is_refused_by_django(asked, django):
    asked()
    django.is_refused, django.status, django.is_allowed = True, 429, False
    assert asked()[0] == "429 OK"
    assert django.asked == 2


def test_the_answers_that_are_kept_are_bounded_and_those_in_use_stay(asked, django):
    django.body = b"x" * repeats.MOST_BODY_BYTES
    for number in range(3 * repeats.MOST_BYTES // repeats.MOST_BODY_BYTES):
        asked(PATH_INFO="/in-use")
        asked(PATH_INFO=f"/{number}")
        kept = asked.application._answers.values()
        assert sum(answer.size for answer in kept) == asked.application._bytes <= repeats.MOST_BYTES
    assert django.asked == 1 + 3 * repeats.MOST_BYTES // repeats.MOST_BODY_BYTES
    assert len(kept) > repeats.MOST_BYTES // (2 * repeats.MOST_BODY_BYTES)


def test_an_answer_that_may_be_kept_no_more_makes_nobody_wait(asked, django, database):
    asked()
    with writing(database) as connection:
        connection.execute("INSERT INTO rows VALUES (1)")
    django.is_allowed = False
    asked()
    assert (asked.application._answers, asked.application._bytes) == ({}, 0)


def test_one_request_renews_an_answer_for_all_that_wait(asked, django, database):
    asked()
    with writing(database) as connection:
        connection.execute("INSERT INTO rows VALUES (1)")
    django.seconds = repeats.PATIENCE_SECONDS / 2
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: asked(), range(8)))
    assert django.asked == 2
    assert {(status, body) for status, _, body in answers} == {("200 OK", b"body")}


def test_nobody_waits_long_for_a_renewal(asked, django, database):
    asked()
    with writing(database) as connection:
        connection.execute("INSERT INTO rows VALUES (1)")
    held = threading.Event()

    def never_ends(environ, start_response):
        if not held.is_set():
            held.set()
            time.sleep(20 * repeats.PATIENCE_SECONDS)
        return django(environ, start_response)

    asked.application._application = never_ends
    renewing = threading.Thread(target=asked)
    renewing.start()
    held.wait(10)
    asked()
    assert renewing.is_alive()  # the second one asked Django itself
    renewing.join()


def test_without_the_database_django_answers(asked, django, database):
    asked()
    asked.application._commits = Commits(database.parent / "nowhere.sqlite3")
    asked(), asked()
    assert django.asked == 3


@pytest.mark.parametrize("reason", [StoreUnavailable("gone"), PermissionError(), OperationalError()])
def test_bytes_that_cannot_be_opened_again_are_for_django(django, database, tmp_path, reason):
    """A large answer is opened again for each request, and Django says what is the matter if that fails."""
    (tmp_path / "large").write_bytes(b"large")
    error: list[Exception] = []

    class Wrapper:
        def __init__(self, source, size):
            self.source, self.close = source, source.close

        def __iter__(self):
            return iter(lambda: self.source.read(2), b"")

    def large(environ, start_response):
        django(environ, start_response)
        environ[repeats.OPEN_AGAIN] = opened
        return [b"large"]  # of a file, which is no HttpResponse

    def opened():
        if error:
            raise error[0]
        return (tmp_path / "large").open("rb")

    application = Repeats(large, Commits(database))

    def ask():
        environ = {"REQUEST_METHOD": "GET", "REMOTE_ADDR": "127.0.0.1", "wsgi.file_wrapper": Wrapper}
        body = application(environ, lambda *_: None)
        content = b"".join(body)
        if hasattr(body, "close"):
            body.close()
        return content

    busy = metrics.BUSY._value.get()
    assert [ask(), ask(), ask()] == [b"large"] * 3
    assert (django.asked, metrics.BUSY._value.get()) == (1, busy)
    error.append(reason)
    ask()
    assert (django.asked, metrics.BUSY._value.get()) == (2, busy)
    error.clear()
    ask()
    django.is_refused = True  # one too many: then nothing is opened
    ask()
    assert (django.asked, metrics.BUSY._value.get()) == (3, busy)
