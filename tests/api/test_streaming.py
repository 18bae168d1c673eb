"""Server-sent events: an answer that goes on, says where to go on, and ends with the right to read it."""

import http.client
import json
import socket
import time
from functools import partial
from urllib.parse import urlsplit

import pytest
from django.contrib.sessions.models import Session
from django.test import RequestFactory
from rest_framework.request import Request

from hub.api import streams
from registry.models import Event
from registry.moderation import quarantine, suspension
from registry.people.tokens import tokens
from tests.api.conftest import judged, pushed
from tests.live import TOKENS

pytestmark = pytest.mark.own_cast  # a stream closes its connection
VERDICT, CHANGES = "/api/v1/adapters/alice/reviews/revisions/main/verdict", "/api/v1/changes"


class Clock:
    """The clock of streams: time passes while they rest, and then something happens."""

    def __init__(self):
        self.now, self.rests, self.deeds = 0.0, 0, {}

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds
        self.rests += 1
        self.deeds.pop(self.rests, lambda: None)()


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(streams, "time", made)
    monkeypatch.setattr(streams, "LIFE_SECONDS", 60)
    yield made
    assert streams.stream_places.taken == 0, "a stream keeps its place"
    assert made.deeds == {}, "the stream ended before something happened"


def events_of(text):
    """Return (id, kind, data) of each event, as a browser reads them: a block without data is none."""
    read = []
    for block in text.split("\n\n")[:-1]:
        fields = dict(line.split(": ", 1) for line in block.split("\n") if not line.startswith(":"))
        if "data" in fields:
            read.append((fields.get("id", ""), fields["event"], json.loads(fields["data"])))
    return read


def stream(client, path, last="", **headers):
    """Return the whole text of a stream, which the clock ends."""
    headers |= {"Last-Event-ID": last} if last else {}
    answer = client.get(path, headers={"Accept": streams.KIND, **headers})
    assert answer.status_code == 200, answer.content
    assert answer["Content-Type"] == streams.KIND
    return b"".join(answer.streaming_content).decode()


def take(address):
    """Take a place for a stream to an address."""
    return streams.stream_places.take(Request(RequestFactory().get(CHANGES, REMOTE_ADDR=address)))


# --- the feed --------------------------------------------------------------------------------------------------------
def test_the_feed_goes_on_with_the_items_of_its_pages(ask, cast, repository, clock):
    clock.deeds = {
        3: lambda: pushed(cast, repository, title="again", files={"a.txt": b"a"}),
        9: lambda: judged(repository.revisions.get(title="push")),
    }
    text = stream(ask(), CHANGES)
    page = ask().get(CHANGES).json()["items"]
    assert [item["event"] for item in page] == ["push", "push", "push", "verdict"]
    assert events_of(text) == [(str(item["seq"]), item["event"], item) for item in page]
    assert text.startswith(f"retry: {streams.RETRY_MS}\nid: 0\n\n")
    assert clock.now == streams.LIFE_SECONDS, "it ends so that its reader comes back"
    quiet = streams.LIFE_SECONDS - 9 * streams.POLL_SECONDS
    assert text.count(": alive\n") == quiet // streams.HEARTBEAT_SECONDS


def test_both_forms_are_told_apart_by_accept_and_the_answer_says_so(ask, repository):
    for accept in ("*/*", "application/json", "text/html", "application/json, text/event-stream;q=0.9"):
        answer = ask().get(CHANGES, headers={"Accept": accept})
        assert answer.json()["items"], accept
        assert "Accept" in answer["Vary"].split(", ")
    with_head = ask().head(CHANGES, headers={"Accept": streams.KIND})
    assert (with_head.content, with_head["Content-Type"]) == (b"", streams.KIND)
    answer = ask().get(CHANGES, headers={"Accept": "text/event-stream, application/json;q=0.5"})
    assert (answer["Content-Type"], answer["X-Accel-Buffering"]) == ("text/event-stream", "no")
    assert "no-store" in answer["Cache-Control"]
    assert "Accept" in answer["Vary"].split(", ")
    assert "ETag" not in answer
    answer.close()  # before its first byte


