"""`dovetail push`: one commit of chosen files, checked first, with a base that others can load; `repair --merge`."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dovetail.api import upload
from dovetail.problems import Problem
from tests import live
from tests.adapters import CONFIG, MINILM, lora, write

BASE = "sentence-transformers/all-MiniLM-L6-v2"
HERE = "/home/alice/models/minilm"


@pytest.fixture
def trained_here(folder: Path) -> Path:
    """The folder as PEFT writes it after a training on a base from the disk: config and card name the path."""
    config = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps(config | {"base_model_name_or_path": HERE}))
    (folder / "README.md").write_text(f"---\nbase_model: {HERE}\ntags:\n- base_model:adapter:{HERE}\n---\n# {HERE}\n")
    return folder


def remote(here, hub, adapter: str, to: Path) -> dict[str, bytes]:
    """Pull, and return what came."""
    assert here("pull", adapter, "--to", to, hub=hub, who="alice").returncode == 0
    return {file.relative_to(to).as_posix(): file.read_bytes() for file in to.rglob("*") if file.is_file()}


def revisions(hub, adapter: str) -> list[str]:
    """Return the titles of main's commits, newest first."""
    from urllib.request import Request, urlopen  # the tests ask as anybody would

    request = Request(f"{hub.url}/api/v1/adapters/{adapter}/revisions")
    request.add_header("Authorization", f"Bearer {live.TOKENS['alice']}")
    with urlopen(request) as answer:
        return [item["title"] for item in json.load(answer)["items"]]


@pytest.mark.merge
def test_two_thousand_files_are_one_commit(here, live_hub, folder):
    (folder / "many").mkdir()
    for number in range(2000):
        (folder / "many" / f"{number:04}.txt").write_text(str(number))
    done = here("push", folder, "alice/two-thousand", "-m", "All of it", hub=live_hub, who="alice")
    assert done.returncode == 0, done.stderr
    assert revisions(live_hub, "alice/two-thousand") == ["All of it", "initial commit"]


def test_a_base_that_is_a_path_is_refused_before_anything_is_sent(here, live_hub, trained_here):
    refused = here("push", trained_here, "alice/path", hub=live_hub, who="alice")
    assert refused.returncode == 1
    assert "base.local-path" in refused.stdout
    assert f"dovetail push {trained_here} alice/path --base" in refused.stderr
    assert "Nothing was sent" in refused.stderr
    assert here("pull", "alice/path", hub=live_hub, who="alice").returncode == 4
    document = json.loads(here("push", trained_here, "alice/path", "--json", hub=live_hub, who="alice").stdout)
    assert (document["revision"], document["verdict"]["state"]) == (None, "failed")
    assert here("push", trained_here, "alice/path", "--no-check", hub=live_hub, who="alice").returncode == 0


def test_a_base_by_name_is_sent_and_the_folder_stays(here, live_hub, trained_here, tmp_path):
    before = {file: file.read_bytes() for file in trained_here.rglob("*") if file.is_file()}
    done = here("push", trained_here, "alice/based", "--base", BASE, hub=live_hub, who="alice")
    assert done.returncode == 0, done.stderr
    assert f"{CONFIG} is sent with the base {BASE}" in done.stderr
    assert {file: file.read_bytes() for file in trained_here.rglob("*") if file.is_file()} == before
    files = remote(here, live_hub, "alice/based", tmp_path / "back")
    assert json.loads(files[CONFIG])["base_model_name_or_path"] == BASE
    front, _, body = files["README.md"].decode().removeprefix("---\n").partition("---\n")
    assert HERE not in front
    assert front.count(BASE) == 2
    assert HERE in body, "only the front matter names the base"


def test_patterns_choose_and_delete_and_a_dry_run_sends_nothing(here, live_hub, folder, tmp_path):
    name = "alice/patterns"
    here("push", folder, name, "--exclude", "notes/", hub=live_hub, who="alice")
    assert not any(path.startswith("notes/") for path in remote(here, live_hub, name, tmp_path / "first"))
    (folder / "old.txt").write_text("old")
    here("push", folder, name, "--include", "old.txt", hub=live_hub, who="alice")
    (folder / "old.txt").unlink()
    (folder / "README.md").write_text("# New\n")
    command = ("push", folder, name, "--exclude", "notes/", "--delete", "*.txt", "--delete", "*.md")
    planned = here(*command, "--dry-run", hub=live_hub, who="alice")
    assert planned.stdout.splitlines() == ["changed  README.md", "deleted  old.txt"]
    assert len(revisions(live_hub, name)) == 3
    assert here(*command, hub=live_hub, who="alice").returncode == 0
    files = remote(here, live_hub, name, tmp_path / "last")
    assert "old.txt" not in files
    assert files["README.md"] == b"# New\n", "a file that is sent is not deleted"
    assert ".gitattributes" in files


