"""Messages to webhooks, from a push to an address: what is sent, to whom, how often, and where never."""

import hashlib
import hmac
import json
import socket
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from ipaddress import ip_address

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from huggingface_hub._webhooks_payload import WebhookPayload

from features.webhooks import deliveries, jobs, verbs
from features.webhooks.deliveries import WebhookNotFound
from features.webhooks.models import Delivery, Webhook
from features.webhooks.verbs import Wish
from registry.kernel import outbound_http, outbox
from registry.kernel.errors import NameInvalid, NotAllowed, SignInRequired, TooOften, ValueInvalid
from registry.kernel.outbox import Kind
from registry.models import User
from registry.people import gates
from registry.people.tokens import tokens
from registry.publish import branches, push, repositories
from registry.publish.push import MAIN, Inline, Intent
from registry.repos import refs
from registry.talk import dispatch
from tests.sweep import sweep
from tests.workers.listener import Listener, dripping, listening

NOTIFIED: list[int] = []


def notify(delivery: int) -> bool:
    """Record the notification instead of sending it to a worker."""
    NOTIFIED.append(delivery)
    return True


@pytest.fixture(autouse=True)
def _bell(settings):
    settings.POSTMAN = f"{__name__}.notify"
    settings.WEBHOOK_ALLOW = []
    NOTIFIED.clear()


@pytest.fixture
def listener(settings):
    settings.WEBHOOK_ALLOW = ["127.0.0.0/8"]
    with listening() as one:
        yield one


def hook(cast, url: str, *watched: tuple[str, str], who: str = "alice", **wish) -> Webhook:
    return verbs.create(Wish(url, watched or [("user", "alice")], **{"domains": [], **wish}), cast.session(who))


def pushed(cast, repository, path: str = "notes.txt", ref: str = MAIN, **more) -> None:
    push.receive(Intent(repository, ref, cast.session("alice"), f"Add {path}", **more), [Inline(path, path.encode())])


def told() -> list[str]:
    """Return what was sent, as action and scope, oldest first."""
    dispatch.run()
    events = (row.payload["event"] for row in Delivery.objects.order_by("pk"))
    return [f"{event['action']} {event['scope']}" for event in events]


def send_all() -> None:
    dispatch.run()
    for number in Delivery.objects.filter(state="waiting").order_by("pk").values_list("pk", flat=True):
        jobs.deliver(number)


# --- what is told ----------------------------------------------------------------------------------------------------
def test_every_change_of_a_watched_repository_is_told_in_the_hubs_words(cast, listener: Listener):
    hook(cast, listener.url, ("user", "Alice"), secret="s3cret")
    by = cast.session("alice")
    repository = cast.repository("alice/reviews")
    pushed(cast, repository)
    branches.create_ref(repository, "refs/tags/v1", refs.resolve_ref(repository, MAIN), by)
    branches.delete_ref(repository, "refs/tags/v1", by)
    gates.set_gate(repository, "auto", by)
    repositories.set_private(repository, True, by)
    head = refs.resolve_ref(repository, MAIN).oid
    repositories.delete(repository, by)
    assert told() == [
        "create repo",
        *["update repo.content"] * 3,
        *["update repo.config"] * 2,
        "delete repo",
    ]
    send_all()
    messages = [WebhookPayload(**heard.json) for heard in listener.heard]
    assert {(one.repo.name, one.repo.type, one.webhook.version) for one in messages} == {("alice/reviews", "model", 3)}
    assert [one.repo.private for one in messages] == [False] * 5 + [True] * 2
    moved = [one.updatedRefs[0] for one in messages[1:4]]
    assert [one.ref for one in moved] == [MAIN, "refs/tags/v1", "refs/tags/v1"]
    assert (moved[0].newSha, moved[1].newSha, moved[2].oldSha) == (head, head, head)
    assert (moved[1].oldSha, moved[2].newSha) == (None, None)
    assert listener.heard[1].json["repo"]["headSha"] == head
    assert Delivery.objects.filter(state="sent", status=200).count() == 7


def test_whether_somebody_may_hear_of_it_is_asked_once_however_many_webhooks_he_has(cast, listener: Listener):
    repository = cast.repository("alice/secret", private=True)
    queries = []
    for _ in range(2):
        for _ in range(3):
            hook(cast, listener.url, who="carol")
        with CaptureQueriesContext(connection) as asked:
            deliveries.consume(outbox.event(Kind.CONFIGURED, repository))
        queries.append(len(asked))
    assert queries[0] == queries[1]
    assert told() == []


