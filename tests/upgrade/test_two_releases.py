"""Two releases serve one database, as while web processes are replaced one by one, and after a rollback."""

import json
import shutil
import sqlite3
import urllib.error
import urllib.request
from contextlib import closing
from pathlib import Path

import pytest
from huggingface_hub import HfApi

from tests import live
from tests.services import free_ports
from tests.upgrade import releases

pytestmark = pytest.mark.night

CONFIG = {"peft_type": "LORA", "base_model_name_or_path": live.BASE, "task_type": "FEATURE_EXTRACTION", "r": 8}


def get(url: str) -> bytes:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {live.TOKENS['alice']}"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.read()


def walk(url: str, name: str, folder: Path) -> None:
    """Push, pull, list and look at a repository by the Hub's routes, REST and pages of one web process."""
    hub = HfApi(endpoint=url, token=live.TOKENS["alice"])
    folder.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps(CONFIG))
    (folder / "adapter_model.safetensors").write_bytes(b"\x08\x00\x00\x00\x00\x00\x00\x00{}      " + name.encode())
    (folder / "README.md").write_text(f"---\nbase_model: {live.BASE}\n---\n# {name}\n")
    hub.create_repo(f"alice/{name}")
    hub.upload_folder(repo_id=f"alice/{name}", folder_path=folder)
    see(url, name)
    hub.create_tag(f"alice/{name}", tag="v1")
    assert [ref.name for ref in hub.list_repo_refs(f"alice/{name}").tags] == ["v1"]


def see(url: str, name: str) -> None:
    """Read a repository, whoever pushed it: its files, its verdict's row, its page, and a search for it."""
    assert name.encode() in get(f"{url}/alice/{name}/resolve/main/adapter_model.safetensors")
    assert f"# {name}".encode() in get(f"{url}/alice/{name}/resolve/main/README.md")
    assert json.loads(get(f"{url}/api/v1/adapters/alice/{name}/revisions/main/verdict"))["state"] == "queued"
    assert f"alice/{name}" in [model["id"] for model in json.loads(get(f"{url}/api/models?search={name}"))]
    assert name.encode() in get(f"{url}/alice/{name}")


def database(url: str) -> dict:
    """Return the part of /readyz that says whether this code runs on these tables; other parts are down here."""
    try:
        return json.loads(get(f"{url}/readyz"))["parts"]["database"]
    except urllib.error.HTTPError as answer:
        return json.loads(answer.read())["parts"]["database"]


def triggers(hub: live.Hub) -> set[tuple[str, str]]:
    """Return name and statement of each trigger; SQLite drops those of a table that Django rebuilds."""
    with closing(sqlite3.connect(hub.data / "db.sqlite3")) as opened:
        return set(opened.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"))


def test_both_push_and_read_what_the_other_pushed(tmp_path: Path) -> None:
    older, newer = releases.older(tmp_path), releases.newer()
    ports = free_ports(2)
    chosen = {"DATA": str(tmp_path / "data"), "SECRET_KEY": live.SECRET_KEY, "BROKER_URL": live.NO_BROKER}
    hub = live.Hub("", tmp_path / "data", live.environment_of({**chosen, "WEB_PROCESSES": "1"}))
    fresh = live.Hub("", tmp_path / "fresh", live.environment_of({**chosen, "DATA": str(tmp_path / "fresh")}))
    (fresh.data / "run").mkdir(parents=True)
    assert newer.manage(fresh, "migrate", "--verbosity", "0").returncode == 0
    before, after = (f"http://127.0.0.1:{port}" for port in ports)
    if older.folder == live.ROOT:
        shutil.copytree(live.populated(), hub.data)
    else:
        (hub.data / "run").mkdir(parents=True)
        assert older.manage(hub, "migrate", "--verbosity", "0").returncode == 0
        live.provision(hub, live.PEOPLE)
    with older.serving(hub, ports[0], "before"):
        walk(before, "first", tmp_path / "first")
        migrated = newer.manage(hub, "migrate", "--verbosity", "0")
        assert migrated.returncode == 0, migrated.stderr
        assert triggers(hub) == triggers(fresh)
        assert database(before)["ok"]
        see(before, "first")
        walk(before, "second", tmp_path / "second")
        with newer.serving(hub, ports[1], "after"):
            assert database(after)["ok"]
            see(after, "first")
            see(after, "second")
            walk(after, "third", tmp_path / "third")
        see(before, "third")  # from here on: a rollback, on the newer tables
        walk(before, "fourth", tmp_path / "fourth")


# The last commits of the releases before the one before, from which a hub may come in one step.
EARLIER = {"0.1.0": "550e70f436f5f2463dbfb2523624dc4e00b3707c"}


@pytest.mark.parametrize("release", EARLIER)
def test_the_tables_of_an_earlier_release_go_on(tmp_path: Path, release: str) -> None:
    older, newer = releases.older(tmp_path, EARLIER[release]), releases.newer()
    (port,) = free_ports(1)
    chosen = {"DATA": str(tmp_path / "data"), "SECRET_KEY": live.SECRET_KEY, "BROKER_URL": live.NO_BROKER}
    hub = live.Hub("", tmp_path / "data", live.environment_of({**chosen, "WEB_PROCESSES": "1"}))
    (hub.data / "run").mkdir(parents=True)
    assert older.manage(hub, "migrate", "--verbosity", "0").returncode == 0
    live.provision(hub, live.PEOPLE)
    url = f"http://127.0.0.1:{port}"
    with older.serving(hub, port, "before"):
        walk(url, "first", tmp_path / "first")
    migrated = newer.manage(hub, "migrate", "--verbosity", "0")
    assert migrated.returncode == 0, migrated.stderr
    with newer.serving(hub, port, "after"):
        assert database(url)["ok"]
        see(url, "first")
        walk(url, "second", tmp_path / "second")
