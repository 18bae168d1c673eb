"""The way there and back, against a real hub, and against hubs that lie."""

import hashlib
import json
import os
from pathlib import Path

import pytest

import dovetail as library
from dovetail import ids
from dovetail.api import upload
from dovetail.problems import Problem
from tests import live
from tests.client.hostile import OID, liar
from tests.sweep import sweep


def contents(folder: Path) -> dict[str, bytes]:
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_what_was_pushed_comes_back_byte_by_byte(dovetail, live_hub, folder, tmp_path):
    pushed = dovetail("push", folder, "alice/there-and-back", "-m", "First", hub=live_hub, who="alice")
    assert pushed.returncode == 0, pushed.stderr
    first, page = pushed.stdout.splitlines()
    commit = first.rpartition(" ")[2]
    assert page == f"{live_hub.url}/alice/there-and-back/tree/{commit}"
    pulled = dovetail("pull", "alice/there-and-back", hub=live_hub)
    assert (pulled.returncode, pulled.stdout.splitlines()[-1]) == (0, "there-and-back")
    assert "Its verdict is queued" in pulled.stderr
    back = contents(tmp_path / "work" / "there-and-back")
    assert back.pop(".gitattributes")
    assert back == contents(folder)
    again = dovetail("push", folder, "alice/there-and-back", "--quiet", hub=live_hub, who="alice")
    assert (again.stdout, again.stderr) == (f"{commit}\n", ""), "the same content again is the same commit"


def test_a_revision_is_pulled_by_its_commit(here, live_hub, folder, tmp_path):
    push = ("push", folder, "alice/history", "--json")
    first = json.loads(here(*push, hub=live_hub, who="alice").stdout)
    (folder / "README.md").write_text("# Second\n")
    second = json.loads(here(*push, hub=live_hub, who="alice").stdout)
    assert first["revision"] != second["revision"]
    for document, expected in ((first, "license"), (second, "# Second")):
        to = tmp_path / document["revision"][:5]
        assert here("pull", f"alice/history@{document['revision'][:12]}", "--to", to, hub=live_hub).returncode == 0
        assert expected in (to / "README.md").read_text()
    missing = here("pull", "alice/history@v9", hub=live_hub)
    assert missing.returncode == 4
    assert "v9" in missing.stderr


def test_pulling_again_brings_what_changed_and_leaves_the_rest(here, live_hub, folder, tmp_path):
    here("push", folder, "alice/again", hub=live_hub, who="alice")
    to = tmp_path / "work" / "again"
    here("pull", "alice/again", hub=live_hub)
    weights = to / "adapter_model.safetensors"
    before = weights.stat().st_ino
    (to / "README.md").write_text("spoilt")
    (to / "mine.txt").write_text("mine")
    assert here("pull", "alice/again", hub=live_hub).returncode == 0
    assert "license" in (to / "README.md").read_text()
    assert (to / "mine.txt").read_text() == "mine"
    assert weights.stat().st_ino == before, "a file that is here already is not brought again"
    assert [path.name for path in (tmp_path / "work").iterdir()] == ["again"], "nothing is left beside it"


def test_a_private_adapter_is_missing_for_strangers(here, live_hub, folder):
    assert here("push", folder, "acme/hidden", "--private", hub=live_hub, who="bob").returncode == 0
    assert here("pull", "acme/hidden", hub=live_hub, who="erin").returncode == 0
    hidden, nothing = (here("pull", f"acme/{name}", hub=live_hub, who="carol") for name in ("hidden", "nothing"))
    assert hidden.returncode == nothing.returncode == 4
    assert hidden.stderr.replace("hidden", "nothing") == nothing.stderr


def test_waiting_for_the_verdict_of_what_is_no_adapter_says_that_there_is_none(here, live_hub, tmp_path):
    (tmp_path / "words").mkdir()
    (tmp_path / "words" / "README.md").write_text("# Words\n")
    done = here("push", tmp_path / "words", "alice/words", "--wait", hub=live_hub, who="alice")
    assert done.returncode == 6
    assert "no verdict" in done.stderr


def test_who_may_not_push_is_told_so(here, live_hub, folder):
    for who, where in (("carol", "alice/x"), ("erin", "acme/x")):
        done = here("push", folder, where, hub=live_hub, who=who)
        assert done.returncode == 3
        assert where.partition("/")[0] in done.stderr
    readonly = here("push", folder, "alice/x", hub=live_hub, DOVETAIL_TOKEN=live.READ_TOKEN)
    assert readonly.returncode == 3


