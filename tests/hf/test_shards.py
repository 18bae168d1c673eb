"""Weights in several files: the headers of all of them in one answer; and what a space says of itself."""

import json
import struct
import tracemalloc

import pytest

from registry.repos.contents import weight_files
from tests.hf.wire import Wire

NAME = "alice/shards"
AT = f"/api/models/{NAME}/safetensors-metadata"


def weights(name: str, values: int) -> bytes:
    header = {"__metadata__": {"format": "pt"}}
    header[name] = {"dtype": "F16", "shape": [values], "data_offsets": [0, 2 * values]}
    said = json.dumps(header).encode()
    return struct.pack("<Q", len(said)) + said + bytes(2 * values)


def index(**where: str) -> bytes:
    return json.dumps({"metadata": {"total_size": 12}, "weight_map": where}).encode()


@pytest.fixture
def repo(cast, wire: Wire):
    made = cast.repository(NAME)
    files = {"sub/one.safetensors": weights("a", 2), "sub/two.safetensors": weights("b", 4)}
    files |= {"sub/model.safetensors.index.json": index(a="one.safetensors", b="two.safetensors")}
    files |= {"lost.json": index(a="nowhere.safetensors"), "list.json": b"[]", "odd.json": index(a="list.json")}
    wire.push(NAME, files)
    return made


def test_one_answer_holds_the_headers_of_all_files(wire: Wire, repo):
    said = wire.get(f"{AT}/sub/model.safetensors.index.json", who="nobody").json()
    assert said["index"] == {"metadata": {"total_size": 12}}
    assert set(said["headers"]) == {"one.safetensors", "two.safetensors"}
    assert said["headers"]["two.safetensors"]["b"] == {"dtype": "F16", "shape": [4], "data_offsets": [0, 8]}
    assert said["headers"]["two.safetensors"]["__metadata__"] == {"format": "pt"}


@pytest.mark.parametrize(
    ("path", "status", "word"),
    [
        ("nothing.json", 404, "nothing.json"),
        ("lost.json", 404, "nowhere.safetensors"),
        ("list.json", 400, "not a weights index"),
        ("odd.json", 400, "not a safetensors file"),
        ("sub/one.safetensors", 400, "not a weights index"),
    ],
)
def test_what_is_no_index_is_refused_by_name(wire: Wire, repo, path: str, status: int, word: str):
    answer = wire.get(f"{AT}/{path}")
    assert answer.status_code == status
    assert word in answer.json()["error"]


def test_an_index_that_names_few_tensors_of_files_with_many_is_refused(wire: Wire, repo, monkeypatch):
    monkeypatch.setattr(weight_files, "MAX_TENSORS", 2)
    assert wire.get(f"{AT}/sub/model.safetensors.index.json").status_code == 200
    monkeypatch.setattr(weight_files, "MAX_TENSORS", 1)
    answer = wire.get(f"{AT}/sub/model.safetensors.index.json")
    assert (answer.status_code, answer.json()["code"]) == (400, "value-invalid")


@pytest.mark.parametrize("filling", [b"{},", b"[],", b'"a":1,'])
def test_an_index_that_would_fill_the_memory_is_refused_before_it_does(wire: Wire, repo, filling: bytes):
    much = b'{"metadata":{"x":' + (b"[%s0]" if b":" not in filling else b'{%s"b":1}') + b"}}"
    wire.push(NAME, {"much.json": much.replace(b"%s", filling * 300_000)})
    tracemalloc.start()
    try:
        answer = wire.get(f"{AT}/much.json", who="nobody")
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert answer.status_code == 400
    assert "not a weights index" in answer.json()["error"]
    assert most < 8 << 20


def test_headers_are_as_private_as_the_files(wire: Wire, cast, repo):
    wire.ask("PUT", f"/api/models/{NAME}/settings", {"gated": "manual"})
    gated = wire.get(f"{AT}/sub/model.safetensors.index.json", who="carol")
    assert (gated.status_code, gated["X-Error-Code"]) == (403, "GatedRepo")
    wire.ask("PUT", f"/api/models/{NAME}/settings", {"visibility": "private"})
    hidden = wire.get(f"{AT}/sub/model.safetensors.index.json", who="carol")
    assert (hidden.status_code, hidden["X-Error-Code"]) == (404, "RepoNotFound")


def test_a_space_begins_with_the_card_that_clients_never_write(wire: Wire, cast):
    made = wire.ask("POST", "/api/repos/create", {"name": "demo", "type": "space", "sdk": "gradio"})
    assert made.status_code == 200
    card = wire.get("/spaces/alice/demo/raw/main/README.md")
    assert card.content_of() == b"---\ntitle: demo\nsdk: gradio\n---\n"
    said = wire.get("/api/spaces/alice/demo").json()
    unused = {"current": None, "requested": None}
    assert (said["sdk"], said["runtime"]) == ("gradio", {"stage": "STOPPED", "hardware": unused})