def test_a_message_carries_the_secret_and_a_signature_of_its_body(cast, listener: Listener):
    hook(cast, listener.url + "?from=here", secret="s3cret")
    cast.repository("alice/reviews")
    send_all()
    (heard,) = listener.heard
    assert heard.path == "/hook?from=here"
    assert heard.headers["x-webhook-secret"] == "s3cret"
    expected = hmac.new(b"s3cret", heard.body, hashlib.sha256).hexdigest()
    assert heard.headers["x-hub-signature-256"] == f"sha256={expected}"
    assert heard.headers["content-type"] == "application/json"


def test_a_webhook_without_a_secret_sends_none(cast, listener: Listener):
    hook(cast, listener.url)
    cast.repository("alice/reviews")
    send_all()
    assert {"x-webhook-secret", "x-hub-signature-256"}.isdisjoint(listener.heard[0].headers)


def test_only_what_is_watched_and_may_be_seen_is_told(cast, listener: Listener):
    hook(cast, listener.url, ("model", "ACME/Router"), who="carol")
    hook(cast, listener.url, ("org", "acme"), who="carol", domains=["discussion"])
    hook(cast, listener.url, ("dataset", "acme/router"), who="alice")
    cast.repository("acme/other")
    assert told() == []
    router = cast.repository("acme/router")
    assert told() == ["create repo"]
    repositories.set_private(router, True, cast.session("alice"))
    pushed(cast, router)
    assert told() == ["create repo"]  # carol is a stranger, and from now on it does not exist for her
    Webhook.objects.all().update(disabled=True)
    repositories.set_private(router, False, cast.session("alice"))
    assert told() == ["create repo"]


def test_a_push_that_fails_tells_nobody(cast, listener: Listener, django_capture_on_commit_callbacks):
    repository = cast.repository("alice/reviews")
    hook(cast, listener.url)
    with pytest.raises(ValueInvalid), django_capture_on_commit_callbacks(execute=True):
        push.receive(Intent(repository, MAIN, cast.session("alice"), " "), [Inline("a", b"a")])
    assert told() == NOTIFIED == []
    with django_capture_on_commit_callbacks(execute=True):
        pushed(cast, repository)
        pushed(cast, repository)  # the same once more is no change
    assert [Delivery.objects.get().pk] == NOTIFIED
    pushed(cast, repository, "b.txt", propose=True)
    dispatch.run()
    moved = Delivery.objects.latest("pk").payload["updatedRefs"]
    assert (moved[0]["ref"], moved[0]["oldSha"]) == ("refs/pr/1", None)


# --- how often -------------------------------------------------------------------------------------------------------
def test_what_is_not_heard_is_told_again_later_and_at_last_given_up(cast, listener: Listener):
    hook(cast, listener.url)
    cast.repository("alice/reviews")
    dispatch.run()
    listener.answers = [(500, {}, b"out of order")] * (len(deliveries.PAUSES) + 1)
    row = Delivery.objects.get()
    for attempt, pause in enumerate(deliveries.PAUSES, start=1):
        before = timezone.now()
        jobs.deliver(row.pk)
        jobs.deliver(row.pk)  # not due yet
        row.refresh_from_db()
        assert (row.state, row.attempts, row.status, len(row.log)) == ("waiting", attempt, 500, attempt)
        assert before + timedelta(seconds=pause) <= row.due_at <= timezone.now() + timedelta(seconds=pause)
        assert row.log[-1]["answer"] == "out of order"
        Delivery.objects.update(due_at=timezone.now())
    jobs.deliver(row.pk)
    row.refresh_from_db()
    assert (row.state, len(row.log), len(listener.heard)) == ("failed", 6, 6)


def test_nobody_there_is_written_down_and_tried_again(cast, settings):
    settings.WEBHOOK_ALLOW = ["127.0.0.1"]
    with socket.create_server(("127.0.0.1", 0)) as door:
        port = door.getsockname()[1]
    hook(cast, f"http://127.0.0.1:{port}/")
    cast.repository("alice/reviews")
    send_all()
    row = Delivery.objects.get()
    assert (row.state, row.status) == ("waiting", None)
    assert "Could not connect" in row.log[0]["problem"]


@pytest.mark.django_db(transaction=True)
def test_two_workers_send_one_message_once(cast, listener: Listener):
    hook(cast, listener.url)
    cast.repository("alice/reviews")
    number = Delivery.objects.get().pk  # the commit told the worker

    def deliver(_: int) -> None:
        try:
            jobs.deliver(number)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(deliver, range(8)))
    assert len(listener.heard) == 1
    assert Delivery.objects.get().state == "sent"


