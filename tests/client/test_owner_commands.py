"""What owners do by the command, against a real hub; versions, files, addresses of pages, and completion."""

import functools
import os
import subprocess
import sys
import urllib.request

import pytest

from dovetail.adapters.results.report import Evaluation
from dovetail.api.client import Client
from dovetail.verdicts import Verdict
from tests import live
from tests.client.test_machine import answer_in_browser


def post(hub: live.Hub, who: str, path: str) -> None:
    headers = {"Authorization": f"Bearer {live.TOKENS[who]}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{hub.url}/api/v1{path}", b"{}", headers, method="POST")
    urllib.request.urlopen(request).close()


def test_a_repository_is_created_changed_listed_and_deleted(ask, here, live_hub):
    ask = functools.partial(ask, hub=live_hub, who="alice")
    made = ask("repo", "create", "alice/empty", "--private")
    assert (made["id"], made["private"]) == ("alice/empty", True)
    assert ask("repo", "create", "alice/empty", status=2)["exit_status"] == 2
    assert ask("repo", "create", "carol/stolen", status=3)["exit_status"] == 3
    assert "alice/empty" in [item["id"] for item in ask("repo", "list")["items"]]
    assert "alice/empty" not in [item["id"] for item in ask("repo", "list", "alice", who="carol")["items"]]
    assert ask("repo", "visibility", "alice/empty", "public")["private"] is False
    assert "alice/empty" in [item["id"] for item in ask("repo", "list", "alice", who="carol")["items"]]
    assert ask("repo", "visibility", "alice/empty", "private", who="carol", status=3)["exit_status"] == 3
    assert ask("repo", "gate", "alice/empty", "manual")["gated"] == "manual"
    assert ask("repo", "rename", "alice/empty", "alice/full")["id"] == "alice/full"
    shown = here("repo", "list", hub=live_hub, who="alice").stdout.splitlines()
    assert [line.split("\t")[1] for line in shown if line.startswith("alice/full\t")] == ["public"]
    assert ask("repo", "delete", "alice/full", status=2)["fix"].startswith("Add --yes")
    assert ask("repo", "delete", "alice/full", "--yes")["deleted"] is True
    assert ask("info", "alice/full", status=4)["code"] == "adapter-not-found"


def test_an_organisation_with_members_and_teams(ask, here, live_hub):
    ask = functools.partial(ask, hub=live_hub, who="alice")
    made = ask("org", "create", "shell-lab", "--title", "The lab", "--visibility", "private")
    assert (made["name"], made["full_name"], made["default_visibility"]) == ("shell-lab", "The lab", "private")
    assert ("shell-lab", "admin") in [(row["name"], row["role"]) for row in ask("org", "list")["items"]]
    assert ask("org", "invite", "shell-lab", "carol", "read")["role"] == "read"
    assert [row["name"] for row in ask("org", "invitations", "shell-lab")["items"]] == ["carol"]
    assert ask("org", "members", "shell-lab", who="carol", status=3)["exit_status"] == 3
    post(live_hub, "carol", "/me/invitations/shell-lab/accept")
    assert ask("org", "role", "shell-lab", "carol", "write")["role"] == "write"
    assert ask("team", "create", "shell-lab", "ner", "--title", "Entities")["full_name"] == "Entities"
    assert ask("team", "add", "shell-lab", "ner", "carol")["members"] == ["carol"]
    assert ask("team", "grant", "shell-lab", "ner", "ner-*", "write")["grants"] == [
        {"pattern": "ner-*", "type": "any", "role": "write"}
    ]
    rows = here("team", "list", "shell-lab", hub=live_hub, who="alice").stdout
    assert rows == "ner\tcarol\tner-*:any:write\n"
    members = here("org", "members", "shell-lab", hub=live_hub, who="alice").stdout
    assert members.splitlines() == ["alice\tadmin\t", "carol\twrite\tner"]
    assert ask("team", "revoke", "shell-lab", "ner", "ner-*")["pattern"] == "ner-*"
    assert ask("team", "remove", "shell-lab", "ner", "carol")["user"] == "carol"
    assert [(row["members"], row["grants"]) for row in ask("team", "list", "shell-lab")["items"]] == [([], [])]
    assert ask("team", "delete", "shell-lab", "ner")["team"] == "ner"
    assert ask("org", "remove", "shell-lab", "carol")["user"] == "carol"
    told = here("org", "role", "shell-lab", "alice", "admin", hub=live_hub, who="alice")
    assert (told.stdout, told.stderr) == ("alice\n", "alice has the role admin in shell-lab.\n")
    assert ask("org", "delete", "shell-lab", status=2)["fix"].startswith("Add --yes")
    assert ask("org", "delete", "shell-lab", "--yes")["org"] == "shell-lab"


