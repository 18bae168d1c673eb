"""Reading on the wire: names of revisions, listings, every header that a cache depends on, and who gets what."""

import re
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from registry.bytes.blobs import Keys
from registry.kernel import site_settings
from registry.models import Ref, Repository, Revision, RevisionFacts, Verdict
from registry.moderation import quarantine
from registry.repos import download_counts
from registry.repos.contents import facts
from tests.cast import Cast
from tests.hf.wire import Wire, deleted, file, header, lfs_file, sha256
from tests.sweep import sweep

NAME = "alice/reviews"
WEIGHTS = bytes(range(256)) * 4
ODD = "sub dir/odd % ? # é name.txt"


@pytest.fixture
def head(wire: Wire, cast: Cast) -> str:
    """The commit of a repository with a regular file, an LFS file, a folder, and an awful name."""
    cast.repository(NAME)
    wire.deliver(NAME, WEIGHTS)
    lines = [file("README.md", b"# Hello\n"), lfs_file("w.safetensors", WEIGHTS), file(ODD, b"odd"), file("a/b/c", b"")]
    return wire.commit(NAME, header("First"), *lines).json()["commitOid"]


# --- revisions -------------------------------------------------------------------------------------------------------
def test_a_revision_has_many_names(wire: Wire, head):
    assert wire.ask("POST", f"/api/models/{NAME}/branch/feature%2Fx", {}).status_code == 200
    assert wire.ask("POST", f"/api/models/{NAME}/tag/main", {"tag": "v1/rc"}).status_code == 200
    wire.commit(NAME, header(), file("later", b""))
    names = [head, head[:5], head[:12].upper(), "feature/x", "feature%2Fx", "v1/rc"]
    names += ["refs/heads/feature/x", "refs%2Ftags%2Fv1%2Frc"]
    for name in names:
        assert wire.get(f"/api/models/{NAME}/revision/{name}").json()["sha"] == head, name
        assert wire.get(f"/{NAME}/resolve/{name}/{quote(ODD)}").content_of() == b"odd", name
        assert wire.get(f"/api/models/{NAME}/tree/{name}/a/b").json()[0]["path"] == "a/b/c", name
        assert wire.get(f"/api/models/{NAME}/tree/{name}/{quote('a/b', safe='')}").json()[0]["path"] == "a/b/c", name
    for name in ("main", "HEAD", "refs/heads/main"):
        assert wire.get(f"/api/models/{NAME}/revision/{name}").json()["sha"] != head, name


NOWHERE = ["nope", "f" * 40, "1234", "refs/heads/nope", "refs", "verified", "%20", "*"]


@pytest.mark.parametrize("name", NOWHERE)
def test_a_name_of_no_revision_is_refused(wire: Wire, head, name):
    api = f"/api/models/{NAME}"
    for path in (f"{api}/revision/{name}", f"/{NAME}/resolve/{name}/README.md", f"{api}/tree/{name}"):
        answer = wire.get(path)
        assert (answer.status_code, answer["X-Error-Code"]) == (404, "RevisionNotFound")
        said = f"No version of {NAME} has passed yet" if name == "verified" else "Invalid rev id"
        assert answer.json()["error"].startswith(said)


def test_two_commits_with_one_beginning_are_refused_when_abbreviated(wire: Wire, head, cast):
    first = Revision.objects.get(oid=head)
    twin = head[:20] + ("1" if head[20] == "0" else "0") * 20
    Revision.objects.create(repository=first.repository, oid=twin, title="Twin", author=cast["alice"])
    assert wire.get(f"/api/models/{NAME}/revision/{head[:20]}").status_code == 404
    assert wire.get(f"/api/models/{NAME}/revision/{head[:21]}").status_code == 200


MISLEADING = ["verified", "HEAD", "a" * 40, "refs/x", "refs/tags/v1", "refs/heads/x", "a..b", "x.lock", "-x", "a b"]
MISLEADING += ["a~1", "/a", "a//b", ""]


@sweep("name", MISLEADING)
def test_names_that_would_mislead_make_no_branch_and_no_tag(wire: Wire, head, name):
    before = Ref.objects.count()
    assert wire.ask("POST", f"/api/models/{NAME}/tag/main", {"tag": name}).status_code == 400
    assert wire.ask("POST", f"/api/models/{NAME}/branch/{quote(name, safe='')}", {}).status_code in {400, 404}
    assert Ref.objects.count() == before