def test_a_worker_that_died_with_a_message_is_replaced(cast, listener: Listener):
    hook(cast, listener.url)
    cast.repository("alice/reviews")
    dispatch.run()
    number = Delivery.objects.get().pk
    late = deliveries.claim(number)
    assert deliveries.sweep() == 0  # taken, and its lease is not over
    Delivery.objects.update(due_at=timezone.now())
    assert deliveries.sweep() == 1
    assert [number] == NOTIFIED
    jobs.deliver(number)
    deliveries.record(late, {"status": 500, "answer": "late"})
    assert Delivery.objects.get().state == "sent"
    assert len(listener.heard) == 1


def test_the_owner_has_a_message_sent_once_more(cast, listener: Listener):
    one = hook(cast, listener.url)
    other = hook(cast, listener.url, ("user", "bob"), who="bob")
    cast.repository("alice/reviews")
    send_all()
    first = Delivery.objects.get()
    deliveries.redeliver(one, first.pk)
    send_all()
    assert listener.heard[0].json == listener.heard[1].json
    with pytest.raises(WebhookNotFound):
        deliveries.redeliver(other, first.pk)


def test_old_messages_are_forgotten(cast, listener: Listener):
    hook(cast, listener.url)
    cast.repository("alice/reviews")
    Delivery.objects.update(created_at=timezone.now() - timedelta(days=deliveries.KEPT_DAYS + 1))
    deliveries.sweep()
    assert not Delivery.objects.exists()


def test_who_takes_nothing_is_told_no_more_and_others_are(cast, listener: Listener, monkeypatch):
    monkeypatch.setattr(deliveries, "MAX_WAITING", 5)
    repository = cast.repository("alice/reviews")
    for _ in range(3):
        hook(cast, "http://127.0.0.1:1/", who="carol")
    fine = hook(cast, listener.url)
    for number in range(4):
        pushed(cast, repository, f"{number}.txt")
    dispatch.run()
    assert Delivery.objects.filter(webhook__owner=cast["carol"]).count() == 5
    assert fine.deliveries.count() == 4
    mine = Delivery.objects.filter(webhook__owner=cast["carol"]).first()
    with pytest.raises(TooOften):
        deliveries.redeliver(mine.webhook, mine.pk)


def test_of_many_messages_the_newest_are_kept_and_what_waits(cast, listener: Listener, monkeypatch):
    monkeypatch.setattr(deliveries, "KEPT", 2)
    mine, repository = hook(cast, listener.url), cast.repository("alice/reviews")
    dispatch.run()
    waits = mine.deliveries.get()
    Delivery.objects.filter(pk=waits.pk).update(due_at=timezone.now() + timedelta(hours=1))
    for number in range(4):
        pushed(cast, repository, f"{number}.txt")
        send_all()
    kept = list(verbs.deliveries(mine).values_list("state", flat=True))
    assert kept == ["sent", "sent", "waiting"]


def test_one_persons_slow_addresses_leave_threads_to_others(cast, listener: Listener, monkeypatch):
    repository = cast.repository("alice/reviews")
    for who in ("carol", "alice"):
        for _ in range(jobs.AT_ONCE + 2 if who == "carol" else 1):
            hook(cast, listener.url, who=who)
    pushed(cast, repository)
    dispatch.run()
    numbers = Delivery.objects.order_by("pk").values_list("pk", flat=True)
    slow, fine = list(numbers.filter(webhook__owner=cast["carol"])), list(numbers.filter(webhook__owner=cast["alice"]))
    begun: list[int] = []

    def slowly(number: int) -> None:
        begun.append(number)  # and while it lasts, the others come
        for other in [*slow, *fine] if len(begun) == jobs.AT_ONCE else slow[len(begun) :][:1]:
            jobs.deliver(other)

    monkeypatch.setattr(jobs, "_deliver", slowly)
    jobs.deliver(slow[0])
    assert begun == [*slow[: jobs.AT_ONCE], *fine]
    later = numbers.filter(due_at__gt=timezone.now())
    assert {*slow[jobs.AT_ONCE :]} <= {*later}
    assert not {*fine} & {*later}


def test_who_is_suspended_hears_nothing_more(cast, listener: Listener):
    hook(cast, listener.url, ("user", "alice"), who="carol")
    cast.repository("alice/reviews")
    User.objects.filter(username="carol").update(is_active=False)
    send_all()
    assert listener.heard == []


