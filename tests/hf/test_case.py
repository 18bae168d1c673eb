"""Ids are found whatever their case, at every address of every type of repository, and shown as they were given."""

import json

import pytest

from tests.hf.wire import Wire, file, header, lfs_file, sha256

WEIGHTS = b"weights" * 100
GIVEN, OTHER = "alice/MyRepo", "ALICE/mYrEPO"
PREFIXES = {"model": "", "dataset": "datasets/", "space": "spaces/"}
ROUTES = [
    ("GET", "/api/{kind}/{id}"),
    ("GET", "/api/{kind}/{id}/revision/main"),
    ("GET", "/api/{kind}/{id}/auth-check"),
    ("GET", "/api/{kind}/{id}/auth-check/write"),
    ("PUT", "/api/{kind}/{id}/settings", {"private": False}),
    ("GET", "/api/{kind}/{id}/tree/main"),
    ("POST", "/api/{kind}/{id}/paths-info/main", {"paths": ["a.txt"]}),
    ("GET", "/api/{kind}/{id}/refs"),
    ("GET", "/api/{kind}/{id}/commits/main"),
    ("POST", "/api/{kind}/{id}/branch/dev", {}),
    ("DELETE", "/api/{kind}/{id}/branch/dev"),
    ("POST", "/api/{kind}/{id}/tag/main", {"tag": "v1"}),
    ("DELETE", "/api/{kind}/{id}/tag/v1"),
    ("POST", "/api/{kind}/{id}/preupload/main", {"files": [{"path": "x.bin", "size": 9, "sample": ""}]}),
    ("GET", "/api/{kind}/{id}/xet-read-token/main"),
    ("GET", "/api/{kind}/{id}/xet-write-token/main"),
    ("GET", "/api/{kind}/{id}/lfs-files"),
    ("GET", "/api/{kind}/{id}/discussions"),
    ("GET", "/api/{kind}/{id}/user-access-request/pending"),
    ("POST", "/api/{kind}/{id}/super-squash/main", {"message": "one"}),
    ("GET", "/{prefix}{id}/resolve/main/a.txt"),
    ("HEAD", "/{prefix}{id}/resolve/main/a.txt"),
    ("GET", "/{prefix}{id}/raw/main/a.txt"),
    ("POST", "/{prefix}{id}.git/info/lfs/objects/batch", {"operation": "upload", "objects": []}),
]


@pytest.fixture(params=PREFIXES)
def made(request, wire: Wire) -> dict[str, str]:
    """A repository of each type, with a file that was pushed to its name in another case."""
    name = {"name": GIVEN.partition("/")[2], "type": request.param}
    assert wire.ask("POST", "/api/repos/create", name).status_code == 200
    where = {"kind": f"{request.param}s", "prefix": PREFIXES[request.param]}
    body = "".join(json.dumps(line) + "\n" for line in (header(), file("a.txt"))).encode()
    path = f"/api/{where['kind']}/{OTHER}/commit/main"
    answer = wire.ask("POST", path, body, Content_Type="application/x-ndjson")
    assert f"/{where['prefix']}{GIVEN}/commit/" in answer.json()["commitUrl"]
    return where


def test_every_address_takes_any_case(wire: Wire, made):
    for method, route, *body in ROUTES:
        answer = wire.ask(method, route.format(id=OTHER, **made), *body)
        assert answer.status_code == 200, (method, route, answer.content_of())
    assert wire.get(f"/api/{made['kind']}/{OTHER}").json()["id"] == GIVEN


def test_a_body_may_name_it_in_any_case_and_nobody_makes_a_second_one(wire: Wire, made):
    type = made["kind"][:-1]
    again = wire.ask("POST", "/api/repos/create", {"name": "MYREPO", "type": type})
    assert again.status_code == 409
    assert again.json()["url"].endswith(f"/{made['prefix']}{GIVEN}")
    moved = wire.ask("POST", "/api/repos/move", {"fromRepo": OTHER, "toRepo": "ACME/Moved", "type": type})
    assert moved.json()["url"].endswith(f"/{made['prefix']}acme/Moved")
    for method, route in (("GET", "/api/{kind}/{id}"), ("HEAD", "/{prefix}{id}/resolve/main/a.txt")):
        answer = wire.ask(method, route.format(id=OTHER, **made))
        assert (answer.status_code, answer["Location"]) == (307, route.format(id="acme/Moved", **made))
    gone = {"name": "mOVED", "organization": "Acme", "type": type}
    assert wire.ask("DELETE", "/api/repos/delete", gone).status_code == 200
    assert wire.get(f"/api/{made['kind']}/{OTHER}").status_code == 404


def test_large_files_go_from_any_case_to_any_case(wire: Wire, cast):
    cast.repository("alice/Source"), cast.repository("carol/Target", by="carol")
    wire.deliver("ALICE/source", WEIGHTS)
    assert wire.commit("alice/SOURCE", header(), lfs_file("w.onnx", WEIGHTS)).status_code == 200
    body = {"target": {"type": "model", "name": "CAROL/tARGET"}, "files": [{"sha256": sha256(WEIGHTS)}]}
    shared = wire.ask("POST", "/api/models/aLiCe/sOURCE/lfs-files/duplicate", body, who="carol")
    assert shared.json() == {"failed": []}
    assert wire.commit("Carol/target", header(), lfs_file("w.onnx", WEIGHTS), who="carol").status_code == 200
