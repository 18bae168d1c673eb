"""Pulls over lines that break, through a cache that may be spoilt, and of chosen files; `verify` afterwards."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dovetail.store import transfers
from tests import live
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
def no_wait_between_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfers, "FIRST_WAIT_SECONDS", 0)


def contents(folder: Path) -> dict[str, bytes]:
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_a_line_that_breaks_is_gone_on_with(ask, tmp_path):
    with liar() as hub:
        line = serve_large_file(hub)
        ask("pull", "alice/x", hub=hub.url)
    assert line.offsets == [0, THIRD, 2 * THIRD]
    assert contents(tmp_path / "work" / "x") == {"weights": line.content}
    assert list((tmp_path / "cache" / "parts").iterdir()) == []


def test_a_download_that_broke_off_goes_on_in_the_next_run(ask, tmp_path, monkeypatch):
    monkeypatch.setattr(transfers, "TRIES", 1)
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
        parts = tmp_path / "cache" / "parts"
        parts.mkdir(parents=True)
        (parts / file["sha256"]).write_bytes(b"spoilt" * 100)
        assert ask("pull", "alice/x", hub=hub.url, status=5)["code"] == "client-digest-mismatch"
        ask("pull", "alice/x", hub=hub.url)
    assert contents(tmp_path / "work" / "x") == {"weights": line.content}


def test_a_rate_limit_is_waited_out(ask, tmp_path):
    with liar() as hub:
        hub.holds({"weights": b"x" * THIRD}, lfs=True)
        good = hub.answers[hub.address("weights")]
        answers = [good, (429, {"Retry-After": "1"}, b"")]
        hub.answers[hub.address("weights")] = lambda headers: answers.pop() if answers else good
        ask("pull", "alice/x", hub=hub.url)
    assert contents(tmp_path / "work" / "x") == {"weights": b"x" * THIRD}


def test_ctrl_c_ends_the_wait_for_a_rate_limit(dovetail, tmp_path):
    with liar() as hub:
        hub.holds({"weights": b"x"})
        hub.answers[hub.address("weights")] = (429, {"Retry-After": "60"}, b"")
        environment = {**os.environ, "DOVETAIL_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hf")}
        environment |= {"PYTHONPATH": str(live.ROOT / "client" / "src"), "DOVETAIL_CACHE": str(tmp_path / "cache")}
        command = [sys.executable, "-m", "dovetail", "pull", "alice/x"]
        # A run in the background ignores it, and so would its children.
        ours = signal.signal(signal.SIGINT, signal.default_int_handler)
        process = subprocess.Popen(command, cwd=tmp_path / "work", env=environment, stderr=subprocess.PIPE, text=True)
        signal.signal(signal.SIGINT, ours)
        try:
            deadline = time.monotonic() + 180
            while hub.address("weights") not in [path for path, _ in hub.asked]:
                assert time.monotonic() < deadline
                time.sleep(0.05)
            time.sleep(0.2)  # until the answer has arrived
            process.send_signal(signal.SIGINT)
            notes = process.communicate(timeout=30)[1]
        finally:
            process.kill()
    assert (process.returncode, "Stopped: x is unchanged." in notes) == (130, True), notes


def test_ctrl_c_in_a_wait_before_any_download_is_a_sentence_too(ask, monkeypatch):
    def press(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("dovetail.transport.time.sleep", press)
    with liar() as hub:
        hub.answers["/api/v1/adapters/alice/x"] = (429, {"Retry-After": "60"}, b"")
        assert ask("info", "alice/x", hub=hub.url, status=130)["detail"] == "Stopped."


def test_pulls_and_syncs_have_the_same_files(ask, live_hub, folder, tmp_path):
    name, weights = "alice/shared-bytes", "adapter_model.safetensors"
    ask("push", folder, name, hub=live_hub, who="alice")
    ask("pull", name, "--link", hub=live_hub)
    ask("lock", name, hub=live_hub)
    assert ask("sync", "--to", "served", hub=live_hub)["downloaded"] == 0
    pulled = tmp_path / "work" / "shared-bytes" / weights
    assert pulled.samefile(tmp_path / "work" / "served" / name / weights)
    (tmp_path / "cache").rename(tmp_path / "gone")  # as if huggingface_hub alone had brought the files
    assert ask("sync", "--to", "again", hub=live_hub)["downloaded"] == 0
    assert pulled.samefile(tmp_path / "work" / "again" / name / weights)
    for left in ("hf", "cache", "work/served"):
        shutil.rmtree(tmp_path / left)
    assert ask("sync", "--to", "served", hub=live_hub)["downloaded"] > 0
    ask("pull", name, "--to", "linked", "--link", hub=live_hub)
    [snapshot] = (tmp_path / "hf").rglob(f"snapshots/*/{weights}")
    for place in (snapshot, tmp_path / "work" / "served" / name / weights):
        assert place.samefile(tmp_path / "work" / "linked" / weights)


def test_a_spoilt_file_of_the_cache_is_downloaded_again(ask, live_hub, folder, tmp_path):
    ask("push", folder, "alice/spoilt-cache", hub=live_hub, who="alice")
    ask("pull", "alice/spoilt-cache", "--to", "one", hub=live_hub)
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        [cached] = (tmp_path / "hf").rglob(f"snapshots/*/{name}")
        cached.chmod(0o644)  # it is read-only, since the store and synced folders may have it too
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
    [cached] = (tmp_path / "hf").rglob("snapshots/*/adapter_config.json")
    assert linked.samefile(cached)
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
