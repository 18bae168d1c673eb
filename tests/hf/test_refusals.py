"""Bad input on the wire: each refusal has its status, its code and a sentence, and leaves nothing half-written."""

import json
import socket
import subprocess
import tracemalloc
from urllib.parse import urlsplit

import pytest

from registry.models import Blob
from tests.hf.wire import Wire, deleted, file, header, lfs_file, sha256, world
from tests.live import TOKENS
from tests.sweep import sweep

NAME = "alice/reviews"


def refused(response, status: int, code: str, *words: str, hub_code: str = "") -> dict:
    """Assert the one form of a refusal: an object with a sentence and a code, and headers that say the same."""
    assert response.status_code == status, response.content
    said = response.json()
    assert said["code"] == code
    assert response.headers.get("X-Error-Code", "") == hub_code
    for word in words:
        assert word in said["error"], said["error"]
    assert response["X-Error-Message"]
    assert "\n" not in response["X-Error-Message"]
    assert said["detail"]
    assert said["fix"]
    return said


@pytest.fixture
def repo(cast):
    return cast.repository(NAME)


# --- who -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("path", ["/api/whoami-v2", f"/api/models/{NAME}", f"/{NAME}/resolve/main/README.md"])
def test_a_wrong_token_is_refused_and_never_taken_for_nobody(wire: Wire, repo, path):
    response = wire.get(path, who="hf_this_token_is_wrong")
    refused(response, 401, "token-invalid", "Invalid credentials")
    assert response["X-Error-Message"] == "Invalid credentials in Authorization header"


def test_what_a_header_cannot_hold_is_written_otherwise_and_not_as_a_question(wire: Wire, db):
    response = wire.ask("POST", "/api/repos/create", {"name": "mine"}, who=None)
    refused(response, 401, "sign-in-required", "Bearer …")
    assert "Bearer ...`" in response["X-Error-Message"]


def test_a_foreign_namespace_takes_no_repository(wire: Wire):
    response = wire.ask("POST", "/api/repos/create", {"name": "stolen", "organization": "alice"}, who="carol")
    refused(response, 403, "not-allowed", "alice")


def test_a_stranger_may_not_push_and_is_told_so(wire: Wire, repo):
    before = world()
    refused(wire.commit(NAME, header(), file("x.txt"), who="carol"), 403, "not-allowed", "carol", NAME)
    assert world() == before


@pytest.mark.parametrize("name", ["alice/secret", "alice/nothing"])
def test_what_is_private_and_what_is_missing_look_the_same(wire: Wire, cast, name):
    if name == "alice/secret":
        cast.repository(name, private=True)
    for path in (f"/api/models/{name}", f"/{name}/resolve/main/x", f"/api/models/{name}/tree/main"):
        said = refused(wire.get(path, who="nobody"), 401, "adapter-not-found", hub_code="RepoNotFound")
        assert said["error"] == "Invalid username or password."
        assert said["detail"] == f"There is no repository '{name}', or you may not see it."
        refused(wire.get(path, who="carol"), 404, "adapter-not-found", "Repository not found", hub_code="RepoNotFound")
    refused(wire.commit(name, header(), who="carol"), 404, "adapter-not-found", hub_code="RepoNotFound")


def test_a_read_token_may_not_push(wire: Wire, cast, repo):
    before = world()
    refused(wire.commit(NAME, header(), file("x"), who=cast.token("alice", "read")), 403, "not-allowed", "write role")
    assert world() == before


# --- paths -----------------------------------------------------------------------------------------------------------
@sweep(
    "path",
    ["../up", "a/../../b", "a\\b", "..\\d", "nul\0", ".git/config", "a/.GIT/x", "/root", "", "a//b", "x" * 256, "c:x"],
)
def test_an_illegal_path_is_refused_before_and_at_the_push(wire: Wire, repo, path):
    before = world()
    asked = {"files": [{"path": path, "size": 1, "sample": ""}]}
    refused(wire.ask("POST", f"/api/models/{NAME}/preupload/main", asked), 422, "path-invalid", "path")
    refused(wire.commit(NAME, header(), file("fine.txt"), file(path)), 422, "path-invalid", "path")
    assert world() == before


