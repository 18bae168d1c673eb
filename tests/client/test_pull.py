"""Pulls over lines that break, through a cache that may be spoilt, and of chosen files; `verify` afterwards."""

import json
from pathlib import Path

import pytest

from dovetail import hub_cache
from tests.client.hostile import Answer, Liar, liar

THIRD = 1024


class BrokenLine:
    """Answers requests for a large file: each answer ends after a third of it, and `Range` is understood."""

    def __init__(self, headers: dict[str, str], content: bytes) -> None:
        self.headers, self.content, self.offsets = headers, content, [0]

    def __call__(self, headers: dict[str, str]) -> Answer:
        at = int(headers["range"].removeprefix("bytes=").removesuffix("-")) if "range" in headers else 0
        if at:
            self.offsets.append(at)
        rest = self.content[at:]
        return (206 if at else 200, self.headers | {"Content-Length": str(len(rest))}, rest[:THIRD])


def serve_large_file(hub: Liar) -> BrokenLine:
    content = bytes(range(256)) * (3 * THIRD // 256)
    hub.holds({"weights": content}, lfs=True)
    _, headers, _ = hub.answers[hub.address("weights")]
    line = hub.answers[hub.address("weights")] = BrokenLine(headers, content)
    return line


@pytest.fixture(autouse=True)
def small_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_cache, "LARGE", THIRD)
    monkeypatch.setattr(hub_cache, "FIRST_WAIT_SECONDS", 0)


def contents(folder: Path) -> dict[str, bytes]:
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_a_line_that_breaks_is_gone_on_with(ask, tmp_path):
    with liar() as hub:
        line = serve_large_file(hub)
        ask("pull", "alice/x", hub=hub.url)
    assert line.offsets == [0, THIRD, 2 * THIRD]
    assert contents(tmp_path / "work" / "x") == {"weights": line.content}
    assert not list((tmp_path / "hf").rglob("*.incomplete"))


def test_a_download_that_broke_off_goes_on_in_the_next_run(ask, tmp_path, monkeypatch):
    monkeypatch.setattr(hub_cache, "TRIES", 1)
    with liar() as hub:
        line = serve_large_file(hub)
        for _ in range(2):
            assert ask("pull", "alice/x", hub=hub.url, status=5)["code"] == "client-unreachable"
            assert list((tmp_path / "work").iterdir()) == []
        ask("pull", "alice/x", hub=hub.url)
    assert line.offsets == [0, THIRD, 2 * THIRD]
    assert contents(tmp_path / "work" / "x") == {"weights": line.content}


def test_a_part_of_other_bytes_is_thrown_away(ask, tmp_path):
    with liar() as hub:
        line = serve_large_file(hub)
        [file] = json.loads(hub.answers["/api/v1/adapters/alice/x/revisions/main"][2])["files"]
        blobs = tmp_path / "hf" / "hub" / "models--alice--x" / "blobs"
        blobs.mkdir(parents=True)
        (blobs / f"{file['sha256']}.dovetail.incomplete").write_bytes(b"spoilt" * 100)
        assert ask("pull", "alice/x", hub=hub.url, status=5)["code"] == "client-digest-mismatch"
        ask("pull", "alice/x", hub=hub.url)
    assert contents(tmp_path / "work" / "x") == {"weights": line.content}


def test_a_rate_limit_is_waited_out(ask, tmp_path):
    with liar() as hub:
        hub.holds({"weights": b"x" * THIRD}, lfs=True)
        good = hub.answers[hub.address("weights")]
        answers = [good, (429, {"Retry-After": "1"}, b"")]  # HEAD comes last, when the bytes are here
        hub.answers[hub.address("weights")] = lambda headers: answers.pop() if answers else good
        ask("pull", "alice/x", hub=hub.url)
    assert contents(tmp_path / "work" / "x") == {"weights": b"x" * THIRD}


def test_a_spoilt_file_of_the_cache_is_downloaded_again(ask, live_hub, folder, tmp_path):
    ask("push", folder, "alice/spoilt-cache", hub=live_hub, who="alice")
    ask("pull", "alice/spoilt-cache", "--to", "one", hub=live_hub)
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        [cached] = (tmp_path / "hf").rglob(f"snapshots/*/{name}")
        cached.write_text("spoilt")
    ask("pull", "alice/spoilt-cache", "--to", "two", hub=live_hub)
    assert contents(tmp_path / "work" / "two") == contents(tmp_path / "work" / "one")
    ask("pull", "alice/spoilt-cache", "--to", "three", hub=live_hub)


def test_files_are_chosen_linked_and_verified(ask, live_hub, folder, tmp_path):
    name = "alice/chosen"
    commit = ask("push", folder, name, hub=live_hub, who="alice")["revision"]
    planned = ask("pull", name, "--exclude", "notes/", "--exclude", ".git*", "--dry-run", hub=live_hub)
    assert {row["path"] for row in planned["files"]} == contents(folder).keys() - {"notes/read me.txt"}
    assert not any(row["is_here"] for row in planned["files"])
    assert list((tmp_path / "work").iterdir()) == []
    assert ask("pull", name, "--include", "*.json", "--link", hub=live_hub)["files"] == 1
    linked = tmp_path / "work" / "chosen" / "adapter_config.json"
    assert linked.stat().st_nlink == 2
    ask("pull", name, "--include", "nothing", hub=live_hub, status=2)
    ask("pull", name, "--to", "whole", hub=live_hub)
    assert (tmp_path / "work" / "whole" / "adapter_config.json").stat().st_nlink == 1
    equal = ask("verify", "whole", name, hub=live_hub)
    assert (equal["is_equal"], equal["revision"]) == (True, commit)
    (tmp_path / "work" / "whole" / "more.txt").touch()
    (tmp_path / "work" / "whole" / "README.md").write_text("other")
    (tmp_path / "work" / "whole" / "adapter_config.json").unlink()
    differs = ask("verify", "whole", f"{name}@{commit}", hub=live_hub, status=1)
    assert {row["path"]: row["state"] for row in differs["files"] if row["state"] != "same"} == {
        "README.md": "changed",
        "adapter_config.json": "missing",
        "more.txt": "extra",
    }
    ask("verify", "nowhere", name, hub=live_hub, status=2)
    ask("verify", "whole", f"{name}@v9", hub=live_hub, status=4)
