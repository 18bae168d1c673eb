"""A walk through the commands that look at an adapter and name its versions, against a real hub; and their misuse."""

import functools
import io
import json
import os
import pty
import shutil
import subprocess
import sys

import pytest
from rich.console import Console

from dovetail import cli
from dovetail.api import queries
from dovetail.commands.printer import Printer
from tests import live
from tests.live import ROOT
from tests.sweep import sweep

NAME = "alice/walked"


def test_an_adapter_is_found_compared_named_and_deleted(ask, live_hub, folder):
    ask = functools.partial(ask, hub=live_hub, who="alice")
    first = ask("push", folder, NAME)["revision"]
    config = folder / "adapter_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"lora_alpha": 3}))
    (folder / "notes" / "new.txt").write_text("new")
    (folder / "README.md").unlink()
    second = ask("push", folder, NAME, "--delete", "README.md")["revision"]
    again = ask("push", folder, NAME)
    assert (again["revision"], again["is_changed"]) == (second, False)

    found = ask("search", "walked", "--author", "alice", "--kind", "lora", "--kind", "ia3", who="")
    assert [item["id"] for item in found["items"]] == [NAME]
    assert found["has_more"] is False
    assert ask("search", "walked", "--rank-min", "9999") == {"items": [], "has_more": False}

    shown = ask("info", f"{NAME}@{first[:8]}")
    assert (shown["adapter"]["latest"], shown["revision"]["revision"]) == (second, first)

    difference = ask("diff", f"{NAME}@{first}", "@main")
    assert [side["revision"] for side in (difference["a"], difference["b"])] == [first, second]
    assert {row["path"]: row["change"] for row in difference["files"]} == {
        "README.md": "removed",
        "adapter_config.json": "changed",
        "notes/new.txt": "added",
    }
    assert [(row["key"], row["b"]) for row in difference["config"]] == [("lora_alpha", 3)]
    [weights] = difference["weights"]
    assert (weights["path"], weights["state"]) == ("adapter_model.safetensors", "compared"), "by the scale alone"
    assert weights["modules"][0]["relative_change"] > 0

    assert ask("tag", "create", f"{NAME}@{first}", "v1", "-m", "First") == {
        "adapter": NAME, "tag": "v1", "revision": first,
    }  # fmt: skip
    assert ask("tag", NAME)["items"] == [{"tag": "v1", "revision": first}]
    assert ask("branch", "create", NAME, "try/one")["revision"] == second
    assert {item["branch"] for item in ask("branch", "list", NAME)["items"]} == {"main", "try/one"}
    assert ask("tag", "rm", NAME, "v1")["revision"] is None
    assert ask("branch", "rm", NAME, "try/one")["revision"] is None
    assert ask("tag", NAME)["items"] == []
    assert ask("tag", "rm", NAME, "v1", status=4)["exit_status"] == 4

    assert ask("release", "create", f"{NAME}@{first}", "v1.0.0", status=2)["code"] == "release-refused"
    (folder / "notes.md").write_text("Two epochs more.")
    made = ask("release", "create", f"{NAME}@{first}", "v1.0.0", "--notes-file", folder / "notes.md", "--force")
    assert (made["adapter"], made["revision"], made["notes"]) == (NAME, first, "Two epochs more.")
    assert ask("try", f"{NAME}@{first}", "A fine film.", status=2)["code"] == "tryout-refused"
    edited = ask("release", "edit", NAME, "v1.0.0", "--title", "One", "--prerelease")
    assert (edited["title"], edited["notes"], edited["prerelease"]) == ("One", "Two epochs more.", True)
    assert ask("release", "edit", NAME, "v1.0.0", "-m", "", "--no-prerelease")["notes"] == ""
    assert [(row["tag"], row["latest"]) for row in ask("release", NAME, who="")["items"]] == [("v1.0.0", True)]
    assert ask("release", "rm", NAME, "v1.0.0", "--with-tag")["revision"] is None
    assert ask("tag", NAME)["items"] == []

    (folder / "more.txt").write_text("more")
    assert ask("push", folder, NAME, "--create-pr")["pull_request"]
    (folder / "other.txt").write_text("other")
    ask("push", folder, NAME, "--create-pr")
    assert [row["number"] for row in ask("pr", NAME)["items"]] == [2, 1]
    merged = ask("pr", "merge", NAME, "1")["revision"]
    assert merged == ask("info", NAME)["adapter"]["latest"] != second
    ask("pr", "close", NAME, "2")
    assert ask("pr", NAME)["items"] == []
    assert {row["status"] for row in ask("pr", "list", NAME, "--status", "closed")["items"]} == {"merged", "closed"}

    assert ask("yank", f"{NAME}@{first}", "-m", "Wrong.")["yanked"]["reason"] == "Wrong."
    assert ask("unyank", f"{NAME}@{first}")["yanked"] is None

    assert ask("delete", NAME, "--yes", who="carol", status=3)["exit_status"] == 3
    assert ask("delete", NAME, status=2)["fix"].startswith("Add --yes")
    assert ask("delete", NAME, "--yes") == {"adapter": NAME, "deleted": True}
    assert ask("info", NAME, status=4)["code"] == "adapter-not-found"
    assert ask("delete", NAME, "--yes", status=4)["code"] == "adapter-not-found"


