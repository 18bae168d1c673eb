"""Commands about this machine: signing in by a browser, the cache, `doctor`, and defects of the client itself."""

import email.utils
import json
import os
import shutil
import subprocess
import sys
import time
import webbrowser

import pytest

from dovetail import __version__, cli
from dovetail.commands import account_commands
from dovetail.problems import Problem
from tests import live
from tests.client.hostile import liar
from tests.hf.test_sharing_clients import Browser


def answer_in_browser(monkeypatch, hub, deed: str, **fields: str) -> None:
    """Let carol answer a sign-in in her browser, as soon as it has begun."""
    begin = account_commands.begin_login

    def begin_and_answer(endpoint: str) -> account_commands.Request:
        request = begin(endpoint)
        browser = Browser(hub.url, "carol")
        browser.submit(f"/login/device/{deed}", page=request.page, code=request.user_code, **fields)
        return request

    monkeypatch.setattr(account_commands, "begin_login", begin_and_answer)


def sign_in(hub, monkeypatch, tmp_path, capsys) -> tuple[int, dict, str]:
    monkeypatch.setattr(cli, "settle_streams", lambda: None)
    monkeypatch.setenv("DOVETAIL_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("DOVETAIL_TOKEN", raising=False)
    with pytest.raises(SystemExit) as left:
        cli.main(["login", "--browser", "--endpoint", hub.url, "--json"])
    shown = capsys.readouterr()
    return int(str(left.value.code)), json.loads(shown.out), shown.err


def test_a_login_is_approved_in_a_browser(dovetail, live_hub, monkeypatch, tmp_path, capsys):
    answer_in_browser(monkeypatch, live_hub, "approve", role="write")
    status, document, notes = sign_in(live_hub, monkeypatch, tmp_path, capsys)
    assert (status, document["name"]) == (0, "carol")
    assert f"Open {live_hub.url}/login/device?code=" in notes
    assert dovetail("whoami").stdout == "carol\n"


@pytest.mark.merge
def test_a_login_that_is_denied_in_the_browser_keeps_nothing(live_hub, monkeypatch, tmp_path, capsys):
    answer_in_browser(monkeypatch, live_hub, "deny")
    status, document, _ = sign_in(live_hub, monkeypatch, tmp_path, capsys)
    assert (status, document["code"]) == (3, "client-sign-in-access-denied")
    assert not (tmp_path / "home").exists()


def test_a_login_waits_as_long_as_the_hub_says():
    waits: list[float] = []
    words = ["authorization_pending", "slow_down", "authorization_pending", "expired_token"]

    def refuse(_: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        return 400, {}, json.dumps({"error": words[len(waits) - 1]}).encode()

    with liar() as hub:
        hub.answers["/oauth/token"] = refuse
        request = account_commands.Request("d", "ABCD-EFGH", "http://x", "http://x", interval=2, expires_in=900)
        with pytest.raises(Problem, match="not used in time"):
            account_commands.wait_for_token(hub.url, request, sleep=waits.append)
        assert waits == [2, 2, 7, 7]
        with pytest.raises(Problem) as said:
            account_commands.begin_login(hub.url)
        assert said.value.code == "client-no-hub"


def test_an_address_that_is_no_page_is_not_opened(monkeypatch):
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(webbrowser, "open", lambda page: True)
    assert account_commands.open_page("https://hub.example.org/login/device")
    assert not account_commands.open_page("file:///etc/passwd")


def test_the_cache_is_listed_measured_and_pruned(ask, live_hub, folder, tmp_path):
    name = "alice/cached"
    assert ask("cache", "size", hub=live_hub)["size"] == 0
    commit = ask("push", folder, name, hub=live_hub, who="alice")["revision"]
    ask("pull", name, hub=live_hub)
    (folder / "README.md").write_text("# Second\n")
    second = ask("push", folder, name, hub=live_hub, who="alice")["revision"]
    ask("pull", name, "--to", "second", hub=live_hub)
    listed = ask("cache", "list", hub=live_hub)["items"]
    assert {(row["repository"], row["revision"]) for row in listed} == {(name, commit), (name, second)}
    assert ask("cache", "size", hub=live_hub)["versions"] == 2
    assert ask("cache", "prune", "--days", "1", hub=live_hub)["items"] == []
    planned = ask("cache", "prune", f"{name}@{commit[:9]}", "--dry-run", hub=live_hub)
    assert [row["revision"] for row in planned["items"]] == [commit]
    assert ask("cache", "size", hub=live_hub)["versions"] == 2
    assert ask("cache", "prune", f"{name}@{commit[:9]}", hub=live_hub)["is_removed"] is True
    assert [row["revision"] for row in ask("cache", "list", hub=live_hub)["items"]] == [second]
    ask("cache", "prune", "alice/other", hub=live_hub)
    ask("lock", name, hub=live_hub)
    assert ask("sync", "--to", "served", hub=live_hub)["downloaded"] == 0
    parts = [
        tmp_path / "cache" / "parts" / ("0" * 64),
        tmp_path / "hf" / "hub" / "models--alice--x" / "blobs" / "x.incomplete",
    ]
    parts[1].parent.mkdir(parents=True)
    for part in parts:
        part.write_bytes(b"part")
    os.utime(parts[0], (0, 0))
    before = ask("cache", "size", hub=live_hub)
    assert before["size"] == before["store"]["size"] + 8, "a file of both caches counts once"
    assert before["parts"] == {"files": 2, "size": 8}
    first = ask("cache", "prune", "--days", "0", hub=live_hub)
    assert (len(first["items"]), first["files"], first["parts"], first["size"]) == (1, 0, 1, 4), "what is served stays"
    assert [part.exists() for part in parts] == [False, True], "a part that grows is somebody's download"
    assert ask("cache", "list", "--all", hub=live_hub)["items"] == []
    shutil.rmtree(tmp_path / "work" / "served")
    planned = ask("cache", "prune", "--days", "0", "--dry-run", hub=live_hub)
    second = ask("cache", "prune", "--days", "0", hub=live_hub)
    assert second["size"] == planned["size"] == before["store"]["size"]
    assert ask("cache", "size", hub=live_hub)["size"] == 4
    ask("cache", "prune", hub=live_hub, status=2)


def findings(document: dict) -> dict[str, str]:
    return {row["name"]: row["outcome"] for row in document["findings"]}


def test_the_doctor_finds_what_stands_in_the_way(ask, live_hub, monkeypatch):
    healthy = ask("doctor", hub=live_hub, who="alice")
    assert {outcome for name, outcome in findings(healthy).items() if name != "newer"} == {"passed"}, healthy
    assert findings(ask("doctor", hub=live_hub))["token"] == "warned"
    away = ask("doctor", hub="http://127.0.0.1:9", status=5)
    assert (findings(away)["hub"], "token" in findings(away)) == ("failed", False)
    assert findings(ask("doctor", hub="ftp://x", status=2))["address"] == "failed"
    wrong = ask("doctor", "--token", "dvt_wrong", hub=live_hub, status=3)
    assert findings(wrong)["token"] == "failed"
    monkeypatch.setenv("HF_ENDPOINT", "https://huggingface.co")
    assert findings(ask("doctor", hub=live_hub))["variables"] == "warned"
    assert all(row["fix"] for document in (away, wrong) for row in document["findings"] if row["outcome"] == "failed")


def test_the_doctor_tells_of_a_newer_client(ask):
    with liar() as hub:
        hub.says("/site", {"version": "1.0"})
        line = "/simple/dovetail-hub/latest.txt"
        for served, is_newer in (("99.0.1", True), ("99.0.dev3%2Bgabc", True), (__version__, False), ("0.0.9", False)):
            wheel = f"dovetail-hub @ {hub.url}/simple/dovetail-hub/dovetail_hub-{served}-py3-none-any.whl#sha256=00"
            hub.answers[line] = (200, {}, wheel.encode())
            told = ask("doctor", hub=hub.url)["findings"]
            assert [row["fix"] for row in told if row["name"] == "newer"] == (
                [f"Run `pip install -r {hub.url}{line}`."] if is_newer else []
            )
        for odd in ((404, {}, b""), (200, {}, b"<html>"), (200, {}, b"/dovetail_hub-x-py3-none-any.whl")):
            hub.answers[line] = odd
            assert "newer" not in findings(ask("doctor", hub=hub.url))


def test_the_doctor_compares_the_clocks(ask):
    with liar() as hub:
        hub.says("/site", {"version": "1.0"})
        status, headers, body = hub.answers["/api/v1/site"]
        ahead = email.utils.formatdate(time.time() + 3600, usegmt=True)
        hub.answers["/api/v1/site"] = (status, headers | {"Date": ahead}, body)
        document = ask("doctor", hub=hub.url, status=7)
    [clock] = [row for row in document["findings"] if row["name"] == "clock"]
    assert (clock["outcome"], "behind the hub's" in clock["message"]) == ("failed", True)


def test_the_doctor_finds_a_cache_that_cannot_be_written(ask, live_hub, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "file" / "hub"))
    document = ask("doctor", hub=live_hub, who="alice", status=7)
    assert findings(document)["cache"] == "failed"


@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_a_defect_of_the_client_is_a_sentence_and_no_verdict(flags, tmp_path):
    program = (
        "import sys; from dovetail import __main__, cli; sys.argv = ['dovetail', 'version', *sys.argv[1:]]\n"
        "def fail(*_): raise LookupError('a defect')\n"
        "cli.main = fail; __main__.main()"
    )
    environment = {"PYTHONPATH": str(live.ROOT / "client" / "src"), "PATH": ""}
    done = subprocess.run([sys.executable, "-c", program, *flags], env=environment, capture_output=True, text=True)
    assert done.returncode == 70
    assert "LookupError: a defect" in (done.stdout if flags else done.stderr)
    assert "Traceback" not in done.stdout + done.stderr


def test_what_ctrl_c_becomes_on_its_way_is_no_defect():
    """The interpreter turns it into other errors: within an import, a class that is made, a callback."""
    start = (
        "import signal, sys, types, weakref; from dovetail import __main__\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a run in the background ignores it
        "ctrl_c = lambda *_: signal.raise_signal(signal.SIGINT)\n"
        "class Named: __set_name__ = ctrl_c\n"
        "def in_a_class(*_):\n    class Holder: named = Named()\n"
        "def in_a_handler():\n    try: ctrl_c()\n    finally: int('the error after it')\n"
        "def in_a_callback():\n    gone = weakref.ref(type('C', (), {})(), ctrl_c)\n"
    )
    ends = {
        "import": "sys.meta_path.insert(0, types.SimpleNamespace(find_spec=in_a_class))",
        **{
            name: f"sys.modules['dovetail.cli'] = types.SimpleNamespace(main={name})"
            for name in ("ctrl_c", "in_a_class", "in_a_handler", "in_a_callback")
        },
    }
    environment = {"PYTHONPATH": str(live.ROOT / "client" / "src"), "PATH": ""}
    for name, end in ends.items():
        command = [sys.executable, "-c", f"{start}{end}; __main__.main()"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert (done.returncode, "Stopped" in done.stderr, "Traceback" in done.stderr) == (130, True, False), name