def test_a_verdict_that_waits_says_for_what(here, live_hub, folder):
    here("push", folder, "alice/waits", hub=live_hub, who="alice")
    done = here("verdict", "alice/waits", hub=live_hub)
    assert done.returncode == 6
    assert "queued" in done.stdout
    assert "all-MiniLM-L6-v2" in done.stdout
    assert "base cache" in done.stdout
    document = json.loads(here("verdict", "--json", "alice/waits", hub=live_hub).stdout)
    assert (document["adapter"], document["state"]) == ("alice/waits", "queued")


def test_the_library_does_what_the_command_does(live_hub, folder, tmp_path, monkeypatch):
    monkeypatch.setenv("DOVETAIL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DOVETAIL_CACHE", str(tmp_path / "cache"))
    here = {"endpoint": live_hub.url, "token": live.TOKENS["alice"]}
    pushed = library.push(folder, "alice/library", **here)
    path = library.pull("alice/library", tmp_path / "pulled", **here)
    assert isinstance(path, Path)
    assert contents(path).keys() >= contents(folder).keys()
    client = library.Client(**here)
    verdict = client.verdict("alice/library", pushed.revision)
    assert (verdict.state, verdict.passed, verdict.checks) == ("queued", False, ())
    with pytest.raises(library.Problem) as refused:
        client.pull("alice/nothing")
    assert (refused.value.code, refused.value.exit_status) == ("adapter-not-found", 4)
    assert library.check(folder).passed


@pytest.mark.parametrize("lie", [{"sha256": "0" * 64}, {"size": 3}, {"size": 99}])
def test_bytes_that_are_not_those_of_the_manifest_are_not_written(ask, tmp_path, lie):
    with liar() as hub:
        hub.holds({"README.md": b"right", "weights": b"wrong"})
        document = json.loads(hub.answers["/api/v1/adapters/alice/x/revisions/main"][2])
        document["files"][1] |= lie
        hub.says("/adapters/alice/x/revisions/main", document)
        refused = ask("pull", "alice/x", hub=hub.url, status=5)
    assert (refused["code"], "Nothing was written" in refused["fix"]) == ("client-digest-mismatch", True)
    assert list((tmp_path / "work").iterdir()) == []
    assert not list((tmp_path / "hf").rglob("weights")), "nor does the cache keep it"


@sweep(
    "path",
    [
        "../x",
        "a/../../x",
        "/etc/x",
        "\\x",
        "a\\..\\x",
        "C:x",
        "C:\\x",
        "\\\\host\\x",
        "x.",
        "x ",
        "a//b",
        "",
        ".",
        "a/.",
        ".git/config",
        "a/.GIT/x",
        "x\0y",
        "x\ny",
    ],
)
def test_a_path_that_would_leave_the_folder_here_or_on_windows_is_refused(dovetail, tmp_path, path):
    with pytest.raises(library.Problem):
        ids.check_paths([path])


ODD = ["nul", "a/CON.txt", "COM1", "a/lpt9.md", "xy:z", "a?b", "x*", "a<b>", 'a"b', "a|b"]


def test_what_windows_cannot_have_is_written_elsewhere(monkeypatch):
    assert [path for path in ODD if not ids.windows_problem(path)] == []
    if os.name != "nt":
        assert len(ids.check_paths(ODD)) == len(ODD)
    monkeypatch.setattr(ids, "IS_WINDOWS", True)
    for path in ODD:
        with pytest.raises(library.Problem, match=r"must not be written: .*Windows"):
            ids.check_paths([path])


@pytest.mark.skipif(os.name == "nt", reason="it writes names that Windows has not")
def test_every_name_that_a_hub_takes_comes_back(here, live_hub, folder, tmp_path):
    for name in ("日本語 100%#?.txt", "aux.json", "a|b", "what*.png", "xy:z"):
        (folder / name).write_text(name)
    pushed = here("push", folder, "alice/odd-names", hub=live_hub, who="alice")
    assert (pushed.returncode, "Nobody can pull it whole on Windows: " in pushed.stderr) == (0, True), pushed.stderr
    assert here("pull", "alice/odd-names", hub=live_hub).returncode == 0
    pulled = {file.name: file for file in (tmp_path / "work" / "odd-names").iterdir()}
    for name in ("日本語 100%#?.txt", "aux.json", "a|b", "what*.png", "xy:z"):
        assert pulled[name].read_text() == name
    here("lock", "alice/odd-names", hub=live_hub)
    assert here("sync", "--to", "served", hub=live_hub).returncode == 0
    assert (tmp_path / "work" / "served" / "alice" / "odd-names" / "a|b").read_text() == "a|b"