def test_a_token_sees_itself_and_another_is_made_in_a_browser(ask, here, live_hub, monkeypatch):
    [own] = ask("token", "list", hub=live_hub, who="alice")["items"]
    refused = ask("token", "revoke", own["id"], hub=live_hub, who="alice", status=3)
    assert refused["code"] == "session-required"
    answer_in_browser(monkeypatch, live_hub, "approve", role="read")
    made = here("token", "create", hub=live_hub).stdout.strip()
    assert Client(live_hub.url, made).whoami().token.role == "read"


def test_a_webhook_is_added_tested_and_removed(ask, here, live_hub, folder):
    ask = functools.partial(ask, hub=live_hub, who="alice")
    ask("push", folder, "alice/watched", "--no-check")
    made = ask("webhook", "add", "https://ci.example.org/hook", "alice/watched", "org:acme", "--domain", "verdict")
    watched = [{"type": "model", "name": "alice/watched"}, {"type": "org", "name": "acme"}]
    assert (made["watched"], made["domains"], made["disabled"]) == (watched, ["verdict"], False)
    rows = here("webhook", "list", hub=live_hub, who="alice").stdout.splitlines()
    assert f"{made['id']}\thttps://ci.example.org/hook\tmodel:alice/watched org:acme\tverdict\tno" in rows
    assert ask("webhook", "test", made["id"])["state"]
    assert ask("webhook", "remove", made["id"], who="carol", status=4)["exit_status"] == 4
    assert ask("webhook", "remove", made["id"])["webhook"] == made["id"]
    assert made["id"] not in [item["id"] for item in ask("webhook", "list")["items"]]
    refused = here("webhook", "add", "https://x.example", "acme", hub=live_hub, who="alice")
    assert (refused.returncode, "Write user:acme or org:acme." in refused.stderr) == (2, True)


def test_versions_have_their_names_and_scores(ask, here, live_hub, folder, monkeypatch):
    ask = functools.partial(ask, hub=live_hub, who="alice")
    first = ask("push", folder, "alice/told", "--no-check")["revision"]
    (folder / "more.txt").write_text("more")
    second = ask("push", folder, "alice/told", "--no-check")["revision"]
    ask("alias", "set", f"alice/told@{first}", "prod", "--force", "-m", "No worker runs here.")
    ask("tag", "create", f"alice/told@{first}", "v1")
    rows = ask("versions", "alice/told")
    assert [(row["revision"], row["names"], row["score"]) for row in rows["items"][:2]] == [
        (second, ["main"], None), (first, ["prod", "v1"], None),
    ]  # fmt: skip
    assert ask("versions", "alice/told", "--limit", "1")["has_more"] is True
    scored = Verdict("passed", evals=(Evaluation(name="sst2", metric="accuracy", adapter=0.875, base=0.5, rows=24),))
    monkeypatch.setattr(Client, "verdict", lambda self, name, oid: scored)
    monkeypatch.setattr("dovetail.commands.search_commands.PROVEN", ("queued",))
    score = {"name": "sst2", "metric": "accuracy", "value": 0.875, "rows": 24}
    assert ask("versions", "alice/told")["items"][0]["score"] == score
    line = here("versions", "alice/told", hub=live_hub, who="alice").stdout.splitlines()[0]
    assert line.split("\t")[:4] == [second[:12], "queued", "accuracy 0.875", "main"]


