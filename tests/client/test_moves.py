"""Moving between two hubs: every version, name and setting arrives, whatever stops it and whoever pushes meanwhile."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
from huggingface_hub.hf_api import RepoFile

from dovetail.api.conversions import convert_folder
from tests import live
from tests.adapters import MINILM, lora, pickled_only, write
from tests.client.conftest import Run

Commits = list[tuple[str, dict[str, str]]]
OWNER = "acme"


@pytest.fixture(scope="module")
def other_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[live.Hub]:
    with live.hub(tmp_path_factory.mktemp("other") / "data") as running:
        yield running


def api_of(hub: live.Hub, who: str = "alice") -> HfApi:
    return HfApi(endpoint=hub.url, token=live.TOKENS[who])


def make(api: HfApi, id: str, seed: int, *, private: bool = False, gate: str = "") -> None:
    """Make an adapter with three versions on main, one on a branch, and two tags."""
    api.create_repo(id, private=private)
    if gate:
        api.update_repo_settings(id, gated=gate)
    files = [CommitOperationAdd(path, content) for path, content in lora(MINILM, seed=seed).items()]
    api.create_commit(id, files, commit_message="First", commit_description="Of the reviews\n\nSigned-Off-By: Alice")
    api.create_tag(id, tag="v1.0")
    api.create_branch(id, branch="try/rank")
    api.create_commit(id, [CommitOperationAdd("notes.txt", b"tried")], commit_message="Try", revision="try/rank")
    changes = [
        CommitOperationAdd("README.md", b"---\nlicense: mit\n---\n# Second\n"),
        CommitOperationAdd("more/a.txt", b"a"),
    ]
    api.create_commit(id, changes, commit_message="Second")
    weights = lora(MINILM, seed=seed + 1000)["adapter_model.safetensors"]
    third = [CommitOperationAdd("adapter_model.safetensors", weights), CommitOperationDelete("more/", is_folder=True)]
    api.create_commit(id, third, commit_message="Third")
    api.create_tag(id, tag="v2.0")


def versions(api: HfApi, id: str, revision: str) -> Commits:
    """Return the titles and the files of a history; the ids of commits are another hub's own."""
    return [
        (
            commit.title,
            {
                file.path: file.lfs.sha256 if file.lfs else file.blob_id
                for file in api.list_repo_tree(id, revision=commit.commit_id, recursive=True)
                if isinstance(file, RepoFile)
            },
        )
        for commit in api.list_repo_commits(id, revision=revision)
    ]


def everything(api: HfApi, id: str) -> dict[str, Any]:
    """Return all that an import brings of a repository."""
    facts, refs = api.model_info(id), api.list_repo_refs(id)
    named = {ref.ref: versions(api, id, ref.target_commit) for ref in (*refs.branches, *refs.tags)}
    return {"private": facts.private, "gated": facts.gated, **named}


def commits_of(api: HfApi, owner: str) -> int:
    return sum(len(api.list_repo_commits(model.id)) for model in api.list_models(author=owner))


def test_an_organisation_arrives_with_its_history_names_and_settings(
    here: Run, live_hub: live.Hub, other_hub: live.Hub
) -> None:
    source, target = api_of(live_hub), api_of(other_hub)
    kinds: list[dict[str, Any]] = [{}, {"private": True}, {"gate": "manual"}]
    ids = [f"{OWNER}/moved-{number}" for number in range(len(kinds))]
    for number, (id, kind) in enumerate(zip(ids, kinds, strict=True)):
        make(source, id, number, **kind)
    command = ("import", f"{live_hub.url}/{OWNER}", "--only", "moved-*", "--source-token", live.TOKENS["alice"])
    planned = here(*command, "--dry-run", hub=other_hub, who="alice")
    assert (planned.returncode, planned.stdout.count("would come")) == (0, 3), planned.stderr
    assert not [model for model in target.list_models(author=OWNER) if model.id in ids], "a dry run writes nothing"
    moved = here(*command, hub=other_hub, who="alice")
    assert (moved.returncode, moved.stdout.count("imported")) == (0, 3), moved.stdout + moved.stderr
    for id in ids:
        assert everything(target, id) == everything(source, id)
        commit = target.list_repo_commits(id)[2]
        origin = source.list_repo_commits(id)[2]
        assert commit.message == (
            "Of the reviews\n\nSigned-Off-By: Alice\n\n"
            f"Imported-From: {live_hub.url}/{id}@{origin.commit_id}\n"
            f"Imported-Author: alice\nImported-Date: {origin.created_at.isoformat()}"
        )
    before = {id: target.model_info(id).sha for id in ids}
    again = here(*command, hub=other_hub, who="alice")
    assert (again.returncode, again.stdout.count("up to date")) == (0, 3), again.stderr
    assert {id: target.model_info(id).sha for id in ids} == before