def test_branches_are_made_and_proposals_leave_main_alone(here, live_hub, folder):
    name = "alice/branched"
    first = json.loads(here("push", folder, name, "--json", hub=live_hub, who="alice").stdout)["revision"]
    (folder / "more.txt").write_text("more")
    push = ("push", folder, name, "--json")
    branched = json.loads(here(*push, "--branch", "try/one", hub=live_hub, who="alice").stdout)
    proposed = json.loads(here(*push, "--create-pr", hub=live_hub, who="alice").stdout)
    assert proposed["pull_request"].endswith(f"/{name}/discussions/1")
    pulled = json.loads(here("pull", f"{name}@try/one", "--json", hub=live_hub).stdout)
    assert pulled["revision"] == branched["revision"]
    assert json.loads(here("pull", name, "--json", hub=live_hub).stdout)["revision"] == first


def test_a_verdict_that_does_not_come_in_time_has_a_status_of_its_own(here, live_hub, folder):
    began = time.monotonic()
    done = here("push", folder, "alice/late", "--wait", "--timeout", "1", "--json", hub=live_hub, who="alice")
    assert (done.returncode, json.loads(done.stdout)["verdict"]["state"]) == (6, "queued")
    assert time.monotonic() - began < 60


def test_a_link_to_nothing_and_a_file_that_cannot_be_read_are_said_in_a_sentence(here, live_hub, folder):
    (folder / "weights").symlink_to("nowhere")
    done = here("push", folder, "alice/links", hub=live_hub, who="alice")
    assert (done.returncode, "it is a broken link" in done.stderr) == (7, True)
    assert "Traceback" not in done.stderr


def test_a_folder_that_cannot_be_written_is_said_in_a_sentence(here, live_hub, folder, tmp_path):
    here("push", folder, "alice/unwritable", hub=live_hub, who="alice")
    (tmp_path / "file").write_text("no folder")
    done = here("pull", "alice/unwritable", "--to", tmp_path / "file" / "x", "--json", hub=live_hub)
    assert (done.returncode, json.loads(done.stdout)["code"]) == (7, "client-local-files")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "after",
    [
        pytest.param(0.02, marks=pytest.mark.merge),
        0.1,
        pytest.param(0.3, marks=pytest.mark.merge),
        pytest.param(0.8, marks=pytest.mark.merge),
    ],
)
def test_ctrl_c_is_no_traceback_at_any_time(live_hub, folder, tmp_path, after):
    (folder / "big.bin").write_bytes(os.urandom(30 << 20))
    known = {name: value for name, value in os.environ.items() if not name.startswith(("DOVETAIL_", "HF_"))}
    known |= {"DOVETAIL_HOME": str(tmp_path / "home"), "HF_HOME": str(tmp_path / "hf")}
    known |= {"PYTHONPATH": str(live.ROOT / "client" / "src"), "DOVETAIL_ENDPOINT": live_hub.url}
    known |= {"DOVETAIL_TOKEN": live.TOKENS["alice"]}
    program = "import sys; from dovetail.__main__ import main; print('ready', flush=True); main()"
    command = [sys.executable, "-c", program, "push", str(folder), "alice/stopped"]
    with subprocess.Popen(command, env=known, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(after)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode in (130, 0)
    assert "Traceback" not in said


def test_what_has_no_config_has_no_base_to_name(tmp_path):
    folder = write({"notes.txt": b"x"}, tmp_path / "notes")
    with pytest.raises(Problem, match=r"no adapter_config[.]json"):
        upload.collect(folder, base=BASE)
    with pytest.raises(Problem, match="leave no file"):
        upload.collect(folder, exclude=["*"])


def test_a_repair_is_merged(here, working_hub, tmp_path):
    files = lora(MINILM)
    config = json.loads(files[CONFIG]) | {"base_model_name_or_path": HERE}
    folder = write(files | {CONFIG: json.dumps(config).encode()}, tmp_path / "mend")
    refused = here("push", folder, "alice/mend", hub=working_hub, who="alice")
    assert refused.returncode == 1
    assert f"--base {BASE}" in refused.stderr, "the hub's bases that it fits are named"
    here("push", folder, "alice/mend", "--no-check", "--wait", hub=working_hub, who="alice")
    opened = here("repair", "alice/mend", hub=working_hub, who="alice")
    assert "dovetail repair alice/mend --merge" in opened.stderr
    merged = json.loads(here("repair", "alice/mend", "--merge", "--json", hub=working_hub, who="alice").stdout)
    pulled = remote(here, working_hub, "alice/mend", tmp_path / "back")
    assert json.loads(pulled[CONFIG])["base_model_name_or_path"] == BASE
    assert len(merged["merged"]) == 40