def test_main_cannot_be_deleted(wire: Wire, head):
    answer = wire.ask("DELETE", f"/api/models/{NAME}/branch/main")
    assert (answer.status_code, answer.json()["code"]) == (403, "ref-protected")


def test_history_comes_in_pages(wire: Wire, head):
    for number in range(4):
        wire.commit(NAME, header(f"Push {number}"), file("n", str(number).encode()))
    first = wire.get(f"/api/models/{NAME}/commits/main?limit=4")
    link = re.fullmatch(r'<(http://[^>]+)>; rel="next"', first["Link"])[1]
    second = wire.get("/" + link.split("/", 3)[3])
    titles = [one["title"] for one in first.json() + second.json()]
    assert titles == ["Push 3", "Push 2", "Push 1", "Push 0", "First", "initial commit"]
    assert "Link" not in second.headers
    assert first.json()[0]["authors"] == [{"user": "alice"}]


# --- listings --------------------------------------------------------------------------------------------------------
def test_a_tree_has_files_and_folders_with_the_ids_of_git(wire: Wire, head):
    top = {one["path"]: one for one in wire.get(f"/api/models/{NAME}/tree/main").json()}
    assert {path: one["type"] for path, one in top.items()} == {
        ".gitattributes": "file", "README.md": "file", "a": "directory", "sub dir": "directory",
        "w.safetensors": "file",
    }  # fmt: skip
    assert top["w.safetensors"]["lfs"] == {"oid": sha256(WEIGHTS), "size": 1024, "pointerSize": 129}
    assert top["w.safetensors"]["size"] == 1024
    assert "lfs" not in top["README.md"]
    whole = [one["path"] for one in wire.get(f"/api/models/{NAME}/tree/main?recursive=True").json()]
    assert whole == sorted([".gitattributes", "README.md", "a", "a/b", "a/b/c", "sub dir", ODD, "w.safetensors"])
    assert [one["path"] for one in wire.get(f"/api/models/{NAME}/tree/main/sub%20dir").json()] == [ODD]


def test_a_tree_of_what_is_no_folder_is_refused_at_its_commit(wire: Wire, head):
    for path in ("nope", "README.md", "a/b/c", "..%2F.."):
        answer = wire.get(f"/api/models/{NAME}/tree/main/{path}")
        assert (answer.status_code, answer["X-Error-Code"], answer["X-Repo-Commit"]) == (404, "EntryNotFound", head)


def test_a_long_tree_comes_in_pages(wire: Wire, head):
    names = [f"f/{number:03}" for number in range(25)]
    wire.commit(NAME, header(), *(file(name, b"") for name in names))
    found, path = [], f"/api/models/{NAME}/tree/refs%2Fheads%2Fmain/f?recursive=false&expand=false&limit=10"
    while path:
        page = wire.get(path)
        found += [one["path"] for one in page.json()]
        link = page.headers.get("Link")
        path = "/" + link.split("/", 3)[3].partition(">")[0] if link else None
    assert found == names


def test_expanded_entries_name_the_commit_that_changed_them(wire: Wire, head):
    second = wire.commit(NAME, header("Second"), file("a/b/c", b"changed"), deleted("README.md")).json()["commitOid"]
    shown = {one["path"]: one for one in wire.get(f"/api/models/{NAME}/tree/main?recursive=1&expand=1").json()}
    last = {path: one["lastCommit"]["title"] for path, one in shown.items()}
    assert last == {
        ".gitattributes": "initial commit", "a": "Second", "a/b": "Second", "a/b/c": "Second",
        "sub dir": "First", ODD: "First", "w.safetensors": "First",
    }  # fmt: skip
    assert shown["a"]["lastCommit"]["id"] == second


@pytest.mark.parametrize("as_json", [True, False])
def test_paths_info_leaves_out_what_is_not_there(wire: Wire, head, as_json):
    asked = ["w.safetensors", "nope", "a", "a/b/c", ODD, "w.safetensors"]
    path = f"/api/models/{NAME}/paths-info/main"
    if as_json:
        answer = wire.ask("POST", path, {"paths": asked, "expand": False})
    else:
        body = "&".join(f"paths={quote(one)}" for one in asked).encode()
        answer = wire.ask("POST", path, body, Content_Type="application/x-www-form-urlencoded")
    assert [one["path"] for one in answer.json()] == ["w.safetensors", "a", "a/b/c", ODD]


