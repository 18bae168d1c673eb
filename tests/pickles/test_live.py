"""Adapters that were saved as pickles, and those that were not but are asked for as pickles, on a whole hub."""

import json
import os
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import quote

import pytest
from huggingface_hub import CommitOperationAdd, HfApi
from huggingface_hub.errors import RevisionNotFoundError

from tests.live import TOKENS, Hub
from tests.pickles.carriers import CARRIERS, HARMLESS
from tests.pickles.hostile import IMPORTS, SYSTEM

HERE = Path(__file__).parent
MADE = {
    "bottleneck": {"pytorch_adapter.bin", "pytorch_model_head.bin"},
    "mam": {"adapter.safetensors", "model_head.safetensors"},
    "lora": {"adapter_model.safetensors"},
}
pytestmark = [pytest.mark.merge, pytest.mark.engine]


def run(act: str, hub: Hub, folder: Path, torch_python: Path) -> str:
    (config,) = hub.data.glob("shelf/*MiniLM*/*/config.json")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "DOVETAIL_"))}
    environment |= {"HF_ENDPOINT": hub.url, "HF_HOME": str(folder / "home"), "PYTHONWARNINGS": "ignore"}
    command = [torch_python, HERE / "live_adapters.py", act, config.parent, folder]
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout


def judged(api: HfApi, name: str, oid: str) -> str:
    """The state of a revision once it is final."""
    path = f"{api.endpoint}/api/v1/adapters/{name}/revisions/{oid}/verdict"
    asked = urllib.request.Request(path, headers={"Authorization": f"Bearer {api.token}"})
    for _ in range(1800):
        with urllib.request.urlopen(asked) as answer:
            state = json.load(answer)["state"]
        if state in ("passed", "failed", "errored"):
            return str(state)
        time.sleep(0.1)
    raise AssertionError(f"no verdict on {name}")


def test_unmodified_libraries_load_bit_by_bit_what_was_pushed_in_the_other_form(working_hub, torch_python, tmp_path):
    run("make", working_hub, tmp_path, torch_python)
    api = HfApi(endpoint=working_hub.url, token=TOKENS["alice"])
    oids = {}
    for name in MADE:
        api.create_repo(f"alice/saved-{name}")
        oids[name] = api.upload_folder(repo_id=f"alice/saved-{name}", folder_path=tmp_path / name).oid
    for name, oid in oids.items():
        assert judged(api, f"alice/saved-{name}", oid) == "passed"
        assert set(api.list_repo_files(f"alice/saved-{name}")) == {
            ".gitattributes", *(path.name for path in (tmp_path / name).iterdir()), *MADE[name],
        }  # fmt: skip
    assert sorted(run("load", working_hub, tmp_path, torch_python).split("\n")) == [
        "", "same: bottleneck", "same: lora", "same: mam",
    ]  # fmt: skip


def test_a_pickle_that_runs_code_is_gone_for_strangers_and_what_was_verified_is_not(working_hub, tmp_path):
    api, stranger = (HfApi(endpoint=working_hub.url, token=TOKENS[name]) for name in ("alice", "carol"))
    api.create_repo("alice/worse", exist_ok=True)
    before = api.model_info("alice/worse").sha
    api.upload_file(repo_id="alice/worse", path_or_fileobj=b'{"peft_type": "LORA"}', path_in_repo="adapter_config.json")
    data = IMPORTS["a call in place of a tensor"][0]
    oid = api.upload_file(repo_id="alice/worse", path_or_fileobj=data, path_in_repo="adapter_model.bin").oid
    assert judged(api, "alice/worse", oid) == "failed"
    with pytest.raises(RevisionNotFoundError):
        stranger.hf_hub_download("alice/worse", "adapter_model.bin", cache_dir=tmp_path)
    assert stranger.hf_hub_download("alice/worse", ".gitattributes", revision=before, cache_dir=tmp_path)


def resolved(hub: Hub, address: str) -> int:
    """The status of a file for a stranger."""
    try:
        with urllib.request.urlopen(f"{hub.url}/{address}") as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        return refused.code


def test_code_in_a_repository_without_an_adapter_is_held_back_whatever_carries_it(working_hub):
    """Each in a pull request of its own, so that each is a revision; and one on main of every type of repository."""
    api = HfApi(endpoint=working_hub.url, token=TOKENS["alice"])
    addresses = {}
    for type, prefix in (("model", ""), ("dataset", "datasets/"), ("space", "spaces/")):
        sdk = {"space_sdk": "static"} if type == "space" else {}
        api.create_repo(f"alice/carried-{type}", repo_type=type, **sdk)
        for name in ("data", "code"):
            file = {"path_or_fileobj": SYSTEM if name == "code" else b"a text", "path_in_repo": f"{name}/any name"}
            oid = api.upload_file(repo_id=f"alice/carried-{type}", repo_type=type, **file).oid
            addresses[type, name] = f"{prefix}alice/carried-{type}/resolve/{oid}/{name}/any%20name"
    api.create_repo("alice/carried")
    harmless = [CommitOperationAdd(f"{number}/{path}", data) for number, (path, data) in enumerate(HARMLESS.values())]
    data_oid = api.create_commit("alice/carried", harmless, commit_message="Data").oid
    for name in list(CARRIERS)[::5]:  # test_carriers.py has all of them
        path, data = CARRIERS[name]
        made = api.create_commit("alice/carried", [CommitOperationAdd(path, data)], commit_message=name, create_pr=True)
        addresses[name] = f"alice/carried/resolve/{made.oid}/{quote(path)}"
    held = [name for name in addresses if name[1] != "data"]
    until = time.monotonic() + 180
    while any(resolved(working_hub, addresses[name]) != 404 for name in held) and time.monotonic() < until:
        time.sleep(0.3)
    assert [name for name in held if resolved(working_hub, addresses[name]) != 404] == []
    served = [addresses[type, "data"] for type in ("model", "dataset", "space")]
    served += [f"alice/carried/resolve/{data_oid}/{one.path_in_repo}" for one in harmless]
    assert [address for address in served if resolved(working_hub, address) != 200] == []
