"""The client without its hub: answers of the cache, HF_HUB_OFFLINE, proxies; and the connections it keeps with one."""

import os
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from dovetail import Client
from dovetail.transport import ask as send
from tests.client.hostile import OID, Liar, liar

ADDRESS = "/adapters/alice/x/revisions"


def serve_verified(hub: Liar) -> None:
    hub.holds({"weights": b"bytes", "card": b"words"})
    for name in ("verified", OID):
        hub.answers[f"/api/v1{ADDRESS}/{name}"] = hub.answers[f"/api/v1{ADDRESS}/main"]
    lock = {"adapter": "alice/x", "revision": OID, "files": [], "base": None, "state": "passed"}
    hub.says(f"{ADDRESS}/verified/lock", lock)
    hub.says("/changes?limit=0", {"items": [], "last": 7})


@pytest.mark.parametrize("revision", ["verified", OID])
def test_what_was_pulled_is_pulled_again_while_the_hub_is_away(here, tmp_path, revision):
    with liar() as hub:
        serve_verified(hub)
        assert here("pull", f"alice/x@{revision}", "--to", "one", hub=hub.url).returncode == 0
    away = here("pull", f"alice/x@{revision}", "--to", "two", hub=hub.url)
    assert (away.returncode, away.stdout) == (0, "two\n")
    assert f"As of {time.strftime('%H:%M')}: the hub does not answer, or was not asked." in away.stderr
    assert (tmp_path / "work" / "two" / "weights").read_bytes() == b"bytes"
    assert here("pull", "alice/x@main", hub=hub.url).returncode == 5  # nobody asked for it before


def test_a_lock_is_written_from_what_the_hub_said_last(here, tmp_path):
    with liar() as hub:
        serve_verified(hub)
        assert here("lock", "alice/x@verified", hub=hub.url).returncode == 0
    before = (tmp_path / "work" / "adapters.lock").read_text()
    away = here("lock", "alice/x@verified", "--file", "other.lock", hub=hub.url)
    assert (away.returncode, "As of " in away.stderr) == (0, True), away.stderr
    assert (tmp_path / "work" / "other.lock").read_text().replace('"since": 0', '"since": 7') == before
    assert here("lock", "--update", hub=hub.url).returncode == 5  # nobody knows what is newer


def test_hf_hub_offline_keeps_every_command_from_the_network(here, tmp_path):
    with liar() as hub:
        serve_verified(hub)
        here("pull", "alice/x@verified", "--to", "one", hub=hub.url)
        asked = len(hub.asked)
        assert here("pull", "alice/x@verified", "--to", "two", hub=hub.url, HF_HUB_OFFLINE="1").returncode == 0
        for words in (["whoami"], ["search"], ["info", "alice/x"], ["verdict", "alice/x"], ["login", "--browser"]):
            said = here(*words, hub=hub.url, HF_HUB_OFFLINE="1")
            assert (said.returncode, "HF_HUB_OFFLINE" in said.stderr) == (5, True), (words, said.stderr)
        assert len(hub.asked) == asked


def test_an_adapter_that_is_gone_is_not_answered_later(here, tmp_path):
    with liar() as hub:
        serve_verified(hub)
        here("pull", "alice/x@verified", "--to", "one", hub=hub.url)
        hub.says(f"{ADDRESS}/verified", {"code": "held-back", "detail": "It is held back."}, status=451)
        assert "held back" in here("pull", "alice/x@verified", "--to", "two", hub=hub.url).stderr
    assert here("pull", "alice/x@verified", "--to", "two", hub=hub.url).returncode == 5
    assert not (tmp_path / "work" / "two").exists()


def test_answers_go_with_what_nobody_used(here, tmp_path):
    with liar() as hub:
        serve_verified(hub)
        here("pull", "alice/x@verified", "--to", "one", hub=hub.url)
        answers = list((tmp_path / "cache" / "answers").iterdir())
        here("cache", "prune", "--days", "1", hub=hub.url)
        assert [answer.exists() for answer in answers] == [True]
        here("cache", "prune", "--days", "0", hub=hub.url)
        assert [answer.exists() for answer in answers] == [False]


def test_files_have_the_time_when_they_came(here, tmp_path):
    with liar() as hub:
        serve_verified(hub)
        here("pull", "alice/x@verified", "--to", "one", hub=hub.url)
    [blob] = (tmp_path / "hf").rglob("snapshots/*/weights")
    for place in (blob, tmp_path / "work" / "one" / "weights"):
        assert abs(place.stat().st_mtime - time.time()) < 60


class Counting(ThreadingHTTPServer):
    """Answers every GET over connections that stay open, and counts them and what is asked."""

    def __init__(self) -> None:
        self.connections, self.asked = 0, list[str]()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                server.connections += 1

            def do_GET(self) -> None:
                server.asked.append(self.path)
                self.send_response(200)
                self.send_header("Content-Length", "11")
                self.end_headers()
                self.wfile.write(b'{"last": 1}')

            def log_message(self, *_: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


def test_a_connection_is_kept(monkeypatch):
    with Counting() as hub:
        for _ in range(20):
            with Client(hub.url).transport.open("/site") as answer:
                assert answer.read() == b'{"last": 1}'
        assert (hub.connections, len(hub.asked)) == (1, 20)
        if hasattr(os, "fork"):
            child = os.fork()
            if not child:
                with send("GET", f"{hub.url}/child", {}) as answer:
                    answer.read()
                os._exit(0)
            assert os.waitpid(child, 0)[1] == 0
            assert hub.connections == 2  # a child never writes into the connection of its parent
        hub.shutdown()


def test_proxies_are_used_and_named(here, monkeypatch):
    with Counting() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.replace("http://", "http://bob:secret@"))
        with send("GET", "http://hub.example/api", {}) as answer:
            assert answer.read() == b'{"last": 1}'
        assert proxy.asked == ["http://hub.example/api"]
        proxy.shutdown()
    dead = "http://bob:secret@127.0.0.1:9"
    said = here("whoami", hub="http://hub.example", http_proxy=dead).stderr
    assert "http://hub.example does not answer through the proxy http://127.0.0.1:9: Connection refused." in said
    assert "NO_PROXY" in said
    assert "secret" not in said
    beside = here("whoami", hub="http://127.0.0.1:9", http_proxy=dead, no_proxy="127.0.0.1").stderr
    assert "http://127.0.0.1:9 does not answer: Connection refused." in beside