def test_info_names_every_file_once_and_blobs_on_request(wire: Wire, head):
    info = wire.get(f"/api/models/{NAME.upper()}").json()
    assert (info["id"], info["modelId"], info["sha"], info["private"]) == (NAME, NAME, head, False)
    names = [one["rfilename"] for one in info["siblings"]]
    assert names == sorted([".gitattributes", "README.md", "a/b/c", ODD, "w.safetensors"])
    blobs = {one["rfilename"]: one for one in wire.get(f"/api/models/{NAME}?blobs=true").json()["siblings"]}
    assert blobs["w.safetensors"]["lfs"] == {"sha256": sha256(WEIGHTS), "size": 1024, "pointerSize": 129}
    assert wire.get(f"/api/models/{NAME}?expand=sha&expand=likes").json().keys() == {"_id", "id", "sha", "likes"}
    refused = wire.get("/api/models/no/such?expand=everything")
    assert 'expected one of "author"|"baseModels"|' in refused.json()["error"]


def test_datasets_are_apart_from_models(wire: Wire, head, cast):
    made = wire.ask("POST", "/api/repos/create", {"name": "rows", "type": "dataset"})
    assert made.json()["url"].endswith("/datasets/alice/rows")
    push = wire.ask("POST", "/api/datasets/alice/rows/commit/main", b'{"key":"header","value":{"summary":"x"}}')
    assert push.status_code == 200
    assert wire.get("/datasets/alice/rows/resolve/main/.gitattributes").status_code == 200
    assert wire.get("/api/datasets/alice/rows").json()["sha"] == push.json()["commitOid"]
    assert wire.get("/api/models/alice/rows").status_code == 404
    assert [one["id"] for one in wire.get("/api/datasets").json()] == ["alice/rows"]
    assert [one["id"] for one in wire.get("/api/models").json()] == [NAME]


# --- bytes -----------------------------------------------------------------------------------------------------------
def test_head_and_get_say_the_same(wire: Wire, head):
    for path, etag, size in (("README.md", None, 8), ("w.safetensors", sha256(WEIGHTS), 1024)):
        url = f"/{NAME}/resolve/main/{path}"
        seen, got = wire.ask("HEAD", url), wire.get(url)
        assert (seen.status_code, got.status_code) == (200, 200)
        for header_name in ("ETag", "X-Repo-Commit", "Content-Length", "Accept-Ranges", "Content-Disposition"):
            assert seen[header_name] == got[header_name], header_name
        assert (seen["X-Repo-Commit"], seen["Content-Length"]) == (head, str(size))
        assert etag is None or seen["ETag"] == seen["X-Linked-Etag"] == f'"{etag}"'
        assert len(got.content_of()) == size
        assert seen.content == b""


def test_strangers_files_are_never_shown_as_pages(wire: Wire, head):
    wire.commit(NAME, header(), file("page.html", b"<script>alert(1)</script>"))
    answer = wire.get(f"/{NAME}/resolve/main/page.html")
    assert answer["Content-Disposition"].startswith("attachment;")
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Content-Security-Policy"] == "sandbox; default-src 'none'"
    assert answer["Content-Type"].startswith("text/plain")


def test_cards_may_show_pictures_and_nothing_that_runs(wire: Wire, head):
    names = ["a.PNG", "b.jpg", "c.svg", "d.js"]
    wire.commit(NAME, header(), *(file(name, b"<svg/>") for name in names))
    types = {name: wire.get(f"/{NAME}/resolve/main/{name}")["Content-Type"] for name in names}
    plain = "text/plain; charset=utf-8"
    assert types == {"a.PNG": "image/png", "b.jpg": "image/jpeg", "c.svg": plain, "d.js": plain}


def test_a_pull_is_counted_once_an_hour_for_each_caller(wire: Wire, head):
    for who in ("alice", "alice", "carol", "nobody", "nobody"):
        wire.get(f"/{NAME}/resolve/main/w.safetensors", who=who, Range="bytes=0-9")
        wire.get(f"/{NAME}/resolve/main/README.md", who=who)
        wire.ask("HEAD", f"/{NAME}/resolve/main/w.safetensors", who="bob")
        wire.get(f"/api/models/{NAME}/xet-write-token/main", who="bob")
    for who in ("erin", "carol"):
        wire.get(f"/api/models/{NAME}/xet-read-token/main", who=who)
    assert wire.get(f"/api/models/{NAME}").json()["downloads"] == 0, "never in the path of a request"
    download_counts.flush_counts()
    download_counts.fold()
    counted = wire.get(f"/api/models/{NAME}").json()
    assert (counted["downloads"], counted["trendingScore"]) == (4, pytest.approx(4, abs=0.01))