def test_what_cannot_come_is_named_with_its_reason_and_the_rest_comes(
    here: Run, live_hub: live.Hub, other_hub: live.Hub
) -> None:
    source, target = api_of(live_hub), api_of(other_hub)
    for number, name in enumerate(("taken", "shut", "good")):
        make(source, f"{OWNER}/left-{name}", number, gate="manual" if name == "shut" else "")
    target.create_repo(f"{OWNER}/left-taken")
    target.create_commit(f"{OWNER}/left-taken", [CommitOperationAdd("a.txt", b"a")], commit_message="Ours")
    command = ("import", f"{live_hub.url}/{OWNER}", "--only", "left-*", "--source-token", live.TOKENS["carol"])
    moved = here(*command, hub=other_hub, who="alice")
    assert moved.returncode == 1
    states = dict(line.split("\t")[:2] for line in moved.stdout.splitlines())
    assert states == {f"{OWNER}/left-{name}": state for name, state in {
        "taken": "left out", "shut": "left out", "good": "imported",
    }.items()}  # fmt: skip
    assert f"{OWNER}/left-taken is here already, with versions that do not come from {live_hub.url}" in moved.stderr
    assert f"Access to model {OWNER}/left-shut is restricted" in moved.stderr
    assert not target.repo_exists(f"{OWNER}/left-shut"), "nothing is made of what cannot be read"
    assert [title for title, _ in versions(target, f"{OWNER}/left-taken", "main")] == ["Ours", "initial commit"]


def test_what_was_pushed_here_since_stays(here: Run, live_hub: live.Hub, other_hub: live.Hub) -> None:
    source, target, id = api_of(live_hub), api_of(other_hub), f"{OWNER}/grown"
    make(source, id, 7)
    command = ("import", f"{live_hub.url}/{id}")
    assert here(*command, hub=other_hub, who="alice").returncode == 0
    ours = target.create_commit(id, [CommitOperationAdd("ours.txt", b"ours")], commit_message="Ours").oid
    source.create_commit(id, [CommitOperationAdd("theirs.txt", b"theirs")], commit_message="Theirs")
    source.create_commit(id, [CommitOperationAdd("b.txt", b"b")], commit_message="More", revision="try/rank")
    moved = here(*command, hub=other_hub, who="alice")
    assert (moved.returncode, moved.stdout.split("\t")[1]) == (1, "in part")
    assert "Branch main: it has commits here that do not come from there." in moved.stderr
    assert target.model_info(id).sha == ours
    assert versions(target, id, "try/rank") == versions(source, id, "try/rank"), "other branches go on"


def test_bytes_that_are_not_what_the_source_states_are_not_imported(
    here: Run, live_hub: live.Hub, other_hub: live.Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dovetail.moves.hubs import Hub  # as the command does

    id = f"{OWNER}/spoilt"
    make(api_of(live_hub), id, 8)
    fetch = Hub.fetch

    def spoil(self: Hub, name: str, commit: str, path: str, to: Path) -> None:
        fetch(self, name, commit, path, to)
        if path == "README.md":
            to.write_bytes(to.read_bytes() + b"!")

    with monkeypatch.context() as patch:
        patch.setattr(Hub, "fetch", spoil)
        moved = here("import", f"{live_hub.url}/{id}", hub=other_hub, who="alice")
    assert (moved.returncode, "README.md of" in moved.stderr) == (1, True)
    assert [title for title, _ in versions(api_of(other_hub), id, "main")] == ["initial commit"]
    assert here("import", f"{live_hub.url}/{id}", hub=other_hub, who="alice").returncode == 0
    assert everything(api_of(other_hub), id) == everything(api_of(live_hub), id)


def test_an_export_is_whole_resumed_and_read_back_elsewhere_as_if_from_the_hub(
    here: Run, live_hub: live.Hub, other_hub: live.Hub, tmp_path: Path
) -> None:
    source, target, id, folder = api_of(live_hub), api_of(other_hub), f"{OWNER}/packed", tmp_path / "export"
    make(source, id, 9, private=True)
    talk = source.create_discussion(id, "Why rank 4?", description="It is small.")
    source.comment_discussion(id, talk.num, "It suffices.")
    yanked = source.list_repo_commits(id)[2].commit_id
    assert here("yank", f"{id}@{yanked}", "--reason", "It forgets.", hub=live_hub, who="alice").returncode == 0
    command = ("export", id, folder)
    first = here(*command, hub=live_hub, who="alice")
    assert (first.returncode, first.stdout.split("\t")[:3]) == (0, [id, "exported", "5"]), first.stderr
    sums = subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=folder, capture_output=True, text=True)
    assert (sums.returncode, sums.stdout) == (0, "")
    told = json.loads((folder / id / "metadata.json").read_bytes())
    assert set(told["tags"]) == {"v1.0", "v2.0"}
    assert set(told["branches"]) == {"main", "try/rank"}
    assert [one["content"] for one in told["discussions"][0]["comments"]] == ["It is small.", "It suffices."]
    assert told["commits"][yanked]["yanked"] == "It forgets."
    assert told["commits"][told["tags"]["v2.0"]]["verdict"]["state"] == "queued"
    kept = {file: file.stat().st_mtime_ns for file in folder.rglob("*.safetensors")}
    spoilt = folder / id / told["tags"]["v1.0"] / "adapter_config.json"
    spoilt.unlink()
    spoilt.write_bytes(b"{}")
    again = here(*command, hub=live_hub, who="alice")
    assert (again.returncode, again.stdout.split("\t")[2]) == (0, "1"), "only what differs is written again"
    assert {file: file.stat().st_mtime_ns for file in kept} == kept
    read = here("import", folder, hub=other_hub, who="alice")
    assert (read.returncode, read.stdout.split("\t")[1]) == (0, "imported"), read.stderr
    assert everything(target, id) == everything(source, id)
    here_yanked = target.list_repo_commits(id)[2].commit_id
    assert "It forgets." in here("info", f"{id}@{here_yanked}", "--json", hub=other_hub, who="alice").stdout
    source.create_commit(id, [CommitOperationAdd("later.txt", b"later")], commit_message="Later")
    later = here("import", f"{live_hub.url}/{id}", "--source-token", live.TOKENS["alice"], hub=other_hub, who="alice")
    assert later.returncode == 0, later.stderr
    assert everything(target, id) == everything(source, id), "the hub goes on where its export ended"