def test_paths_that_collide_are_refused_and_usual_ones_are_not():
    with pytest.raises(library.Problem, match="collides"):
        ids.check_paths(["README.md", "readme.MD"])
    assert len(ids.check_paths(["README.md", "a/b/ü.txt", ".gitattributes", "console.log", "nullable.py"])) == 5


def test_a_hub_that_names_a_path_outside_gets_nothing_written(ask, tmp_path):
    with liar() as hub:
        hub.holds({"README.md": b"x", "../escaped": b"x"})
        assert "'../escaped'" in ask("pull", "alice/x", hub=hub.url, status=7)["detail"]
        assert list((tmp_path / "work").iterdir()) == []
        assert ask("pull", "alice/x", "--exclude", "../*", hub=hub.url)["files"] == 1
    assert not (tmp_path / "escaped").exists()


@pytest.mark.parametrize(
    "header", [{"ETag": '"../../../../escaped"'}, {"ETag": '".."'}, {"X-Linked-Etag": "../x"}, {"X-Repo-Commit": ".."}]
)
def test_a_header_that_would_lead_out_of_the_cache_leads_nowhere(ask, tmp_path, header):
    with liar() as hub:
        hub.holds({"README.md": b"x"})
        status, headers, body = hub.answers[hub.address("README.md")]
        hub.answers[hub.address("README.md")] = (status, headers | header, body)
        ask("pull", "alice/x", hub=hub.url)
    assert not list(tmp_path.rglob("*escaped*"))
    here = {place.resolve().relative_to(tmp_path) for place in tmp_path.rglob("*") if place.is_file()}
    assert {place.parts[0] for place in here} <= {"cache", "hf", "work"}
    blob = hashlib.sha1(b"blob 1\0x", usedforsecurity=False).hexdigest()
    assert [place for place in here if place.parts[0] == "hf"] == [Path(f"hf/hub/models--alice--x/blobs/{blob}")]


@pytest.mark.parametrize("revision", ["..", "../../../../escaped", "main", "A" * 40])
def test_a_revision_that_is_no_commit_becomes_no_path(ask, tmp_path, revision):
    with liar() as hub:
        hub.holds({"README.md": b"x"})
        document = json.loads(hub.answers["/api/v1/adapters/alice/x/revisions/main"][2])
        hub.says("/adapters/alice/x/revisions/main", document | {"revision": revision})
        assert ask("pull", "alice/x", hub=hub.url, status=5)["code"] == "client-no-hub"
    assert list((tmp_path / "work").iterdir()) == []
    assert not (tmp_path / "hf").exists()


def test_a_hub_does_not_choose_the_folder(ask, tmp_path):
    with liar() as hub:
        hub.holds({"README.md": b"x"})
        document = json.loads(hub.answers["/api/v1/adapters/alice/x/revisions/main"][2])
        hub.says("/adapters/alice/x/revisions/main", document | {"adapter": "alice/../escaped"})
        assert ask("pull", "alice/x", hub=hub.url)["path"] == "x"
    assert not (tmp_path / "escaped").exists()


def test_a_link_in_an_old_folder_does_not_lead_a_file_out(ask, tmp_path):
    (tmp_path / "work" / "x").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "work" / "x" / "sub").symlink_to(tmp_path / "outside")
    with liar() as hub:
        hub.holds({"sub/file": b"x"})
        ask("pull", "alice/x", hub=hub.url, status=2)
    assert list((tmp_path / "outside").iterdir()) == []


@pytest.mark.parametrize(
    "said", [[], {}, {"revision": OID}, {"revision": OID, "files": [1]}, {"revision": OID, "files": [{"path": "x"}]}]
)
def test_an_answer_of_another_shape_is_no_manifest(ask, tmp_path, said):
    with liar() as hub:
        hub.says("/adapters/alice/x/revisions/main", said)
        assert ask("pull", "alice/x", hub=hub.url, status=5)["code"] == "client-no-hub"
    assert list((tmp_path / "work").iterdir()) == []


def test_what_is_no_hub_is_said(here):
    with liar() as hub:
        done = here("pull", "alice/x", hub=hub.url)
    assert done.returncode == 5
    assert "does not answer like a Dovetail hub" in done.stderr


def test_a_hub_that_goes_away_during_a_push_is_said_in_a_sentence(folder):
    with pytest.raises(Problem, match=r"^http://127[.]0[.]0[.]1:1 does not answer") as said:
        upload.push("http://127.0.0.1:1", None, upload.collect(folder), "a/b", message="Push")
    assert said.value.code == "client-unreachable"