@pytest.mark.parametrize(("one", "other"), [("a", "a/b"), ("a/b", "a"), ("README.md", "readme.md"), ("A/x", "a/y")])
def test_paths_that_cannot_lie_beside_each_other_are_refused(wire: Wire, repo, one, other):
    before = world()
    refused(wire.commit(NAME, header(), file(one), file(other)), 422, "path-invalid", "collides")
    assert world() == before


def test_deleting_what_is_not_there_is_refused(wire: Wire, repo):
    before = world()
    answer = wire.commit(NAME, header(), file("x"), deleted("nothing.txt"))
    refused(answer, 404, "file-not-found", "nothing.txt", hub_code="EntryNotFound")
    assert world() == before


# --- the commit's body -----------------------------------------------------------------------------------------------
BODIES = {
    "empty": b"",
    "no header": json.dumps(file("x")).encode(),
    "two headers": json.dumps(header()).encode() + b"\n" + json.dumps(header()).encode(),
    "truncated": json.dumps(header()).encode() + b"\n" + json.dumps(file("x", b"long" * 99)).encode()[:-40],
    "not json": json.dumps(header()).encode() + b"\n{nonsense\n",
    "a list": json.dumps(header()).encode() + b"\n[]\n",
    "not utf-8": json.dumps(header()).encode() + b'\n{"key": "\xff"}\n',
    "utf-16": json.dumps(header()).encode() + b"\n" + json.dumps(file("x")).encode("utf-16"),
    "no number of JSON": b'{"key": "header", "value": {"summary": "x", "weight": NaN}}\n',
    "a million empty lines": json.dumps(header()).encode() + b"\n" * 1_000_000 + json.dumps(file("x")).encode(),
    "deep": json.dumps(header()).encode() + b"\n" + b"[" * 100_000 + b"\n",
    "duplicate key": json.dumps(header()).encode() + b'\n{"key": "file", "key": "file", "value": {}}\n',
    "unknown key": json.dumps(header()).encode() + b'\n{"key": "chmod", "value": {"path": "x"}}\n',
    "no value": json.dumps(header()).encode() + b'\n{"key": "file"}\n',
    "not base64": json.dumps(header()).encode()
    + b'\n{"key": "file", "value": {"path": "x", "content": "a*b", "encoding": "base64"}}\n',
    "unknown encoding": json.dumps(header()).encode()
    + b'\n{"key": "file", "value": {"path": "x", "content": "a", "encoding": "rot13"}}\n',
    "sha1": json.dumps(header()).encode()
    + b'\n{"key": "lfsFile", "value": {"path": "x", "algo": "sha1", "oid": "00", "size": 1}}\n',
}


@sweep("body", BODIES.values())
def test_a_commit_that_cannot_be_read_whole_is_not_read_in_part(wire: Wire, repo, body):
    before = world()
    refused(wire.commit(NAME, body), 400, "commit-invalid")
    assert world() == before


def test_members_of_the_wrong_type_are_named(wire: Wire, repo):
    before = world()
    refused(wire.commit(NAME, {"key": "header", "value": {"summary": 7}}), 400, "value-invalid", "'summary'")
    refused(wire.commit(NAME, header(), {"key": "file", "value": {"path": 1}}), 400, "value-invalid", "'path'")
    refused(wire.commit(NAME, header(), lfs_file("x", b"x", oid="../x")), 400, "value-invalid", "sha256")
    refused(wire.commit(NAME, header(), lfs_file("x", b"x", size=-1)), 400, "value-invalid", "'size'")
    refused(wire.commit(NAME, header("nul \0")), 400, "value-invalid", "'summary'")
    refused(wire.commit(NAME, header("half \ud800")), 400, "value-invalid", "'summary'")
    refused(wire.commit(NAME, header("bell \7")), 400, "value-invalid", "control")
    for name in ("a\0b", "\udfff"):
        made = wire.ask("POST", "/api/repos/create", {"name": "x", "organization": name})
        refused(made, 400, "value-invalid", "'organization'")
    refused(wire.commit(NAME, header(" ")), 400, "value-invalid", "summary")
    refused(wire.commit(NAME, header(parentCommit="zzzzz")), 400, "commit-invalid", "zzzzz")
    assert world() == before