def test_folders_and_zips_become_repositories_and_pickles_become_safetensors(
    here: Run, other_hub: live.Hub, tmp_path: Path
) -> None:
    target, root = api_of(other_hub), tmp_path / "adapters"
    plain = write(lora(MINILM, seed=1), root / "team" / "plain")
    convert_folder(write(lora(MINILM, seed=2), tmp_path / "zipped"), "bin", tmp_path / "bin")
    with zipfile.ZipFile(root / "old.zip", "w") as packed:
        for file in (tmp_path / "bin").iterdir():
            packed.write(file, f"sst/{file.name}")
    write(pickled_only()(lora(MINILM)), root / "hostile")
    command = ("import", root, "--to", "alice")
    moved = here(*command, hub=other_hub, who="alice")
    states = dict(line.split("\t")[:2] for line in moved.stdout.splitlines())
    expected = {"alice/team-plain": "imported", "alice/old": "imported", "alice/hostile": "left out"}
    assert (moved.returncode, states) == (1, expected)
    assert "alice/hostile: adapter_model.bin cannot be read" in moved.stderr
    assert not target.repo_exists("alice/hostile")
    (_, plainly), *_ = versions(target, "alice/team-plain", "main")
    assert plainly.keys() == {file.name for file in plain.iterdir()}
    (_, old), *_ = versions(target, "alice/old", "main")
    convert_folder(tmp_path / "bin", "safetensors", tmp_path / "back")
    weights = hashlib.sha256((tmp_path / "back" / "adapter_model.safetensors").read_bytes()).hexdigest()
    assert (old["adapter_model.safetensors"], "adapter_model.bin" in old) == (weights, False)
    (plain / "README.md").write_text("---\nlicense: mit\n---\n# New\n")
    again = here(*command, "--only", "old", "--only", "team*", hub=other_hub, who="alice")
    states = dict(line.split("\t")[:2] for line in again.stdout.splitlines())
    assert (again.returncode, states) == (0, {"alice/team-plain": "imported", "alice/old": "up to date"}), again.stderr
    titles = [title for title, _ in versions(target, "alice/team-plain", "main")]
    assert titles == ["Import team-plain", "Import team-plain", "initial commit"]


def test_an_export_that_others_wrote_reads_no_file_beside_it(here: Run, other_hub: live.Hub, tmp_path: Path) -> None:
    secret = tmp_path / "id_rsa"
    secret.write_text("a key")
    for name, path in (("above", "../../../../id_rsa"), ("linked", "id_rsa")):
        folder = tmp_path / name / "alice" / f"{name}-export"
        (folder / "c1").mkdir(parents=True)
        (folder / "c1" / "id_rsa").symlink_to(secret)
        commit = {"title": "One", "message": "", "author": "", "date": "", "yanked": None, "verdict": None}
        files = {path: {"size": secret.stat().st_size, "digest": ""}}
        told = {"is_private": False, "gate": "", "branches": {"main": "c1"}, "tags": {}, "aliases": [], "releases": []}
        told |= {"histories": {"c1": ["c1"]}, "commits": {"c1": commit | {"files": files}}}
        (folder / "metadata.json").write_text(json.dumps(told))
        index = {"format": 1, "source": "https://elsewhere", "owner": "alice"}
        (tmp_path / name / "dovetail-export.json").write_text(json.dumps(index))
        moved = here("import", tmp_path / name, hub=other_hub, who="alice")
        assert moved.returncode != 0
        assert ("a link out of the export" if name == "linked" else path) in moved.stderr
        api = api_of(other_hub)
        id = f"alice/{name}-export"
        assert not api.repo_exists(id) or "id_rsa" not in api.list_repo_files(id)