def test_refusals_name_what_is_near_and_what_there_is(ask, live_hub, folder):
    ask = functools.partial(ask, hub=live_hub, who="alice")
    ask("push", folder, "alice/nearby-reviews")
    for words, fix in (
        (("pull", "alice/nearby-review"), "Did you mean alice/nearby-reviews?"),
        (("pull", "alise/nearby-reviews"), "Did you mean alice/nearby-reviews?"),
        (("lock", "alice/nearby-reviews@mian"), "Did you mean alice/nearby-reviews@main?"),
        (("info", "alice/nearby-reviews@zzz"), "It has main, and ids of commits."),
        (("derive", "alice/nearby-reviews", "--to", "bf16", "--into", "bob/qqqq"), f"at {live_hub.url}/new or by a"),
    ):
        assert fix in ask(*words, status=4)["fix"], words
    assert "Check the spelling" in ask("pull", "bob/never-was-here", status=4)["fix"]
    for words, names in (
        (("search", "--engine", "vlm"), "engine: vlm is none of vllm, sglang, "),
        (("report", "alice/nearby-reviews", "--reason", "bad"), "reason: bad is none of malware, "),
        (("combine", folder, folder, "--method", "lin", "--out", "x"), "There is no method 'lin'."),
        (("convert", folder, "--to", "onnx", "--out", "x"), "There is no format 'onnx'."),
    ):
        refused = ask(*words, status=2)
        assert refused["detail"].startswith(names), words
        assert "--help" in refused["fix"] or "Use one of" in refused["fix"], words


def test_people_read_rows_and_quiet_is_the_first_column(here, ask, live_hub, folder):
    name = "alice/read-by-people"
    ask("push", folder, name, hub=live_hub, who="alice")
    searched = here("search", "read-by-people", hub=live_hub)
    assert searched.stdout.split("\t")[:3] == [name, "queued", "lora"]
    assert here("search", "read-by-people", "-q", hub=live_hub).stdout == f"{name}\n"
    shown = here("info", name, hub=live_hub).stdout
    assert f"page       {live_hub.url}/{name}\n" in shown
    assert "verified   no version\n" in shown
    same = here("diff", name, "@main", hub=live_hub)
    assert (same.stdout, "files are the same" in same.stderr) == ("", True)


def test_a_search_reads_pages_until_it_has_enough(ask, live_hub, folder, monkeypatch):
    names = [f"alice/paged-{number}" for number in range(3)]
    for name in names:
        ask("push", folder, name, "--no-check", hub=live_hub, who="alice")
    monkeypatch.setattr(queries, "LARGEST_PAGE", 1)
    found = ask("search", "paged", "--limit", "2", "--sort", "created", hub=live_hub)
    assert ([item["id"] for item in found["items"]], found["has_more"]) == (names[:0:-1], True)


def test_a_deletion_asks_for_the_name(ask, live_hub, folder, tmp_path):
    name = "alice/asked"
    ask("push", folder, name, hub=live_hub, who="alice")
    known = {key: value for key, value in os.environ.items() if not key.startswith(("DOVETAIL_", "HF_"))}
    known |= {"PYTHONPATH": str(ROOT / "client" / "src"), "DOVETAIL_HOME": str(tmp_path / "home")}
    known |= {"DOVETAIL_ENDPOINT": live_hub.url, "DOVETAIL_TOKEN": live.TOKENS["alice"]}
    command = [sys.executable, "-m", "dovetail", "delete", name]

    def type_in(text: str) -> int:
        ours, theirs = pty.openpty()
        with subprocess.Popen(command, env=known, stdin=theirs, stdout=theirs, stderr=theirs) as process:
            os.close(theirs)
            shown = b""
            while b"all its versions" not in shown:
                shown += os.read(ours, 4096)
            os.write(ours, text.encode())
            status = process.wait(60)
        os.close(ours)
        return status

    assert type_in("alice/as\n") == 2
    ask("info", name, hub=live_hub, who="alice")
    assert type_in(f"{name}\n") == 0
    ask("info", name, hub=live_hub, who="alice", status=4)


