"""Odd input at every route × method of the routing table: a refusal is fine, an accident (500) never is.

Each request happens in a savepoint that is rolled back, so nothing it does reaches the next one. The same file runs
again on PostgreSQL, in a process of its own: there every route gets all values that a database may refuse, and each
route gets other ones of the rest.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pytest
from django.db import connection, transaction
from django.test import Client

from hub.about import PORT
from hub.api import views
from hub.api.streams import KIND
from hub.hf import bodies
from registry.kernel.policy import Caller
from registry.models import Repository
from registry.publish import push
from registry.publish.push import Inline, Intent
from registry.talk import dispatch
from tests import of_features
from tests.cast import Cast, assemble, signed_in
from tests.registry.test_routes import rows

pytestmark = pytest.mark.night

Odd = TypeVar("Odd")
LONE = "\\ud800"
ODD_PARTS = (
    *("%00", "a%00b", "%ED%A0%80", "%FF", "..", "%2e%2e", "a%2Fb", "%5C..%5C", ".git", "caf%C3%A9", "%E2%80%AE", "%25"),
    *("refs%2Fheads%2Fmain", "refs%2Fverified", "verified", "HEAD", "-1", "0", "9" * 40, "a" * 2000, "%0d%0aX-Evil: 1"),
    *("'%22;--", "%7B%7B7*7%7D%7D", "%F0%9F%A6%8A", "%C4%B0", "abcde", "?", "%3F", ";a=b", "~"),
)
ODD_QUERIES = (
    "q=%00&search=%00&author=%00&filter=%00&base=%00&tag=%00&kind=%00&task=%00&license=%00&verdict=%00",
    "q=%ED%A0%80&search=%FF&author=%FF&filter=%FF&cursor=%FF&sort=%FF&rev=%00",
    "limit=-1&cursor=x", "limit=99999999999999999999&rank_min=99999999999999999999", "limit=1e3", "limit=%D9%A3",
    "cursor=%00", "cursor=" + "A" * 300, "sort=__class__&sort=%00", "expand=lastCommit&expand=1&recursive=1",
    "filter=" + ",".join(f"t{n}" for n in range(1500)), "tag=" + "&tag=".join(f"t{n}" for n in range(900)),
    "author=" + "&author=".join(f"t{n}" for n in range(700)), "q=" + "+".join("%25_\\"[:4] for _ in range(300)),
    "search=" + "%25" * 900, "facets=maybe&rank_min=x", "ticket=%00", "ticket=a:b:c", "ticket=%ED%A0%80", "was=%00",
    "next=//evil.example", "create_pr=1", "since=-1", "actor=%00", "rev=%ED%A0%80", "view=..",
    "blobs=1&full=1&config=1",
)  # fmt: skip
DEEP = b'{"a":' * 60_000
ODD_VALUES = (
    f'"{LONE}"', '"\\u0000"', '"a\\u0000b/c"', f'"a/{LONE}"', f'"{LONE}/a"', "null", "true", "-1", "1e999", "NaN", "[]",
    "{}", "[[]]", '[{"path": null}]', "9" * 30, '"' + "x" * 5000 + '"', f'["{LONE}"]', '["\\u0000"]', '"../../etc"',
    f'[{{"path": "{LONE}", "size": 1, "oid": "{LONE}"}}]', '[{"path": "a\\u0000", "size": 1, "oid": "\\u0000"}]',
    f'[{{"path": "x", "size": {"9" * 30}, "oid": "{"a" * 64}"}}]',
    f'[{{"path": "x", "size": -5, "oid": "{"a" * 64}"}}]',
    f'[{{"path": "x", "size": {(1 << 63) - 1}, "oid": "{"a" * 64}"}}]', f'{{"{LONE}": "read"}}', '{"a/b/c": "write"}',
)  # fmt: skip
MEMBERS = (
    *("name", "organization", "type", "private", "visibility", "path", "paths", "files", "objects", "operation", "tag"),
    *(
        "startingPoint",
        "summary",
        "credentials",
        "role",
        "repos",
        "expires_at",
        "reason",
        "note",
        "revision",
        "content",
    ),
    *("gitIgnore", "hash_algo", "title", "message", "expand", "gated", "repoType"),
    *("item", "namespace", "theme", "position", "watched", "domains", "url", "secret", "user", "requestId", "status"),
)
SANE = {"name": "public", "organization": "acme", "operation": "upload", "tag": "v9", "reason": "x", "role": "read"}
SANE |= {"files": [], "objects": [], "paths": [], "credentials": [], "content": "", "pullRequest": True}
HEADER = b'{"key": "header", "value": {"summary": "x"}}\n'
ODD_BODIES = (
    *(b"", b"{", b"[]", b"null", b"\xff\xfe", b"\x00", b"{}", b"1" * 9000, DEEP, b"[" * 60_000, b'{"a":1,"a":2}'),
    *(b'{"key": "header", "value": {"summary": "%s"}}' % word for word in (b"\\ud800", b"\\u0000", b"")),
    b'{"key": "header", "value": {"summary": "x", "description": "\\ud800\\u0000", "parentCommit": "\\ud800"}}',
    *(HEADER + b'{"key": "%s", "value": {"path": "%s", "oid": "%s", "size": %s, "content": "%s"}}' % line for line in (
        (b"file", b"\\ud800", b"", b"1", b"YQ=="), (b"file", b"a\\u0000", b"", b"1", b"YQ=="),
        (b"file", b"x", b"", b"1", b"\\ud800"), (b"lfsFile", b"x", b"\\ud800", b"1", b""),
        (b"lfsFile", b"x", b"a" * 64, b"9" * 40, b""), (b"deletedFile", b"\\ud800", b"", b"1", b""),
        (b"deletedFolder", b"", b"", b"1", b""), (b"\\ud800", b"x", b"", b"1", b""),
        (b"file", b"/".join([b"d"] * 40), b"", b"1", b"YQ=="), (b"file", b"adapter_config.json/x", b"", b"1", b"YQ=="),
    )),
)  # fmt: skip
ODD_KINDS = (
    "text/plain",
    "application/x-www-form-urlencoded; charset=x",
    "multipart/form-data",
    "multipart/x;boundary=",
)
ODD_HEADERS = (
    {"authorization": "Basic " + "A" * 5}, {"authorization": "Basic //8="}, {"authorization": "Bearer \xff\xfe"},
    {"authorization": "Bearer"}, {"authorization": ""}, {"authorization": "Bearer " + "x" * 5000},
    {"range": "bytes=-0"}, {"range": "bytes=5-1"}, {"range": "bytes=99999999999999999999-"}, {"range": "x"},
    {"range": "bytes=0-0,5-6"}, {"host": "evil.example"}, {"host": "a b"}, {"host": "127.0.0.1:99999999"},
    {"if-none-match": '"\xff'}, {"if-modified-since": "Sat, 99 Foo 99999 99:99:99 GMT"}, {"accept": "x/y;q=\xff"},
    {"content-encoding": "gzip"}, {"x-request-id": "a\tb" * 100}, {"cookie": f"dovetail_{PORT}=\xff; theme=\"'><"},
    {"x-forwarded-host": "evil", "x-forwarded-for": "\x00,,,", "forwarded": "for=_"}, {"accept-language": "x-" * 500},
    {"transfer-encoding": "chunked"},
)  # fmt: skip
# What an author may write into the files that pages and answers are made of.
HOSTILE_CONFIG = {
    "peft_type": "LORA", "base_model_name_or_path": ["a", {}], "task_type": "<b>", "r": -(2**52), "lora_alpha": "x",
    "target_modules": ["<script>", 5, None], "rank_pattern": {"((a+)+)+": -1}, "modules_to_save": [["x"]],
}  # fmt: skip
HOSTILE_CARD = '---\nlicense: ["\\ud800", 1]\ntags: ["\\0", {}]\nbase_model: "\\uD800"\npipeline_tag: [[x]]\n---\n# \0 [x](http://[)'


@pytest.fixture
def asker(db, settings, tmp_path) -> "Asker":
    settings.BLOBS = f"file://{tmp_path / 'blobs'}"
    settings.DOORBELL = "tests.registry.test_upkeep.notify"
    settings.ALLOWED_HOSTS = ["testserver", "127.0.0.1"]
    return Asker(assemble())


class Asker:
    """Sends requests as alice, who may do everything in acme, and notes each accident instead of stopping at it."""

    def __init__(self, cast: Cast) -> None:
        hostile = {"adapter_config.json": json.dumps(HOSTILE_CONFIG).encode(), "README.md": HOSTILE_CARD.encode()}
        for type in ("model", "dataset"):
            made = cast.repository("acme/public", type=type)
            intent = Intent(made, "refs/heads/main", Caller(user=cast["alice"]), title="odd")
            push.receive(intent, [Inline(path, content) for path, content in hostile.items()])
        self.cast = cast
        self._token = cast.token("alice")
        self._browsers = {name: Client(raise_request_exception=False) for name in ("token", "alice", "ada")}
        for name in ("alice", "ada"):
            signed_in(self._browsers[name], cast[name])
        self.accidents: list[str] = []
        self.settle()

    def settle(self) -> None:
        """Handle what the events of the preparation ask for; else each page does so again, as it is rolled back."""
        dispatch.run()

    def ask(self, method: str, path: str, body: bytes = b"", kind: str = "application/json", **headers: str) -> Any:
        name = (
            "ada"
            if "/moderation/" in path or "/quotas/" in path
            else "token"
            if path.startswith(("/api/", "/xet")) or ".git/" in path
            else "alice"
        )
        needs_session = path.startswith("/api/v1/me/") or path.partition("?")[0].endswith(
            ("/robots", "/tokens", "/publishers")
        )
        name = "alice" if needs_session and method == "POST" else name
        signed = {"authorization": f"Bearer {self._token}"} if name == "token" else {}
        with transaction.atomic():
            answer = self._browsers[name].generic(method, path, body, kind, headers=signed | headers)
            if answer.get("Content-Type") == KIND:
                for close in answer._resource_closers:  # type: ignore[attr-defined]  # of an endless stream
                    close()
                shown = b""
            else:
                shown = b"".join(answer) if answer.streaming else answer.content
            transaction.set_rollback(True)
        if answer.status_code >= 500 and answer.status_code != 501:
            what = f"{method} {path[:150]} {body[:120]!r} {headers}"
            why = getattr(answer, "exc_info", None) or shown[:80]
            self.accidents.append(f"{answer.status_code} {what}: {why}")
        assert all("\n" not in value and "\r" not in value for value in answer.headers.values()), (method, path)
        return answer


def addresses(*methods: str) -> Iterator[tuple[str, str]]:
    for address, method, permission, _ in rows():
        if permission not in {"admin", "machine"} and address != "readyz" and (not methods or method in methods):
            yield ("GET" if method == "*" else method), "/" + address


# Values that a database may refuse or compare in its own way: NUL, half characters, numbers and dates out of range,
# syntax of searches, letters whose case folds differently; and headers whose values are stored or looked up.
REFUSED_BY_DATABASES = re.compile(
    r"%00|u0000|x00|ud800|%ED%A0%80|%FF|xff|\d{10}|1e\+?\d|nan|inf|-\d\b|\d{4}-\d\d-\d\d|%5C|%22|%25|%C4%B0"
    r"|authorization|cookie|forwarded|x-request-id",
    re.IGNORECASE,
)
# 1 takes all that a test means to take: a quarter of an hour of processor time.
ODD_VALUES_ONE_IN = int(os.environ.get("ODD_VALUES_ONE_IN", "20"))
LONG = 250  # more characters than the shortest names may have


def some(odd: Sequence[Odd], turn: int, one_in: int, value: Callable[[Odd], object] = lambda odd: odd) -> list[Odd]:
    """One in so many of them, others at each turn: every input meets every face of the hub, in bearable time.

    A usual run takes a twentieth of these (`ODD_VALUES_ONE_IN`), where it does not take all. On PostgreSQL these are
    the values that databases refuse, and a fifth of those that never tell databases apart.
    """
    one_in *= ODD_VALUES_ONE_IN if one_in > 1 else 1
    chosen = odd[turn % one_in :: one_in]
    if connection.vendor != "postgresql":
        return list(chosen)
    places = enumerate(chosen, turn // one_in)
    return [one for place, one in places if place % 5 == 0 or may_be_refused_by_databases(value(one))]


def in_turn(odd: Sequence[Odd], turn: int, count: int) -> Sequence[Odd]:
    """So many of a few values, the next ones at each turn: each input gets some, and each value its inputs."""
    return odd if ODD_VALUES_ONE_IN == 1 else [odd[(turn * count + at) % len(odd)] for at in range(count)]


def may_be_refused_by_databases(value: object) -> bool:
    written = value if isinstance(value, str) else ascii(value)
    return len(written) > LONG or REFUSED_BY_DATABASES.search(ascii(written)) is not None


LISTS = {"/adapters", "/api/v1/adapters", "/api/models"}
GIVEN = {"ns": "acme", "name": "public", "full_name": "acme/public", "rev": "main", "path": "README.md", "org": "acme"}
GIVEN |= {"tail": "main", "user": "erin", "id": "1", "token_id": "1", "number": "1", "topic": "x", "rest": "main/x"}


def filled(address: str, **odd: str) -> str:
    return re.sub(r"<(\w+)>", lambda match: odd.get(match[1]) or GIVEN.get(match[1], "x"), address)


def test_no_odd_part_of_an_address_is_an_accident(asker):
    for turn, (method, address) in enumerate(addresses()):
        for number, part in enumerate(sorted(set(re.findall(r"<(\w+)>", address)))):
            for odd in some(ODD_PARTS, turn + number, 5):
                asker.ask(method, filled(address, **{part: odd}))
    assert asker.accidents == []


def test_no_odd_query_is_an_accident(asker):
    for turn, (method, address) in enumerate(addresses("GET", "POST", "PUT")):
        for query in some(ODD_QUERIES, turn, 1 if address in LISTS else 6):
            asker.ask(method, f"{filled(address)}?{query}")
    assert asker.accidents == []


def test_no_odd_header_is_an_accident(asker):
    for turn, (method, address) in enumerate(addresses("GET", "POST")):
        for headers in some(ODD_HEADERS, turn, 4):
            asker.ask("HEAD" if method == "GET" and turn % 3 else method, filled(address), **headers)
    assert asker.accidents == []


def test_no_odd_body_is_an_accident(asker):
    for turn, (method, address) in enumerate(addresses("POST", "PUT", "DELETE")):
        path = filled(address)
        for body in some(ODD_BODIES, turn, 1 if "/commit/" in address else 3):
            asker.ask(method, path, body)
        fields = b"paths=%00&paths=%ED%A0%80&username=%00&name=%00&expires=9999-12-31"
        for kind in in_turn(ODD_KINDS, turn, 1):
            asker.ask(method, path, fields, kind)
    assert asker.accidents == []


class Watched(dict):
    """A JSON object that notes which of its members are read."""

    def __init__(self, members: dict[str, Any], read: set[str]) -> None:
        super().__init__(members)
        self.read = read

    def get(self, name: str, default: Any = None) -> Any:
        self.read.add(name)
        return super().get(name, default)

    def __getitem__(self, name: str) -> Any:
        self.read.add(name)
        return super().__getitem__(name)

    def __contains__(self, name: object) -> bool:
        self.read.add(str(name))
        return super().__contains__(name)

    def pop(self, name: str, *default: Any) -> Any:
        self.read.add(name)
        return super().pop(name, *default)

    def __iter__(self) -> Iterator[str]:
        self.read.update(MEMBERS)
        return super().__iter__()

    def keys(self) -> Any:
        self.read.update(MEMBERS)
        return super().keys()

    def values(self) -> Any:
        self.read.update(MEMBERS)
        return super().values()

    def items(self) -> Any:
        self.read.update(MEMBERS)
        return super().items()


@pytest.fixture
def read(monkeypatch) -> set[str]:
    """The members of JSON bodies that were read; an odd value of any other member can change nothing."""
    read: set[str] = set()

    def watch(parse: Callable[..., Any]) -> Callable[..., Any]:
        def watching(*given: Any) -> Any:
            body = parse(*given)
            return Watched(body, read) if isinstance(body, dict) else body

        return watching

    monkeypatch.setattr(bodies, "json_object", watch(bodies.json_object))
    monkeypatch.setattr(views.Json, "parse", watch(views.Json.parse))
    return read


def test_no_odd_member_of_a_json_body_is_an_accident(asker, read):
    members_read = 0
    for turn, (method, address) in enumerate(addresses("POST", "PUT", "DELETE")):
        if not address.startswith("/api"):
            continue
        read.clear()
        asker.ask(method, filled(address), json.dumps(SANE).encode())
        for number, member in enumerate(member for member in MEMBERS if member in read):
            members_read += 1
            sane = json.dumps({key: value for key, value in SANE.items() if key != member})
            for odd in some(ODD_VALUES, turn + number, 6):
                asker.ask(method, filled(address), f'{{"{member}": {odd}, {sane[1:]}'.encode())
    assert members_read > 60, "what reads the bodies is no longer watched"
    assert asker.accidents == []


ODD_FIELDS = (
    "%00",
    "a%00b",
    "%ED%A0%80",
    "%FF",
    "x" * 3000,
    "%E2%80%AE",
    "9999-12-31",
    "0000-00-00",
    "-1",
    "%0d%0a",
    "9" * 30,
)
FORMS_OF_PEOPLE = (  # address, the fields
    ("/organizations/new", ("name", "full_name", "visibility")),
    ("/organizations/acme/settings/role", ("username", "role")),
    ("/organizations/acme/settings/invite", ("username", "role")),
    ("/organizations/acme/settings/remove", ("username",)),
    ("/organizations/acme/settings/withdraw", ("username",)),
    ("/organizations/acme/settings/details/delete", ("confirm",)),
    ("/organizations/acme/settings/details/change", ("full_name", "visibility")),
    ("/settings/notifications/read", ("up_to",)),
    ("/settings/notifications/mail", ("mail",)),
    ("/settings/webhooks", ("url", "watched", "domains", "secret")),
    ("/collections/new", ("owner", "title", "description")),
    ("/acme/public/discussions/new", ("title", "text", "type")),
    ("/acme/public/discussions/1/comment", ("text",)),
    ("/acme/public/discussions/1/close", ("text",)),
    ("/acme/public/discussions/1/rename", ("title",)),
    ("/acme/public/discussions/1/comments/1/edit", ("text",)),
    ("/acme/public/access/gate", ("gate",)),
    ("/acme/public/access/grant", ("grant",)),
    ("/acme/public/access/requests/1/reject", ("reason",)),
    ("/acme/public/settings/visibility", ("visibility",)),
    ("/acme/public/settings/delete", ("confirm",)),
    ("/organizations/acme/settings/details/rename", ("name",)),  # last: some of the odd names are names
)


def test_no_odd_field_of_a_form_of_people_is_an_accident(asker):
    form = "application/x-www-form-urlencoded"
    asker.cast.thread(Repository.objects.get(type="model"), "alice")
    asker.settle()
    for turn, (path, fields) in enumerate(FORMS_OF_PEOPLE):
        for number, field in enumerate(fields):
            for odd in in_turn(ODD_FIELDS, turn + number, 2):
                body = "&".join(f"{name}={odd if name == field else 'bob'}" for name in fields)
                asker.ask("POST", path, body.encode(), form)
    assert asker.accidents == []


def test_no_odd_field_of_a_form_is_an_accident(asker):
    forms = {"/join": ("username", "email", "password1", "password2"), "/login": ("username", "password", "next")}
    forms |= {"/settings/profile": ("full_name", "email")}
    forms |= {"/settings/tokens": ("name", "role", "expires"), "/settings/password": ("old", "password1", "password2")}
    forms |= dict(of_features.rows("FORMS"))
    nobody = Client(raise_request_exception=False)
    for turn, (path, fields) in enumerate(forms.items()):
        if path in ("/join", "/login"):
            asker._browsers["alice"] = nobody
        for number, field in enumerate(fields):
            for odd in in_turn(ODD_FIELDS, turn + number, 2):
                body = "&".join(f"{name}={odd if name == field else 'correct-horse-9'}" for name in fields)
                asker.ask("POST", path, body.encode(), "application/x-www-form-urlencoded")
    assert asker.accidents == []


def run_on_postgresql(file: str, server: str, *arguments: str) -> None:
    """Run the tests of a file once more, on PostgreSQL, with a third of the values of a usual run."""
    one_in = 1 if ODD_VALUES_ONE_IN == 1 else 3 * ODD_VALUES_ONE_IN
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DOVETAIL_", "PYTEST_"))}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not postgres", file, *arguments],
        env=kept | {"DOVETAIL_DATABASE_URL": server, "ODD_VALUES_ONE_IN": str(one_in)},
        cwd=Path(__file__).resolve().parent.parent,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    assert " passed" in done.stdout


@pytest.mark.postgres
@pytest.mark.timeout(1800)
def test_no_odd_input_is_an_accident_on_postgresql_either(postgres_server):
    run_on_postgresql(__file__, postgres_server)