@pytest.mark.merge
@pytest.mark.engine
def test_aliases_and_releases_come_once_their_versions_have_passed(here: Run, working_hub: live.Hub) -> None:
    """One hub is both sides here: an owner's adapters become another's."""
    source, name = f"{working_hub.url}/alice", "named-moves"
    pushed = here("push", live.ROOT / "demo/reviews-lora", f"alice/{name}", "--wait", hub=working_hub, who="alice")
    assert pushed.returncode == 0, pushed.stdout + pushed.stderr
    for words in (("alias", "set", f"alice/{name}@verified", "prod"), ("release", "create", f"alice/{name}", "v1.0.0")):
        assert here(*words, hub=working_hub, who="alice").returncode == 0
    bad = [
        CommitOperationAdd(path, b'{"r": 7}' if path.endswith(".json") else content)
        for path, content in lora(MINILM).items()
    ]
    api = api_of(working_hub)
    api.create_repo("alice/spoilt-moves")
    api.create_commit("alice/spoilt-moves", bad, commit_message="Spoilt")
    command = ("import", source, "--only", "*-moves", "--to", OWNER, "--source-token", live.TOKENS["alice"])
    planned = here(*command, "--dry-run", hub=working_hub, who="alice")
    states = dict(line.split("\t")[:2] for line in planned.stdout.splitlines())
    assert states == {f"{OWNER}/{name}": "would come", f"{OWNER}/spoilt-moves": "would not fit"}, planned.stderr
    moved = here(*command, "--only", name, "--wait", hub=working_hub, who="alice")
    info = json.loads(here("info", f"{OWNER}/{name}", "--json", hub=working_hub).stdout)["adapter"]
    assert (info["verified"], [*info["aliases"]], [*info["revision_tags"]]) == (info["latest"], ["prod"], ["v1.0.0"]), (
        moved.stdout + moved.stderr
    )
    released = here("release", "list", f"{OWNER}/{name}", hub=working_hub, who="alice")
    assert "v1.0.0" in released.stdout


@pytest.mark.merge
def test_an_import_that_is_killed_goes_on_while_others_push_to_the_source(
    live_hub: live.Hub, other_hub: live.Hub, tmp_path: Path
) -> None:
    source, target, many = api_of(live_hub), api_of(other_hub), 20
    ids = [f"{OWNER}/many-{number:02}" for number in range(many)]
    for number, id in enumerate(ids):
        make(source, id, number, private=number % 5 == 1, gate="auto" if number % 5 == 2 else "")
    known = {name: value for name, value in os.environ.items() if not name.startswith(("DOVETAIL_", "HF_"))}
    environment = known | {
        "DOVETAIL_HOME": str(tmp_path / "home"),
        "DOVETAIL_CACHE": str(tmp_path / "cache"),
        "HF_HOME": str(tmp_path / "hf"),
        "PYTHONPATH": str(live.ROOT / "client" / "src"),
        "DOVETAIL_ENDPOINT": other_hub.url,
        "DOVETAIL_TOKEN": live.TOKENS["alice"],
        "DOVETAIL_SOURCE_TOKEN": live.TOKENS["alice"],
    }
    command = [sys.executable, "-m", "dovetail", "import", f"{live_hub.url}/{OWNER}", "--only", "many-*"]
    is_over = threading.Event()

    def push() -> None:
        for number in count():
            if is_over.wait(0.2):
                return
            content = CommitOperationAdd("news.txt", f"{number}".encode())
            source.create_commit(ids[number % many], [content], commit_message=f"News {number}")

    pusher = threading.Thread(target=push)
    pusher.start()
    try:
        running = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 120
        while commits_of(target, f"{OWNER}") < 3 * many and running.poll() is None and time.monotonic() < deadline:
            time.sleep(0.1)
        assert running.poll() is None, "it was over before it could be killed"
        running.send_signal(signal.SIGKILL)
        running.wait()
        second = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert second.returncode == 0, second.stdout + second.stderr
    finally:
        is_over.set()
        pusher.join()
    third = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert third.returncode == 0, third.stdout + third.stderr
    differing = [id for id in ids if everything(target, id) != everything(source, id)]
    assert differing == []