WRONG = [
    ("search", "--limit", "0"),
    ("search", "--rank-min", "many"),
    ("info",),
    ("info", "ab"),
    ("info", "a/b@"),
    ("diff", "a/b"),
    ("diff", "a/b", "@"),
    ("tag", "create", "a/b"),
    ("tag", "frobnicate", "a/b"),
    ("tag", "ab"),
    ("branch", "rm", "a/b"),
    ("release", "create", "a/b"),
    ("release", "create", "a/b", "v1.0.0", "-m", "x", "--notes-file", "y"),
    ("release", "edit", "a/b", "v1.0.0"),
    ("release", "ab"),
    ("branch", "create", "ab", "x"),
    ("pr", "merge", "a/b", "first"),
    ("pr", "merge", "a/b", "0"),
    ("pr", "list", "a/b", "--status", "lost"),
    ("pr", "close", "ab", "1"),
    ("yank", "a/b@main"),
    ("yank", "a/b", "-m", "x"),
    ("unyank", "a/b"),
    ("delete",),
    ("delete", "ab", "--yes"),
    ("report", "a/b"),
    ("report", "a/b@", "--reason", "spam"),
    ("alias", "set", "a/b", "prod"),
    ("alias", "rollback", "a/b"),
    ("verdict", "a/b", "--timeout", "-1"),
    ("verdict", "ab"),
    ("try", "ab", "x"),
    ("try", "a/b"),
    ("try", "a/b", "x", "--tokens", "0"),
    ("pull", "ab"),
    ("push", "."),
    ("fit", "nowhere"),
    ("check", "nowhere"),
    ("repair", "ab"),
    ("help", "frobnicate"),
    ("help", "tag", "frobnicate"),
    ("version", "x"),
]


@sweep("words", WRONG)
def test_misuse_is_status_2_with_a_sentence_and_json_without_a_request(words, capsys, monkeypatch):
    """In this process, since it never gets as far as a request: nobody answers at that address."""
    monkeypatch.setattr(cli, "settle_streams", lambda: None)
    monkeypatch.setenv("DOVETAIL_ENDPOINT", "http://127.0.0.1:9")
    for flags in ((), ("--json",)):
        with pytest.raises(SystemExit) as left:
            cli.main([*words, *flags])
        shown = capsys.readouterr()
        assert left.value.code == 2, shown
        assert "Traceback" not in shown.err
        if flags:
            document = json.loads(shown.out)
            assert (document["code"], document["exit_status"], document["schema"]) == ("client-usage", 2, 1)
            assert shown.err == ""
        else:
            assert shown.out == ""
            assert shown.err.startswith("dovetail: ")


@pytest.mark.parametrize("width", [60, 80, 100, 160])
def test_ids_are_whole_however_narrow_the_terminal_is(width):
    out = io.StringIO()
    printer = Printer(as_json=False, quiet=False)
    printer.out = Console(file=out, width=width, force_terminal=True, color_system=None)
    name = "an-organisation/an-adapter-with-a-long-name"
    row = [name, "passed", "lora", "sentence-transformers/all-MiniLM-L6-v2", "text-classification", 12, "2026-12-03"]
    printer.rows(("adapter", "verdict", "kind", "base", "task", "downloads", "updated"), [row, ["a/b", *row[1:]]])
    lines = out.getvalue().splitlines()
    assert len(lines) == 3
    assert lines[1].startswith(f"{name}  passed")
    assert max(map(len, lines)) <= width
    assert ("updated" in lines[0]) == (width == 160)


def test_several_folders_are_checked_by_folder_by_file_and_below(here, folder, tmp_path):
    home = tmp_path / "work" / "all"
    for name in ("one", "deep/two"):
        shutil.copytree(folder, home / name)
    (home / "broken").mkdir()
    (home / "broken" / "adapter_config.json").write_text("{")
    several = here("check", home / "one", home / "broken" / "adapter_config.json")
    assert several.returncode == 1
    assert f"failed  {home}/broken\n" in several.stdout
    assert f"passed  {home}/one\n" in several.stdout
    below = json.loads(here("check", "--recursive", home, "--json").stdout)
    assert [one["state"] for one in below["folders"]] == ["failed", "passed", "passed"]
    files = [home / "one" / name for name in ("adapter_config.json", "adapter_model.safetensors")]
    assert here("check", *files).returncode == 0  # as a hook of pre-commit calls it
    assert here("check", home / "one", home / "broken", "--format", "sarif").returncode == 2
    (tmp_path / "work" / "empty").mkdir()
    assert "has an adapter_config.json" in here("check", "-r", tmp_path / "work" / "empty").stderr