@pytest.mark.parametrize(
    ("asked", "status", "start", "end"),
    [
        ("bytes=0-0", 206, 0, 1), ("bytes=1000-", 206, 1000, 1024), ("bytes=10-19", 206, 10, 20),
        ("bytes=-24", 206, 1000, 1024), ("bytes=1000-99999", 206, 1000, 1024), ("bytes=-5000", 206, 0, 1024),
        ("bytes=0-1023", 206, 0, 1024),
        ("bytes=0-1,5-6", 200, 0, 1024), ("lines=1-2", 200, 0, 1024), ("bytes=-", 200, 0, 1024), ("", 200, 0, 1024),
    ],
)  # fmt: skip
def test_ranges(wire: Wire, head, asked, status, start, end):
    answer = wire.get(f"/{NAME}/resolve/main/w.safetensors", Range=asked)
    assert answer.status_code == status
    assert answer.content_of() == WEIGHTS[start:end]
    assert answer["Content-Length"] == str(end - start)
    if status == 206:
        assert answer["Content-Range"] == f"bytes {start}-{end - 1}/1024"


NO_BYTE = [("w.safetensors", "bytes=1024-", 1024), ("a/b/c", "bytes=0-0", 0), ("a/b/c", "bytes=-1", 0)]


@pytest.mark.parametrize(("path", "asked", "size"), NO_BYTE)
def test_a_range_without_a_byte_is_416(wire: Wire, head, path, asked, size):
    answer = wire.get(f"/{NAME}/resolve/main/{path}", Range=asked)
    assert (answer.status_code, answer["Content-Range"]) == (416, f"bytes */{size}")


def test_a_missing_file_is_refused_at_its_commit_so_that_caches_remember(wire: Wire, head):
    for method in ("HEAD", "GET"):
        answer = wire.ask(method, f"/{NAME}/resolve/main/nope.json")
        assert (answer.status_code, answer["X-Error-Code"], answer["X-Repo-Commit"]) == (404, "EntryNotFound", head)


def test_links_are_below_the_address_that_the_client_uses(wire: Wire, cast, settings):
    settings.PUBLIC_URL, settings.ALLOWED_HOSTS = "https://hub.example.org", ["lan.example"]
    settings.TRUSTED_PROXIES = ["10.0.0.0/8"]
    create = lambda name, **headers: wire.ask("POST", "/api/repos/create", {"name": name}, **headers).json()["url"]
    assert create("one", Host="lan.example:9000") == "http://lan.example:9000/alice/one"
    assert create("two", Host="evil.example") == "https://hub.example.org/alice/two"
    forged = create("three", Host="lan.example", X_Forwarded_Host="evil.example", X_Forwarded_Proto="https")
    assert forged == "http://lan.example/alice/three"
    settings.TRUSTED_PROXIES = ["127.0.0.0/8"]
    relayed = create("four", Host="inner", X_Forwarded_Host="lan.example", X_Forwarded_Proto="https")
    assert relayed == "https://lan.example/alice/four"


# --- who gets what ---------------------------------------------------------------------------------------------------
@pytest.fixture
def verdict(wire: Wire, cast: Cast) -> Verdict:
    cast.repository("acme/lora")
    wire.push("acme/lora", {"adapter_config.json": b'{"peft_type": "LORA"}'})
    return Verdict.objects.get()


