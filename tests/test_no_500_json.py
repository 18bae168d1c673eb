"""Every JSON body of the hub with each of its values replaced by values of other types: refused or taken, never 500.

The bodies below are valid. Each member, at every depth, is replaced by each odd value; the order is fixed, so a failure
repeats.
"""

import copy
import json
import re
from collections.abc import Iterator
from operator import itemgetter
from typing import Any

import pytest
from django.apps import apps
from django.urls import resolve

from dovetail.adapters.shapes.fit import Manifest, Module, Shapes, encode
from registry.kernel.policy import Caller
from registry.kernel.texts import cursors
from registry.models import Base, DiscussionEvent, Organization, Repository, User
from registry.people import gates
from registry.people.organizations import teams
from registry.proof import fit
from registry.publish import push
from registry.publish.push import Inline, Intent
from tests import of_features
from tests.api.document import document
from tests.cast import assemble
from tests.test_no_500 import Asker, addresses, filled, run_on_postgresql, some

GPT2 = "openai-community/gpt2"
NUL = "a\0b"
LONE_SURROGATE = "\ud800"
ODD_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2**31, 2**63, 10**30, -(10**30), 1.5, -0.0, 1e308, float("inf"), float("nan")),
    *("", "x", "1", NUL, LONE_SURROGATE, "x" * 5000, "9999-12-31T23:59:59Z", "../..", "😀"),
    *([], [8], ["x"], [[]], [None], [{}], {}, {"x": 8}, {"": {"x": [{}]}}, {"x": None}, [NUL], {NUL: NUL}),
)  # fmt: skip
REST: dict[tuple[str, str], Any] = {
    ("POST", "/api/v1/lookup"): {"sha256": ["a" * 64]},
    ("POST", "/api/v1/me/tokens"): {
        "name": "ci", "role": "fine-grained", "expires_at": "2030-01-01T00:00:00Z", "repos": {"acme/public": "read"},
    },
    ("POST", "/api/v1/organizations"): {"name": "lab", "full_name": "Lab", "default_visibility": "private"},
    ("PATCH", "/api/v1/organizations/acme"): {"name": "acme2", "full_name": "A", "default_visibility": "private"},
    ("PUT", "/api/v1/organizations/acme/members/bob"): {"role": "read"},
    ("PUT", "/api/v1/organizations/acme/invitations/carol"): {"role": "read"},
    ("POST", "/api/v1/adapters/acme/public/yank"): {"revision": "main", "reason": "x"},
    ("POST", "/api/v1/adapters/acme/public/revisions/main/regression-override"): {"reason": "x"},
    ("POST", "/api/v1/adapters/acme/public/unyank"): {"revision": "main", "reason": "x"},
    ("PUT", "/api/v1/adapters/acme/public/aliases/prod"): {"revision": "main", "reason": "x", "force": True},
    ("POST", "/api/v1/adapters/acme/public/aliases/prod/rollback"): {"reason": "x"},
    ("PUT", "/api/v1/adapters/acme/public/deprecation"): {"message": "x", "successor": "acme/public"},
    **dict(of_features.rows("BODIES")),
}  # fmt: skip
# Members that clients send and nobody here reads.
UNREAD: dict[str, set[tuple[Any, ...]]] = {
    "/api/models/acme/public/preupload/main": {("files", 0, "sample")},
    "/api/models/acme/public/tag/main": {("message",)},
    "/api/credentials/revoke": {("credentials", 0), ("credentials",)},  # hashed; the answer is the same for all
    **dict(of_features.rows("UNREAD")),
}
DIGEST = "a" * 64
OF_ONE = "/api/models/acme/public"
WEBHOOK = {
    "url": "https://example.org/hook", "watched": [{"type": "model", "name": "acme/public"}], "domains": ["repo"],
    "secret": "s",
}  # fmt: skip
HUB: dict[tuple[str, str], Any] = {
    ("POST", "/api/repos/create"): {
        "name": "made", "organization": "acme", "type": "space", "sdk": "static", "private": True,
        "visibility": "private",
    },
    ("DELETE", "/api/repos/delete"): {"name": "public", "organization": "acme", "type": "model"},
    ("POST", "/api/repos/move"): {"fromRepo": "acme/public", "toRepo": "acme/moved", "type": "model"},
    ("PUT", f"{OF_ONE}/settings"): {"visibility": "private", "private": True, "gated": "auto"},
    ("POST", f"{OF_ONE}/preupload/main"): {
        "files": [{"path": "a.txt", "size": 1, "sample": "YQ=="}], "gitIgnore": "*.tmp",
    },
    ("POST", f"{OF_ONE}/paths-info/main"): {"paths": ["README.md"], "expand": True},
    ("POST", f"{OF_ONE}/branch/next"): {"startingPoint": "main"},
    ("POST", f"{OF_ONE}/tag/main"): {"tag": "v9", "message": "m"},
    ("POST", f"{OF_ONE}/super-squash/main"): {"message": "m"},
    ("POST", f"{OF_ONE}/lfs-files/batch"): {"deletions": {"sha": [DIGEST], "rewriteHistory": True}},
    ("POST", f"{OF_ONE}/lfs-files/duplicate"): {
        "target": {"type": "model", "name": "acme/other"}, "files": [{"sha256": DIGEST, "filename": "x"}],
    },
    ("POST", f"{OF_ONE}/duplicate"): {"repository": "alice/copy", "visibility": "private"},
    ("POST", f"{OF_ONE}/discussions"): {"title": "t", "description": "d", "pullRequest": True},
    ("POST", f"{OF_ONE}/discussions/1/comment"): {"comment": "c"},
    ("POST", f"{OF_ONE}/discussions/1/title"): {"title": "t"},
    ("POST", f"{OF_ONE}/discussions/1/status"): {"status": "closed", "comment": "c"},
    ("POST", f"{OF_ONE}/discussions/1/merge"): {"comment": "c"},
    ("POST", f"{OF_ONE}/discussions/1/comment/{{comment}}/edit"): {"content": "c"},
    ("POST", f"{OF_ONE}/user-access-request/handle"): {
        "user": "carol", "status": "accepted", "rejectionReason": "r",
    },
    ("POST", f"{OF_ONE}/user-access-request/grant"): {"user": "carol"},
    ("POST", "/api/collections"): {"namespace": "acme", "title": "t", "description": "d", "private": True},
    ("PATCH", "{collection}"): {"title": "t", "description": "d", "theme": "blue", "private": True, "position": 1},
    ("POST", "{collection}/items"): {"item": {"type": "model", "id": "acme/public"}, "note": {"text": "n"}},
    ("POST", "/api/settings/webhooks"): WEBHOOK,
    ("POST", "/api/credentials/revoke"): {"credentials": ["hf_x"]},
    ("POST", "/api/validate-yaml"): {"content": "---\nlicense: mit\n---\n", "repoType": "model"},
    ("POST", "/oauth/token"): {
        "grant_type": "urn:ietf:params:oauth:grant-type:device_code", "device_code": "x", "client_id": "x",
    },
    ("POST", "/acme/public.git/info/lfs/objects/batch"): {
        "operation": "upload", "transfers": ["basic"], "hash_algo": "sha256",
        "objects": [{"oid": DIGEST, "size": 1}],
    },
    **dict(of_features.rows("HUB")),
}  # fmt: skip
COMMIT_HEADER = {"key": "header", "value": {"summary": "s", "description": "d", "parentCommit": "abcde"}}
COMMIT_LINES = (
    {"key": "file", "value": {"path": "a.txt", "content": "YQ==", "encoding": "base64"}},
    {"key": "lfsFile", "value": {"path": "a.bin", "algo": "sha256", "oid": DIGEST, "size": 1}},
    {"key": "copyFile", "value": {"path": "b.md", "srcPath": "README.md", "srcRevision": "main"}},
    {"key": "deletedFile", "value": {"path": "README.md"}},
    {"key": "deletedFolder", "value": {"path": "folder/"}},
)