@pytest.mark.parametrize("filling", [b"{},", b"[],", b'{"a":[]},'])
def test_a_body_that_would_fill_the_memory_is_refused_before_it_does(wire: Wire, repo, filling: bytes):
    body = b'{"paths":[' + filling * ((4 << 20) // len(filling) - 10) + b"0]}"
    line = b'{"key":"file","value":' + body + b"}\n"
    tracemalloc.start()
    try:
        asked = wire.ask("POST", f"/api/models/{NAME}/paths-info/main", body, who="nobody")
        pushed = wire.commit(NAME, header(), line)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    refused(asked, 400, "value-invalid", "objects and lists")
    refused(pushed, 400, "commit-invalid", "objects and lists")
    assert most < 30 << 20


def test_a_compressed_commit_is_refused(wire: Wire, repo):
    refused(wire.commit(NAME, header(), Content_Encoding="gzip"), 400, "value-invalid", "Compressed")


def test_a_stale_parent_is_refused(wire: Wire, repo):
    first = wire.push(NAME, {"x": b"1"})
    wire.push(NAME, {"x": b"2"})
    before = world()
    refused(wire.commit(NAME, header(parentCommit=first), file("x", b"3")), 412, "parent-stale", first)
    assert world() == before


def test_an_unknown_branch_is_refused(wire: Wire, repo):
    before = world()
    answer = wire.commit(NAME, header(), file("x"), rev="no-such-branch")
    refused(answer, 404, "revision-not-found", "no-such-branch", hub_code="RevisionNotFound")
    assert world() == before


# --- sizes -----------------------------------------------------------------------------------------------------------
def test_a_file_over_the_limit_is_refused_before_its_bytes_travel(wire: Wire, repo, settings):
    settings.MAX_FILE_BYTES = 1000
    asked = {"files": [{"path": "big.safetensors", "size": 1001, "sample": ""}]}
    refused(wire.ask("POST", f"/api/models/{NAME}/preupload/main", asked), 413, "file-too-large", "1,001", "1,000")
    offered = wire.offer(NAME, b"x" * 1001).json()["objects"][0]
    assert offered["error"]["code"] == 413
    assert "actions" not in offered


def test_an_inline_file_over_the_limit_is_refused(wire: Wire, repo, settings):
    settings.MAX_INLINE_BYTES = 100_000
    before = world()
    refused(wire.commit(NAME, header(), file("x", b"y" * 100_001)), 413, "file-too-large", "100,001")
    refused(wire.commit(NAME, header(), file("x", b"y" * 300_000)), 413, "push-too-large", "line")
    assert world() == before


def test_a_push_over_the_limit_is_refused(wire: Wire, repo, settings):
    settings.MAX_PUSH_BYTES = 10_000
    before = world()
    refused(wire.commit(NAME, header(), file("a", b"y" * 6000), file("b", b"z" * 4001)), 413, "push-too-large")
    refused(wire.commit(NAME, header(), file("a", b"y" * 20_000)), 413, "push-too-large")
    assert world() == before


# --- digests ---------------------------------------------------------------------------------------------------------
def test_bytes_that_hash_to_something_else_are_refused_and_not_kept(wire: Wire, repo, store):
    href = wire.offer(NAME, b"promised").json()["objects"][0]["actions"]["upload"]["href"]
    refused(wire.put(href, b"swindled"), 400, "digest-mismatch", sha256(b"promised"))
    assert not Blob.objects.filter(sha256__in=[sha256(b"promised"), sha256(b"swindled")]).exists()
    assert [entry.key for entry in store.list("incoming/")] == []
    refused(wire.commit(NAME, header(), lfs_file("x.bin", b"promised")), 400, "blob-unknown", "x.bin")


@pytest.mark.parametrize("sent", [b"promise", b"promised!", b""])
def test_bytes_of_another_length_are_refused(wire: Wire, repo, sent):
    href = wire.offer(NAME, b"promised").json()["objects"][0]["actions"]["upload"]["href"]
    refused(wire.put(href, sent), 400, "digest-mismatch", "announced 8")


def test_an_upload_address_is_good_once_and_for_nothing_else(wire: Wire, repo):
    href = wire.offer(NAME, b"promised").json()["objects"][0]["actions"]["upload"]["href"]
    refused(wire.put(href[:-3] + "xyz", b"promised"), 403, "upload-expired")
    assert wire.put(href, b"promised").status_code == 200
    refused(wire.put(href, b"promised"), 403, "upload-expired")


def test_a_size_that_is_not_the_stores_is_refused(wire: Wire, repo):
    wire.deliver(NAME, b"weights")
    refused(wire.commit(NAME, header(), lfs_file("w.bin", b"weights", size=8)), 400, "digest-mismatch", "8 bytes")


def test_knowing_the_digest_of_a_private_file_gives_no_right_to_it(wire: Wire, cast, repo):
    cast.repository("carol/own", by="carol")
    cast.repository("alice/secret", private=True)
    secret = b"the weights of a secret adapter"
    wire.deliver("alice/secret", secret)
    assert wire.commit("alice/secret", header(), lfs_file("w.bin", secret)).status_code == 200
    before = world()

    # Claimed in a commit; the batch answers as for bytes that nobody has ever seen.
    refused(wire.commit("carol/own", header(), lfs_file("w.bin", secret), who="carol"), 400, "blob-unknown", "w.bin")
    assert "upload" in wire.offer("carol/own", secret, who="carol").json()["objects"][0]["actions"]
    assert world() == before

    # Who can read it may link it without sending it again; who delivers the bytes has them.
    assert "actions" not in wire.offer(NAME, secret).json()["objects"][0]
    assert wire.commit(NAME, header(), lfs_file("w.bin", secret)).status_code == 200
    assert wire.deliver("carol/own", secret, who="carol").status_code == 200
    assert wire.commit("carol/own", header(), lfs_file("w.bin", secret), who="carol").status_code == 200


# --- what is asked ---------------------------------------------------------------------------------------------------
ODD = {
    "nul in a revision": ("GET", f"/api/models/{NAME}/revision/a%00b", 400),
    "nul in a path": ("GET", f"/{NAME}/resolve/main/a%00b", 400),
    "nul in a name": ("GET", "/api/models/alice/a%00b", 400),
    "nul in a search": ("GET", "/api/models?search=a%00b", 400),
    "not utf-8": ("GET", f"/{NAME}/resolve/main/%ff%fe", 404),
    "long revision": ("GET", f"/api/models/{NAME}/revision/{'a' * 3000}", 404),
    "a limit that is none": ("GET", "/api/models?limit=many", 400),
    "a cursor that is none": ("GET", "/api/models?cursor=x", 400),
    "an unknown expand": ("GET", f"/api/models/{NAME}?expand=everything", 400),
    "a route nobody knows": ("GET", "/api/nonsense", 404),
    "a route we do not serve": ("POST", f"/api/models/{NAME}/resource-group", 501),
    "another method": ("PATCH", f"/api/models/{NAME}", 405),
    "an id without a namespace": ("GET", "/api/models/gpt2", 404),
    "its files": ("GET", "/gpt2/resolve/main/config.json", 404),
}


@sweep("method, path, status", ODD.values())
def test_odd_questions_get_json_and_never_a_500(wire: Wire, repo, method, path, status):
    response = wire.ask(method, path)
    assert response.status_code == status, response.content
    said = response.json()
    assert isinstance(said, dict if status >= 400 else list)
    assert "error" in said or status == 200


@sweep("body", [b"", b"[]", b"\xff", b"{", b"[" * 99_999, b'"x"', b'{"files": {}, "operation": 1}'])
@pytest.mark.parametrize(
    "path",
    ["/api/repos/create", f"/api/models/{NAME}/preupload/main", f"/{NAME}.git/info/lfs/objects/batch"],
)
def test_bodies_that_are_no_objects_are_refused(wire: Wire, repo, path, body):
    response = wire.ask("POST", path, body)
    refused(response, 400, "value-invalid")


def test_a_card_is_judged_in_json_whatever_is_sent(wire: Wire):
    judged = lambda text: wire.ask("POST", "/api/validate-yaml", {"content": text, "repoType": "model"}, who="nobody")
    assert judged("---\nlicense: mit\n---\n").json() == {"errors": [], "warnings": []}
    assert judged("# no metadata").json()["warnings"][0]["message"].startswith("empty or missing yaml")
    bad = judged("---\nlicense: my-own\n---\n")
    assert (bad.status_code, len(bad.json()["errors"])) == (400, 1)
    assert judged("---\nx: &a [*a]\n---\n").status_code == 400
    assert wire.ask("POST", "/api/validate-yaml", b"nonsense", who="nobody").json()["errors"]
    unknown = {"content": "---\nlicense: x\n---\n"}
    text = wire.ask("POST", "/api/validate-yaml", unknown, who="nobody", Accept="text/plain")
    assert text.content.startswith(b'- Error: "license" must be one of [')


# --- on a real connection --------------------------------------------------------------------------------------------
def _speak(url: str, request: bytes) -> bytes:
    """Send bytes, end the sending side, and return all that comes back."""
    with socket.create_connection((urlsplit(url).hostname, urlsplit(url).port), timeout=60) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        received = b""
        while part := connection.recv(65536):
            received += part
    return received


@pytest.fixture(scope="module")
def live_repo(live_hub):
    subprocess.run(
        ["curl", "-sf", "-X", "POST", f"{live_hub.url}/api/repos/create", "-d", '{"name": "refusals"}',
         "-H", f"Authorization: Bearer {TOKENS['alice']}", "-H", "Content-Type: application/json"],
        check=True,
    )  # fmt: skip
    return f"{live_hub.url}/api/models/alice/refusals"


def _commit_head(length: str) -> bytes:
    return (
        f"POST /api/models/alice/refusals/commit/main HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
        f"Authorization: Bearer {TOKENS['alice']}\r\nContent-Type: application/x-ndjson\r\n{length}\r\n\r\n"
    ).encode()


def test_a_commit_cut_off_between_two_lines_is_refused(live_hub, live_repo):
    whole = json.dumps(header()).encode() + b"\n" + json.dumps(file("a")).encode() + b"\n"
    rest = json.dumps(file("b")).encode() + b"\n"
    answer = _speak(live_hub.url, _commit_head(f"Content-Length: {len(whole + rest)}") + whole)
    assert b" 400 " in answer.splitlines()[0]
    assert b"commit-invalid" in answer or b"value-invalid" in answer


def test_a_commit_without_a_length_is_refused_and_not_taken_for_empty(live_hub, live_repo):
    body = json.dumps(header()).encode() + b"\n"
    chunks = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    answer = _speak(live_hub.url, _commit_head("Transfer-Encoding: chunked") + chunks)
    assert b" 411 " in answer.splitlines()[0]
    assert b"length-required" in answer