# --- where never -----------------------------------------------------------------------------------------------------
INSIDE = """
    127.0.0.1 127.1.2.3 0.0.0.0 10.0.0.1 172.16.0.1 172.31.255.255 192.168.1.1 169.254.169.254 100.64.0.1
    100.127.255.255 192.0.0.1 192.0.2.1 198.18.0.1 198.51.100.7 203.0.113.9 224.0.0.1 239.255.255.255
    240.0.0.1 255.255.255.255 ::1 :: fe80::1 fc00::1 fd12:3456::1 fec0::1 ff02::1 2001:db8::1 ::ffff:127.0.0.1
    ::ffff:10.0.0.1 ::ffff:169.254.169.254 64:ff9b::7f00:1 64:ff9b::a9fe:a9fe 2002:7f00:1:: 2002:a00:1::
    2001:0:4136:e378:8000:63bf:80ff:fffe
""".split()  # noqa: SIM905  # a table reads better
OUTSIDE = ["1.1.1.1", "8.8.8.8", "2606:4700:4700::1111", "::ffff:1.1.1.1", "64:ff9b::808:808", "2002:808:808::"]


@sweep("address", INSIDE)
def test_an_address_inside_is_refused_at_once_and_when_a_name_leads_there(cast, monkeypatch, address):
    host = f"[{address}]" if ":" in address else address
    with pytest.raises(ValueInvalid, match="private network"):
        hook(cast, f"http://{host}/")
    with pytest.raises(outbound_http.Unreachable, match="private network"):
        outbound_http.post(f"http://{host}/", b"", {})
    answer_names_with(monkeypatch, [address])
    with pytest.raises(outbound_http.Unreachable) as refusal:
        outbound_http.post("http://innocent.example/", b"", {})
    assert str(refusal.value) == CANNOT.format("innocent.example:80")


CANNOT = "{} cannot be called: it has no public address with port 80 or 443, nor one allowed here."


def test_whether_a_name_is_known_inside_is_told_to_nobody(cast, monkeypatch):
    def unknown(*_, **__):
        raise socket.gaierror(-2, "Name or service not known")

    answer_names_with(monkeypatch, ["10.1.2.3"])
    hook(cast, "http://db.internal/")
    cast.repository("alice/reviews")
    send_all()
    monkeypatch.setattr("registry.kernel.outbound_http.socket.getaddrinfo", unknown)
    Delivery.objects.update(due_at=timezone.now())
    send_all()
    told = {attempt["problem"] for attempt in Delivery.objects.get().log}
    assert told == {CANNOT.format("db.internal:80")}


@sweep(
    "url", ["http://db.internal:5432/", "https://example.org:8443/", "http://8.8.8.8:22/", "http://[2606:4700::1]:81/"]
)
def test_other_ports_than_those_of_the_web_are_refused(cast, url):
    with pytest.raises(ValueInvalid, match="neither 80 nor 443"):
        hook(cast, url)


def test_a_port_of_a_public_host_is_called_only_where_the_operator_names_it(cast, settings, monkeypatch):
    settings.WEBHOOK_ALLOW = ["hooks.example:8443"]
    public = ip_address("8.8.8.8")
    assert outbound_http.may_reach("Hooks.example", public, 8443)
    assert not outbound_http.may_reach("hooks.example", public, 8444)
    assert not outbound_http.may_reach("other.example", public, 8443)
    answer_names_with(monkeypatch, ["8.8.8.8"])
    with pytest.raises(outbound_http.Unreachable) as refusal:
        outbound_http.post("https://hooks.example:22/", b"", {})
    assert str(refusal.value) == CANNOT.format("hooks.example:22")


@pytest.mark.parametrize("address", OUTSIDE)
def test_an_address_of_the_internet_is_none_of_these(address):
    assert outbound_http.may_reach("example.org", ip_address(address), 443)


@pytest.mark.parametrize("spelled", ["2130706433", "0x7f000001", "0177.0.0.1", "127.1", "localhost", "LOCALHOST."])
def test_other_spellings_of_this_machine_are_refused_when_they_are_resolved(spelled):
    with pytest.raises(outbound_http.Unreachable, match="has no public address"):
        outbound_http.post(f"http://{spelled}/", b"", {})


@sweep("url", [
    "ftp://example.org/", "file:///etc/passwd", "gopher://example.org", "http://", "//example.org", "example.org",
    "http://user:pw@example.org/", "http://example.org:0/", "http://example.org:99999/", "http://exa mple.org/",
    "http://example.org/\r\nX: y", "http://[::1", "http://example.org/" + "a" * 1000, "http://exämple.org/", "",
])  # fmt: skip
def test_what_is_no_address_is_refused(cast, url):
    with pytest.raises(ValueInvalid):
        hook(cast, url)
    with pytest.raises(outbound_http.Unreachable):
        outbound_http.post(url, b"", {})