@pytest.mark.parametrize("again", ["queued", "running", "failed", "passed"])
@pytest.mark.parametrize("before", ["failed", "passed"])
def test_while_a_revision_is_proven_again_what_was_said_of_it_last_counts(wire: Wire, store, cast, before, again):
    cast.repository("acme/lora")
    weights = b"weights"
    wire.deliver("acme/lora", weights)
    lines = header(), file("adapter_config.json", b'{"peft_type": "LORA"}'), lfs_file("adapter_model.bin", weights)
    oid = wire.commit("acme/lora", *lines).json()["commitOid"]
    first, now = Verdict.objects.get(), timezone.now()
    Verdict.objects.update(state=before, finished_at=now, turn=None)
    finished_at = None if again in ("queued", "running") else now + timedelta(minutes=1)
    Verdict.objects.create(
        revision=first.revision, number=2, state=again, finished_at=finished_at, lease_until=now, cause="renewal"
    )
    site_settings.change_setting("pull_policy", "verified", by=None)
    last = before if finished_at is None else again
    answer = wire.get(f"/acme/lora/resolve/{oid}/adapter_config.json", who="carol")
    assert answer.status_code == (200 if last == "passed" else 403)
    asked = {"operation": "download", "objects": [{"oid": sha256(weights), "size": len(weights)}]}
    offered = wire.ask("POST", "/acme/lora.git/info/lfs/objects/batch", asked, who="carol").json()["objects"][0]
    assert ("actions" in offered) == (last == "passed")


@pytest.mark.parametrize("state", ["queued", "failed", "passed"])
def test_under_the_verified_policy_strangers_get_what_passed(wire: Wire, cast, verdict, state):
    site_settings.change_setting("pull_policy", "verified", by=None)
    finished = verdict.queued_at if state != "queued" else None
    Verdict.objects.update(state=state, finished_at=finished, turn=None)
    path = "/acme/lora/resolve/main/adapter_config.json"
    for who in ("carol", "nobody"):
        answer = wire.get(path, who=who)
        assert answer.status_code == (200 if state == "passed" else 403)
        assert state == "passed" or answer.json()["code"] == "revision-not-verified"
    for who in ("alice", "bob", "erin"):
        assert wire.get(path, who=who).status_code == 200
    first = Revision.objects.get(title="initial commit", repository__name="lora").oid
    assert wire.get(f"/acme/lora/resolve/{first}/.gitattributes", who="carol").status_code == 200


def test_the_refusal_names_the_newest_verified_revision(wire: Wire, verdict):
    Ref.objects.create(repository=verdict.revision.repository, name="refs/verified", revision=verdict.revision)
    Verdict.objects.update(state="passed", finished_at=verdict.queued_at, turn=None)
    newest = wire.push("acme/lora", {"adapter_config.json": b'{"peft_type": "IA3"}'})
    site_settings.change_setting("pull_policy", "verified", by=None)
    answer = wire.get(f"/acme/lora/resolve/{newest}/adapter_config.json", who="carol")
    assert verdict.revision.oid in answer.json()["error"]
    assert wire.get("/acme/lora/resolve/verified/adapter_config.json", who="carol").status_code == 200


WHO = ["nobody", "carol", "erin", "dave", "bob", "alice"]
#                     nobody carol erin dave bob  alice
TABLE = {
    "read public":    (200, 200, 200, 200, 200, 200),
    "read private":   (401, 404, 200, 200, 200, 200),
    "pull public":    (200, 200, 200, 200, 200, 200),
    "pull private":   (401, 404, 200, 200, 200, 200),
    "push public":    (401, 403, 403, 403, 200, 200),
    "push private":   (401, 404, 403, 403, 200, 200),
    "plan public":    (401, 403, 403, 403, 200, 200),
    "lfs public":     (401, 200, 200, 200, 200, 200),  # bytes for a pull request; by themselves they make no revision
    "lfs private":    (401, 404, 200, 200, 200, 200),
    "branch public":  (401, 403, 403, 403, 200, 200),
    "hide public":    (401, 403, 403, 403, 403, 200),
    "delete public":  (401, 403, 403, 403, 403, 200),
    "delete private": (401, 404, 403, 403, 403, 200),
    "create":         (401, 403, 403, 200, 200, 200),
}  # fmt: skip


@sweep("act", TABLE)
def test_who_may_do_what(wire: Wire, cast: Cast, act):
    name = f"acme/{act.rpartition(' ')[2]}"
    got = []
    for who in WHO:
        if act != "create":
            cast.repository(name, private=name.endswith("private"))
        got.append(_try(wire, act.partition(" ")[0], name, who).status_code)
        for row in list(cast.acme.namespace.repositories.all()):
            Ref.objects.filter(repository=row).delete()
            row.revisions.all().delete()
            row.delete()
    assert tuple(got) == TABLE[act]