def known_base() -> None:
    """Make a base of one module whose shapes are known, for a fit to look at."""
    base = Base.objects.create(id=GPT2, revision="main", sha256="0" * 64, config={}, has_weights=False)
    modules = {"transformer.h.0.attn.c_attn": Module("Conv1D", 768, 2304, {"weight": (768, 2304), "bias": (2304,)})}
    shapes = encode(Shapes(Manifest(modules, 768, 768, "transformer.wte", "lm_head"), 50257, 1))
    fit.remember(base, "e5", {"transformers": "4", "own_task": "CAUSAL_LM", "tasks": {"CAUSAL_LM": shapes}})


@pytest.fixture
def asker(db, settings, tmp_path) -> Asker:
    settings.BLOBS = f"file://{tmp_path / 'blobs'}"
    settings.DOORBELL = "tests.registry.test_upkeep.notify"
    settings.FIRST_THROTTLE = "off"
    asking = Asker(assemble())
    alice = Caller(user=User.objects.get(username="alice"))
    readme = [Inline("README.md", b"# A\n")]
    repository = Repository.objects.get(namespace__name="acme", name="public", type="model")
    push.receive(Intent(repository, "refs/heads/main", alice, title="start"), readme)
    asking.cast.thread(repository, "alice", alice="How?")
    lists = apps.get_model("registry", "Collection").objects  # of a feature, which tests of the whole hub do not import
    lists.create(key="0" * 24, namespace=repository.namespace, title="Some", created_by=alice.user)
    gates.set_gate(repository, "manual", alice)
    organization = Organization.objects.get(namespace__name="acme")
    teams.create_team(organization, "first", by=alice.user)
    asking.cast.robot(acme__public="read")
    known_base()
    asking.settle()
    return asking