def test_a_name_with_one_address_inside_is_refused_whole(monkeypatch):
    answer_names_with(monkeypatch, ["1.1.1.1", "10.0.0.1"])
    with pytest.raises(outbound_http.Unreachable, match="has no public address"):
        outbound_http.post("http://two.example/", b"", {})


def test_a_name_is_resolved_once_and_what_it_means_later_does_not_matter(monkeypatch, listener: Listener, settings):
    settings.WEBHOOK_ALLOW = ["127.0.0.1"]
    asked = answer_names_with(monkeypatch, ["127.0.0.1"], ["10.0.0.1"])
    outbound_http.post(f"http://rebinding.example:{listener.port}/", b"{}", {})
    assert asked == ["rebinding.example"]
    assert listener.heard[0].headers["host"] == f"rebinding.example:{listener.port}"


def test_a_redirect_is_an_answer_and_is_not_followed(cast, listener: Listener):
    hook(cast, listener.url)
    cast.repository("alice/reviews")
    listener.answers = [(307, {"Location": "http://127.0.0.1:1/inside"}, b"")]
    send_all()
    row = Delivery.objects.get()
    assert (row.status, row.state, len(listener.heard)) == (307, "waiting", 1)


def test_proxies_of_the_environment_are_not_asked(monkeypatch, listener: Listener):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    assert outbound_http.post(listener.url, b"{}", {}).status == 200


def test_an_answer_that_drips_is_cut_off(settings):
    settings.WEBHOOK_ALLOW = ["127.0.0.1"]
    with dripping() as url, pytest.raises(outbound_http.Unreachable, match="No answer within 1 s"):
        outbound_http.post(url, b"{}", {}, seconds=1)


def test_of_a_long_answer_only_the_beginning_is_kept(cast, listener: Listener):
    hook(cast, listener.url)
    cast.repository("alice/reviews")
    listener.answers = [(200, {}, b"\x00<b>" * 1_000_000)]
    send_all()
    assert len(json.dumps(Delivery.objects.get().log)) < 20_000


def test_the_operator_may_allow_hosts_and_networks(cast, settings):
    settings.WEBHOOK_ALLOW = ["10.1.0.0/16", "ci.internal"]
    address = ip_address("192.168.1.1")
    assert outbound_http.may_reach("CI.internal", address, 8080)
    assert not outbound_http.may_reach("other.internal", address, 80)
    hook(cast, "http://10.1.2.3/")
    with pytest.raises(ValueInvalid):
        hook(cast, "http://10.2.0.1/")


def answer_names_with(monkeypatch, *answers: list[str]) -> list[str]:
    """Let the resolver answer each question with the next list, and return the names it is asked for."""
    asked: list[str] = []

    def getaddrinfo(host, port, *_, **__):
        asked.append(host)
        found = answers[min(len(asked), len(answers)) - 1]
        family = [socket.AF_INET6 if ":" in one else socket.AF_INET for one in found]
        return [(kind, socket.SOCK_STREAM, 6, "", (one, port)) for kind, one in zip(family, found, strict=True)]

    monkeypatch.setattr("registry.kernel.outbound_http.socket.getaddrinfo", getaddrinfo)
    return asked


# --- whose -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("wish", "problem"),
    [
        ({"watched": []}, "1 to 100"),
        ({"watched": [("user", f"u{n}") for n in range(101)]}, "1 to 100"),
        ({"watched": [("planet", "x")]}, "planet"),
        ({"watched": [("model", "no-namespace")]}, "namespace"),
        ({"domains": ["weather"]}, "weather"),
        ({"secret": "line\nbreak"}, "header"),
        ({"secret": "x" * 300}, "header"),
    ],
)
def test_a_wish_that_cannot_be_is_refused(cast, wish, problem):
    whole = {"url": "https://example.org/", "watched": [("user", "alice")], "domains": []} | wish
    with pytest.raises((ValueInvalid, NameInvalid), match=problem):
        verbs.create(Wish(**whole), cast.session("alice"))
    assert not Webhook.objects.exists()


def test_webhooks_are_their_owners_alone(cast):
    one = hook(cast, "https://example.org/")
    with pytest.raises(WebhookNotFound):
        verbs.find(one.pk, cast.session("bob"))
    with pytest.raises(SignInRequired):
        verbs.find(one.pk, cast.session("anonymous"))
    with pytest.raises(NotAllowed):
        verbs.mine(tokens.caller_of(cast.token("alice", "read")))