def _try(wire: Wire, verb: str, name: str, who: str):
    ns, _, last = name.partition("/")
    match verb:
        case "read":
            return wire.get(f"/api/models/{name}", who=who)
        case "pull":
            return wire.get(f"/{name}/resolve/main/.gitattributes", who=who)
        case "push":
            return wire.commit(name, header(), file("x"), who=who)
        case "plan":
            return wire.ask("POST", f"/api/models/{name}/preupload/main", {"files": []}, who=who)
        case "lfs":
            return wire.offer(name, b"x", who=who)
        case "branch":
            return wire.ask("POST", f"/api/models/{name}/branch/b", {}, who=who)
        case "hide":
            return wire.ask("PUT", f"/api/models/{name}/settings", {"private": True}, who=who)
        case "delete":
            return wire.ask("DELETE", "/api/repos/delete", {"name": last, "organization": ns}, who=who)
        case _:
            return wire.ask("POST", "/api/repos/create", {"name": "new", "organization": ns}, who=who)


# --- numbers of queries ----------------------------------------------------------------------------------------------
def queries(wire: Wire, path: str) -> int:
    wire.get(path)  # the card and the header are remembered after the first time
    with CaptureQueriesContext(connection) as seen:
        assert wire.get(path).status_code == 200
    return len(seen)


def test_reading_asks_the_database_the_same_number_of_times_whatever_the_size(wire: Wire, head, cast):
    parts = ["", "/tree/main?recursive=true&expand=true", "/refs", "/commits/main"]
    paths = [f"/api/models/{NAME}{part}" for part in parts]
    paths += [f"/{NAME}/resolve/main/README.md", "/api/models", "/api/models?full=true"]
    before = {path: queries(wire, path) for path in paths}
    wire.commit(NAME, header(), *(file(f"many/{number}", b"same") for number in range(60)))
    for number in range(6):
        wire.commit(NAME, header(f"Push {number}"), file("n", str(number).encode()))
        wire.ask("POST", f"/api/models/{NAME}/tag/main", {"tag": f"v{number}"})
        cast.repository(f"alice/other-{number}")
    assert {path: queries(wire, path) for path in paths} == before
    assert max(before.values()) <= 12, before


def test_a_quarantined_adapter_is_refused_to_its_owner_and_gone_for_others(wire: Wire, head, cast):
    quarantine.quarantine(Repository.objects.get(), by=cast.session("mona"), reason="it was reported", note="")
    for path in (f"/api/models/{NAME}", f"/{NAME}/resolve/main/README.md", f"/api/models/{NAME}/tree/main"):
        mine, theirs = wire.get(path), wire.get(path, who="carol")
        assert (mine.status_code, mine["X-Error-Message"]) == (403, "Access to this resource is disabled.")
        assert theirs.json() == wire.get(path.replace("reviews", "reviewz"), who="carol").json() | {
            "detail": theirs.json()["detail"]
        }
        assert theirs.status_code == 404


def test_a_readme_that_the_store_has_lost_ends_no_answer_about_its_repository(wire: Wire, head, settings, caplog):
    Path(settings.BLOBS.removeprefix("file://"), Keys.blob(sha256(b"# Hello\n"))).unlink()
    facts._read.cache_clear()
    RevisionFacts.objects.all().delete()  # as before a hub kept them
    for path in (f"/api/models/{NAME}", "/api/models?full=true"):
        answer = wire.get(path)
        assert answer.status_code == 200, answer.json()
        [listed] = answer.json() if isinstance(answer.json(), list) else [answer.json()]
        assert listed["id"] == NAME
        assert {"README.md", "w.safetensors"} <= {file["rfilename"] for file in listed["siblings"]}
    assert f"The store has lost {sha256(b'# Hello' + bytes([10]))} (README.md)" in caplog.text


def test_bytes_that_the_store_has_lost_are_the_hubs_fault(wire: Wire, head, settings):
    for path, bytes_ in (("w.safetensors", WEIGHTS), ("README.md", b"# Hello\n")):
        Path(settings.BLOBS.removeprefix("file://"), Keys.blob(sha256(bytes_))).unlink()
        answer = wire.get(f"/{NAME}/resolve/main/{path}")
        assert (answer.status_code, answer.json()["code"]) == (503, "store-unavailable")
        assert "verify_blobs" in answer["X-Error-Message"]