def test_a_reader_goes_on_behind_the_last_event_that_it_has(ask, cast, repository, clock):
    everything = events_of(stream(ask(), CHANGES))
    first = everything[0][0]
    assert events_of(stream(ask(), f"{CHANGES}?since=0&limit=1", last=first)) == everything[1:]
    assert events_of(stream(ask(), f"{CHANGES}?since={first}")) == everything[1:]
    clock.deeds = {clock.rests + 2: lambda: pushed(cast, repository, title="new", files={"b.txt": b"b"})}
    text = stream(ask(), f"{CHANGES}?limit=0")
    assert f"\nid: {everything[-1][0]}\n\n" in text, "that begins at the newest, and can go on before anything happens"
    assert [int(id) for id, _, _ in events_of(text)] == [int(everything[-1][0]) + 1]
    assert events_of(stream(ask(), f"{CHANGES}?limit=0", last=first))[:-1] == everything[1:]


@pytest.mark.parametrize("last", ["x", "-1", "1.5", "9" * 19])
def test_an_id_that_the_feed_never_gave_is_refused(ask, repository, last):
    answer = ask().get(CHANGES, headers={"Accept": streams.KIND, "Last-Event-ID": last})
    assert (answer.status_code, answer.json()["code"]) == (400, "value-invalid")
    assert ask().get(CHANGES, headers={"Last-Event-ID": last}).status_code == 200, "pages have no such header"


def test_of_what_is_private_strangers_see_nothing_and_go_on_behind_it(ask, cast, secret, repository, clock):
    clock.deeds = {2: lambda: pushed(cast, secret, title="again", files={"a.txt": b"a"})}
    text = stream(ask("carol"), f"{CHANGES}?limit=0")
    newest = Event.objects.order_by("-seq").values_list("seq", flat=True)[0]
    assert events_of(text) == []
    assert f": alive\nid: {newest}\n\n" in text
    assert "secret" not in text
    names = {data["adapter"] for _, _, data in events_of(stream(ask("bob"), CHANGES))}
    assert names == {"acme/secret", "alice/reviews"}
    fine_grained = ask("alice", token="fine-grained")
    assert {data["adapter"] for _, _, data in events_of(stream(fine_grained, CHANGES))} == {"alice/reviews"}


def test_a_hold_and_its_end_are_told_while_they_happen(ask, cast, repository, clock):
    mona = cast.session("mona")
    clock.deeds = {
        2: lambda: quarantine.quarantine(repository, mona, reason="It is bad."),
        4: lambda: quarantine.release(repository, mona, reason="A mistake."),
    }
    kinds = [kind for _, kind, _ in events_of(stream(ask(), CHANGES))]
    assert kinds == ["push", "push", "quarantine", "release"]


def test_a_stream_ends_with_the_sign_in_that_asked_for_it(ask, cast, secret, clock):
    def lose(client, deed):
        clock.deeds = {clock.rests + 3: deed}
        before = clock.now
        *events, (id, kind, problem) = events_of(stream(client, CHANGES))
        assert [data["adapter"] for _, _, data in events] == ["acme/secret"] * 2
        assert (id, kind) == ("", "refusal")
        assert clock.now - before <= streams.HEARTBEAT_SECONDS + streams.POLL_SECONDS
        return problem["status"], problem["code"]

    value = cast.token("erin", "read")
    assert lose(ask(value=value), lambda: tokens.revoke_values([value])) == (401, "token-invalid")
    dave = ask("dave")
    assert lose(dave, lambda: Session.objects.filter(pk=dave.session.session_key).delete()) == (401, "sign-in-required")
    suspend = partial(suspension.suspend, cast["bob"], cast.session("mona"), reason="Spam.")
    assert lose(ask("bob"), suspend) == (401, "sign-in-required")


# --- a verdict -------------------------------------------------------------------------------------------------------
def test_a_verdict_is_told_each_time_it_changes_until_it_has_ended(ask, repository, clock):
    clock.deeds = {4: lambda: judged(repository.revisions.get(title="push"))}
    text = stream(ask(), VERDICT)
    (_, kind, queued), (last, _, passed) = events_of(text)
    assert (kind, queued["state"], passed) == ("verdict", "queued", ask().get(VERDICT).json())
    assert (passed["state"], clock.rests) == ("passed", 4)
    again = ask().get(VERDICT, headers={"Accept": streams.KIND, "Last-Event-ID": last})
    assert (again.status_code, again.content) == (204, b""), "the browser asks no more"
    assert events_of(stream(ask(), VERDICT, last="0" * 16)) == [(last, "verdict", passed)]


def test_a_reader_who_has_a_verdict_as_it_is_waits_for_the_next(ask, repository, clock):
    (id, _, _), *_ = events_of(stream(ask(), VERDICT))
    clock.deeds = {clock.rests + 40: lambda: judged(repository.revisions.get(title="push"), "failed")}
    [(_, _, verdict)] = events_of(stream(ask(), VERDICT, last=id))
    assert verdict["state"] == "failed"