def places(value: Any, here: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of each value inside a JSON document, the whole of it first."""
    yield here
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, member in inner:
        yield from places(member, (*here, key))


def replaced(document: Any, place: tuple[Any, ...], value: Any) -> Any:
    """Return a copy of a document with one value replaced."""
    if not place:
        return value
    changed = copy.deepcopy(document)
    parent = changed
    for key in place[:-1]:
        parent = parent[key]
    parent[place[-1]] = value
    return changed


odd_value = itemgetter(1)  # of what `variants` yields


def variants(document: Any) -> Iterator[tuple[tuple[Any, ...], Any, bytes]]:
    """Yield (place, odd value, body) for every place of a document and every odd value."""
    for place in places(document):
        for value in ODD_VALUES:
            yield place, value, json.dumps(replaced(document, place, value)).encode()


def routes(*tables: dict[tuple[str, str], Any]) -> Iterator[tuple[str, str, Any]]:
    """Yield (method, path, valid body) of each row, with the ids that exist now."""
    comment = DiscussionEvent.objects.filter(kind="comment").get()
    collection = apps.get_model("registry", "Collection").objects.get()
    made = {"comment": cursors.format_hub_id(comment.pk), "collection": f"/api/collections/{collection.slug}"}
    for table in tables:
        for (method, path), body in table.items():
            yield method, path.format(**made), body


def is_nul_in_text(document: Any, place: tuple[Any, ...], value: Any) -> bool:
    """Return whether a string of a document was replaced by one with a NUL."""
    for key in place:
        document = document[key]
    return value == NUL and isinstance(document, str)


def test_a_nul_in_any_text_of_a_body_is_refused(asker):
    for method, path, body in routes(REST, HUB):
        for place, value, odd in variants(body):
            if is_nul_in_text(body, place, value) and place not in UNREAD.get(path, ()):
                answer = asker.ask(method, path, odd)
                if answer.status_code < 400:
                    asker.accidents.append(f"{answer.status_code} {method} {path} {odd}")
    assert asker.accidents == [], "\n".join(asker.accidents)


@pytest.mark.night
def test_a_nul_in_any_address_or_query_is_refused(asker):
    for method, address in addresses():
        for part in set(re.findall(r"<(\w+)>", address)):
            answer = asker.ask(method, filled(address, **{part: "a%00b"}))
            if answer.status_code < 400:
                asker.accidents.append(f"{answer.status_code} {method} {address} {part}")
    assert asker.accidents == [], "\n".join(asker.accidents)


def test_no_odd_value_in_a_rest_body_is_an_accident(asker):
    for turn, (method, path, body) in enumerate(routes(REST)):
        for _, _, odd in some(list(variants(body)), turn, 2, odd_value):
            asker.ask(method, path, odd)
    assert asker.accidents == [], "\n".join(asker.accidents)


def test_no_odd_value_in_a_hub_body_is_an_accident(asker):
    for turn, (method, path, body) in enumerate(routes(HUB)):
        for _, _, odd in some(list(variants(body)), turn, 3, odd_value):
            asker.ask(method, path, odd)
    assert asker.accidents == [], "\n".join(asker.accidents)


def test_no_odd_value_in_a_line_of_a_commit_is_an_accident(asker):
    def lines(*values: Any) -> bytes:
        return b"".join(json.dumps(value).encode() + b"\n" for value in values)

    for place, value, _ in some(list(variants(COMMIT_HEADER)), 0, 3, odd_value):
        asker.ask("POST", f"{OF_ONE}/commit/main", lines(replaced(COMMIT_HEADER, place, value), COMMIT_LINES[0]))
    header = {"key": "header", "value": {"summary": "s"}}
    for turn, line in enumerate(COMMIT_LINES):
        for place, value, _ in some(list(variants(line)), turn, 3, odd_value):
            asker.ask("POST", f"{OF_ONE}/commit/main", lines(header, replaced(line, place, value)))
    assert asker.accidents == [], "\n".join(asker.accidents)


def test_every_rest_route_that_takes_a_body_is_in_the_table_above(asker):
    described = {
        (method.upper(), re.sub(r"\{\w+\}", "{}", path))
        for path, methods in document()["paths"].items()
        for method, operation in methods.items()
        if "requestBody" in operation
    }
    tried = {
        (method, re.sub(r"<[\w:]+>", "{}", f"/{resolve(path.partition('?')[0]).route}"))
        for method, path, _ in routes(REST)
    }
    assert tried == described


@pytest.mark.parametrize(
    ("method", "path", "field"),
    [
        ("POST", "/api/v1/me/tokens", "name"),
        ("POST", "/api/v1/me/tokens", "role"),
        ("POST", "/api/v1/me/tokens", "expires_at"),
        ("POST", "/api/v1/me/tokens", "repos"),
        ("POST", "/api/v1/organizations", "name"),
        ("POST", "/api/v1/organizations", "full_name"),
        ("PATCH", "/api/v1/organizations/acme", "name"),
        ("PUT", "/api/v1/organizations/acme/members/bob", "role"),
        *of_features.rows("TEXTS"),
    ],
)
def test_a_field_of_the_wrong_json_type_is_refused_by_name(asker, method, path, field):
    wrong = ("7", [7], {}, True, 1.5) if field == "up_to" else (7, 1.5, True, [7], {"x": 1})
    for value in wrong:
        answer = asker.ask(method, path, json.dumps(REST[method, path] | {field: value}).encode())
        assert (answer.status_code, answer.json()["code"]) == (400, "value-invalid"), value
        assert field in answer.json()["detail"]


@pytest.mark.night
@pytest.mark.postgres
@pytest.mark.timeout(1800)
def test_no_odd_body_is_an_accident_on_postgresql_either(postgres_server):
    run_on_postgresql(__file__, postgres_server, "-k", "not refused_by_name")  # those are refused before any query
