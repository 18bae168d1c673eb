"""/livez, /readyz and /metrics on a real hub, while its parts are taken away one by one."""

import json
import os
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import psutil
import pytest
from django.test import Client, override_settings

from hub.monitoring import gauges, health
from tests import live
from tests.services import free_ports, valkey

LONGEST = 60.0  # a part is given two seconds; without a limit, one that hangs would be waited for without an end


def get(url: str, **headers: str) -> tuple[int, str]:
    """Return status and body of a GET."""
    request = urllib.request.Request(url, headers={name.replace("_", "-"): value for name, value in headers.items()})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.fixture
def latest() -> Iterator[None]:
    """Let no answer of a test before be remembered."""
    health._latest._at = float("-inf")
    yield
    health._latest._at = float("-inf")


def test_livez_asks_nobody(live_hub: live.Hub) -> None:
    assert get(f"{live_hub.url}/livez") == (200, '{"alive": true}')


def test_readyz_names_each_part_and_what_to_look_at(live_hub: live.Hub) -> None:
    status, body = get(f"{live_hub.url}/readyz")  # this hub has neither broker nor worker
    parts = json.loads(body)["parts"]
    assert status == 503
    assert {name: part["ok"] for name, part in parts.items()} == {
        "database": True,
        "blobs": True,
        "broker": False,
        "worker": False,
    }
    assert "DOVETAIL_BROKER_URL" in parts["broker"]["reason"]
    assert "start one" in parts["worker"]["reason"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("latest")
class TestAPartIsTakenAway:
    def examine(self) -> dict:
        started = time.monotonic()
        parts = health.examine()
        assert time.monotonic() - started < LONGEST
        return parts

    def test_a_worker_that_is_not_there_yet(self, monkeypatch) -> None:
        monkeypatch.setattr(health, "STARTED", time.monotonic() - 2)
        assert "started 2 s ago" in self.examine()["worker"]["reason"]
        monkeypatch.setattr(health, "STARTED", time.monotonic() - 2 * health.SECONDS_TO_START)
        said = self.examine()["worker"]
        assert said["ok"] is False
        assert "for a minute; start one" in said["reason"]

    def test_a_blob_store_that_cannot_be_written(self) -> None:
        with override_settings(BLOBS="file:///proc/dovetail"):
            assert self.examine()["blobs"]["ok"] is False

    def test_an_s3_that_does_not_answer(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "k")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
        with override_settings(BLOBS=f"s3://b?endpoint=http://127.0.0.1:{free_ports()[0]}"):
            assert self.examine()["blobs"]["ok"] is False

    def test_a_check_that_fails_in_a_way_nobody_thought_of(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(health, "PARTS", {"blobs": lambda: 1 / 0})
        assert self.examine() == {"blobs": {"ok": False, "reason": "The check itself failed; the web's log says how."}}

    def test_a_broker_that_is_gone_and_one_that_hangs(self) -> None:
        with valkey() as url:
            with override_settings(BROKER_URL=url):
                assert self.examine()["broker"]["ok"] is True
            [pid] = pids_listening_on(int(url.rpartition(":")[2].partition("/")[0]))
            os.kill(pid, signal.SIGSTOP)
            try:
                with override_settings(BROKER_URL=url):
                    assert self.examine()["broker"]["ok"] is False
            finally:
                os.kill(pid, signal.SIGCONT)
        with override_settings(BROKER_URL=url):
            assert self.examine()["broker"]["ok"] is False


def pids_listening_on(port: int) -> list[int]:
    listening = (one for one in psutil.net_connections("tcp4") if one.status == psutil.CONN_LISTEN)
    return [one.pid for one in listening if one.laddr.port == port and one.pid]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("address", "headers", "status"),
    [
        ("127.0.0.1", {}, 200),
        ("::1", {}, 200),
        ("192.0.2.7", {}, 404),
        ("192.0.2.7", {"Authorization": "Bearer metrics-token-of-the-test"}, 200),
        ("192.0.2.7", {"Authorization": "Bearer wrong"}, 404),
        ("192.0.2.7", {"Authorization": "Bearer "}, 404),
        ("127.0.0.1", {"X-Forwarded-For": "192.0.2.7"}, 404),
        ("", {"X-Forwarded-For": "127.0.0.1"}, 200),  # nginx on a Unix socket adds its peer
        ("", {"X-Forwarded-For": "::1"}, 200),
        ("", {"X-Forwarded-For": "192.0.2.7"}, 404),
        ("", {"X-Forwarded-For": "127.0.0.1, 127.0.0.1"}, 404),
        ("", {"X-Forwarded-For": "127.0.0.1", "Via": "1.1 proxy"}, 404),
        ("", {"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "https"}, 404),
        ("", {}, 404),
        ("127.0.0.1", {"Forwarded": "for=192.0.2.7"}, 404),
        ("127.0.0.1", {"X-Real-Ip": "192.0.2.7"}, 404),
        ("127.0.0.1", {"Via": "1.1 proxy"}, 404),
    ],
)
def test_metrics_are_for_this_machine_and_for_the_token(address: str, headers: dict, status: int) -> None:
    with override_settings(METRICS_TOKEN="metrics-token-of-the-test"):
        assert Client().get("/metrics", headers=headers, REMOTE_ADDR=address).status_code == status


@pytest.mark.django_db
def test_without_a_token_set_no_token_opens_the_metrics() -> None:
    with override_settings(METRICS_TOKEN=""):
        for value in ("Bearer ", "Bearer", ""):
            answer = Client().get("/metrics", headers={"Authorization": value}, REMOTE_ADDR="192.0.2.7")
            assert answer.status_code == 404


def test_metrics_count_the_requests_of_all_web_processes(live_hub: live.Hub) -> None:
    for _ in range(20):
        get(f"{live_hub.url}/livez")
    status, body = get(f"{live_hub.url}/metrics")
    assert status == 200
    assert 'dovetail_requests_total{face="health",method="GET",status="200"}' in body
    for name in ("verdicts", "queue_age_seconds", "adapters", "blob_bytes", "uncut_files"):
        assert f"# TYPE dovetail_{name} gauge" in body


def test_whole_tables_are_counted_once_a_minute_however_often_one_asks(
    db: None, django_assert_num_queries: Callable[[int], AbstractContextManager[object]]
) -> None:
    gauges.exposition()
    # The oldest that waits, what is not finished, the oldest event and delivery, the plane's names and requests, the
    # tries of an hour and their times, the workers, the clock, the oldest search.
    with django_assert_num_queries(11):
        assert b"dovetail_blobs" in gauges.exposition()


def test_a_method_that_nobody_knows_makes_no_series_of_its_own(live_hub: live.Hub) -> None:
    request = urllib.request.Request(f"{live_hub.url}/livez", method="BREW")
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(request, timeout=60)
    assert "BREW" not in get(f"{live_hub.url}/metrics")[1]