def test_the_verdict_of_what_is_held_back_ends_as_if_it_were_not_there(ask, cast, repository, clock):
    clock.deeds = {2: lambda: quarantine.quarantine(repository, cast.session("mona"), reason="It is bad.")}
    (_, _, verdict), (_, kind, problem) = events_of(stream(ask(), VERDICT))
    assert (verdict["state"], kind, problem["code"]) == ("queued", "refusal", "adapter-not-found")
    assert ask().get(VERDICT, headers={"Accept": streams.KIND}).json()["code"] == "adapter-not-found"


# --- bounds ----------------------------------------------------------------------------------------------------------
def test_more_streams_than_there_are_places_are_refused_at_once(ask, repository):
    accept = {"Accept": streams.KIND}
    own = [take("127.0.0.1") for _ in range(streams.stream_places.of_caller)]
    answer = ask().get(CHANGES, headers=accept)
    assert (answer.status_code, answer.json()["code"], answer["Retry-After"]) == (429, "too-many-streams", "30")
    others = [take(f"10.0.0.{n}") for n in range(streams.stream_places.most - len(own))]
    for path in (CHANGES, VERDICT):
        answer = ask("alice").get(path, headers=accept)
        assert (answer.status_code, answer.json()["code"], answer["Retry-After"]) == (503, "streams-full", "5")
    assert ask().get(CHANGES).status_code == 200, "pages need no place"
    for give_back in own + others:
        give_back()
    assert events_of(stream(ask(), CHANGES))


# --- a hub in processes of its own -----------------------------------------------------------------------------------
class Reader:
    """A reader of a real stream."""

    def __init__(self, url, path, who, last=""):
        self.wire = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
        headers = {"Accept": streams.KIND, "Authorization": f"Bearer {TOKENS[who]}"}
        self.wire.request("GET", path, headers=headers | ({"Last-Event-ID": last} if last else {}))
        self.answer = self.wire.getresponse()

    def event(self):
        """Wait for the next event."""
        text = ""
        while not events_of(text):
            line = self.answer.readline().decode()
            assert line, f"the stream ended: {text}"
            text += line
        return events_of(text)[0]

    def close(self):
        self.wire.sock.shutdown(socket.SHUT_RDWR)
        self.answer.close()
        self.wire.close()


def create(hub, who, name):
    """Create a repository by REST of the Hub."""
    wire = http.client.HTTPConnection(urlsplit(hub.url).netloc, timeout=30)
    body = json.dumps({"name": name, "type": "model", "private": name.endswith("secret")})
    headers = {"Authorization": f"Bearer {TOKENS[who]}", "Content-Type": "application/json"}
    wire.request("POST", "/api/repos/create", body, headers)
    answer = wire.getresponse()
    assert answer.status == 200, answer.read()


def test_readers_of_a_real_hub_lose_nothing_and_their_places_come_back(live_hub):
    carol = Reader(live_hub.url, f"{CHANGES}?limit=0", "carol")
    alice = Reader(live_hub.url, f"{CHANGES}?limit=0", "alice")
    create(live_hub, "alice", "streamed-secret")
    began = time.monotonic()
    create(live_hub, "alice", "streamed")
    last, kind, item = carol.event()
    assert (kind, item["adapter"]) == ("push", "alice/streamed")
    assert time.monotonic() - began < 60
    assert [alice.event()[2]["adapter"] for _ in range(2)] == ["alice/streamed-secret", "alice/streamed"]
    carol.close()
    create(live_hub, "alice", "streamed-later")
    carol = Reader(live_hub.url, CHANGES, "carol", last)
    assert carol.event()[2]["adapter"] == "alice/streamed-later"
    carol.close()
    alice.close()
    # Each of two processes has so many places for one caller; no heartbeat comes in the time of this test.
    for _ in range(2):
        readers = []
        while len(readers) < 20 and (reader := patient_reader(live_hub, 1 if readers else 10)) is not None:
            readers.append(reader)
        assert streams.stream_places.of_caller <= len(readers) <= 2 * streams.stream_places.of_caller
        for reader in readers:
            reader.close()


def patient_reader(hub, seconds):
    """Return a reader as soon as there is a place, None if none comes free in so many seconds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        reader = Reader(hub.url, f"{CHANGES}?limit=0", "erin")
        if reader.answer.status == 200:
            return reader
        assert reader.answer.status == 429
        reader.wire.close()
        time.sleep(0.1)
    return None