def test_a_page_is_opened_and_a_file_is_written_as_it_is(ask, here, live_hub, folder):
    revision = ask("push", folder, "alice/read-aloud", "--no-check", hub=live_hub, who="alice")["revision"]
    page = f"{live_hub.url}/alice/read-aloud"
    assert here("open", "alice/read-aloud", hub=live_hub).stdout == f"{page}\n"
    assert ask("open", "alice/read-aloud@main", hub=live_hub)["url"] == f"{page}/tree/main"
    assert ask("open", "alice/nothing-here", hub=live_hub, who="alice", status=4)["code"] == "adapter-not-found"
    weights = (folder / "adapter_model.safetensors").read_bytes()
    shown = ask("cat", "alice/read-aloud", "notes/read me.txt", hub=live_hub)
    assert shown == {"revision": revision, "path": "notes/read me.txt", "size": 8, "text": "größer"}
    refused = ask("cat", "alice/read-aloud", "adapter_konfig.json", hub=live_hub, status=4)
    assert (refused["code"], refused["fix"]) == ("client-no-file", "Did you mean adapter_config.json?")
    known = {name: value for name, value in os.environ.items() if not name.startswith(("DOVETAIL_", "HF_"))}
    known |= {"PYTHONPATH": str(live.ROOT / "client" / "src"), "DOVETAIL_ENDPOINT": live_hub.url}
    command = [sys.executable, "-m", "dovetail", "cat", f"{page}/tree/main", "adapter_model.safetensors"]
    assert subprocess.check_output(command, env=known) == weights


def test_the_address_of_a_page_is_a_name(ask, live_hub, folder):
    ask = functools.partial(ask, hub=live_hub, who="alice")
    first = ask("push", folder, "alice/by-address", "--no-check")["revision"]
    (folder / "more.txt").write_text("more")
    ask("push", folder, f"{live_hub.url}/alice/by-address", "--no-check")
    page = f"{live_hub.url}/alice/by-address"
    assert ask("info", page)["adapter"]["id"] == "alice/by-address"
    for address in (
        f"{page}/tree/{first}",
        f"{page}/commit/{first}?x=1#top",
        f"{page}/blob/{first}/adapter_config.json",
    ):
        assert ask("info", address)["revision"]["revision"] == first, address
    assert ask("tag", "create", f"{page}/tree/{first}/notes", "v1")["revision"] == first
    assert ask("tag", "list", f"{page}/tree/{first}")["items"] == [{"tag": "v1", "revision": first}]
    assert ask("lock", f"{page}/commit/{first}")["adapters"][0]["revision"] == first
    for wrong in ("https://huggingface.co/alice/by-address", live_hub.url, f"{live_hub.url}/alice"):
        refused = ask("info", wrong, status=2)
        assert "is no page of an adapter at" in refused["detail"], wrong


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("dovetail info alice/complet", ["alice/completed"]),
        (
            "dovetail pull alice/completed@",
            ["alice/completed@try-one", "alice/completed@main", "alice/completed@verified"],
        ),
        ("dovetail branch rm alice/completed t", ["try-one"]),
        ("dovetail search --sort dow", ["downloads"]),
        ("dovetail org role acme bob w", ["write"]),
        ("dovetail repo v", ["visibility"]),
    ],
)
def test_the_shell_completes_values(dovetail, ask, live_hub, folder, typed, offered):
    ask("push", folder, "alice/completed", "--no-check", hub=live_hub, who="alice")
    branches = ask("branch", "list", "alice/completed", hub=live_hub)["items"]
    if len(branches) == 1:
        ask("branch", "create", "alice/completed", "try-one", hub=live_hub, who="alice")
    words = {"COMP_WORDS": typed, "COMP_CWORD": str(len(typed.split()) - 1), "_DOVETAIL_COMPLETE": "complete_bash"}
    assert sorted(dovetail(hub=live_hub, **words).stdout.split()) == sorted(offered)
    assert dovetail(hub="http://127.0.0.1:9", **words).stderr == "", (
        "a hub that is away offers nothing, and says nothing"
    )
