"""The index at /simple/: what it answers, and pip and uv as they are, which install the client from it."""

import hashlib
import os
import subprocess
from pathlib import Path

import pytest
from django.test import Client

from dovetail import __version__
from hub.packages import client_wheel
from hub.packages.simple import HTML, JSON
from ops import environments
from registry.kernel.texts import names
from tests.live import BIN, ROOT, Hub

PROJECT = "/simple/dovetail-hub/"
pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def wheel() -> client_wheel.Wheel:
    """The wheel as `make up` builds it."""
    assert environments.ensure_wheel()
    found = client_wheel.find()
    assert found
    return found


def test_the_project_says_the_same_in_html_and_json(client: Client, wheel: client_wheel.Wheel):
    answer = client.get(PROJECT, HTTP_ACCEPT=JSON)
    assert answer["Content-Type"] == JSON
    assert "Accept" in answer["Vary"]
    (file,) = answer.json()["files"]
    assert answer.json() | {"files": []} == {
        "meta": {"api-version": "1.1"}, "name": "dovetail-hub", "versions": [__version__], "files": [],
    }  # fmt: skip
    sent = client.get(PROJECT + file["url"])
    assert hashlib.sha256(sent.content).hexdigest() == file["hashes"]["sha256"] == wheel.sha256
    assert len(sent.content) == file["size"]
    metadata = client.get(PROJECT + file["url"] + ".metadata").content
    assert hashlib.sha256(metadata).hexdigest() == file["core-metadata"]["sha256"]
    assert f"Requires-Python: {file['requires-python']}".encode() in metadata
    for accept in ("", "text/html", "*/*", f"{HTML};q=0.2, application/pdf"):
        page = client.get(PROJECT, HTTP_ACCEPT=accept)
        assert page["Content-Type"] in (HTML, "text/html")
        text = page.content.decode()
        assert f'href="{file["url"]}#sha256={wheel.sha256}"' in text
        assert 'data-requires-python="&gt;=3' in text
        assert f'data-core-metadata="sha256={wheel.metadata_sha256}"' in text


def test_other_names_lead_to_the_one_or_nowhere(client: Client, wheel: client_wheel.Wheel):
    assert client.get("/simple/", HTTP_ACCEPT=JSON).json()["projects"] == [{"name": "dovetail-hub"}]
    for spelling in ("/simple/Dovetail_Hub/", "/simple/dovetail.hub/", "/simple/dovetail-hub"):
        moved = client.get(spelling)
        assert moved.status_code == 301
        assert moved["Location"] == PROJECT
    for unknown in (
        "/simple/torch/",
        f"{PROJECT}dovetail_hub-99.0-py3-none-any.whl",
        f"{PROJECT}..%2F..%2Fpyproject.toml",
    ):
        assert client.get(unknown).status_code == 404
    assert client.get(PROJECT, HTTP_ACCEPT="application/pdf").status_code == 406
    assert client.post(PROJECT).status_code == 405
    assert "simple" in names.RESERVED


def test_without_a_wheel_the_project_has_no_file(client: Client, monkeypatch, tmp_path: Path):
    monkeypatch.setattr(client_wheel, "FOLDER", tmp_path)
    assert client.get(PROJECT, HTTP_ACCEPT=JSON).json()["files"] == []
    assert client.get(PROJECT + client_wheel.FILENAME).status_code == 404


def test_the_version_has_one_value():
    assert f"dovetail_hub-{__version__}-py3-none-any.whl" == client_wheel.FILENAME
    named = [file for file in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")) if "py3-none-any.whl" in file.read_text()]
    assert named
    for file in named:
        assert client_wheel.FILENAME in file.read_text(), file
        assert "pip install dovetail-hub\n" not in file.read_text(), "that asks PyPI"


def test_pip_and_uv_install_it_as_the_page_says(live_hub: Hub, wheel: client_wheel.Wheel, tmp_path: Path):
    index = f"{live_hub.url}/simple/"
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "DOVETAIL_"))}
    pip = [BIN / "python", "-m", "pip", "download", "--quiet", "--no-deps", "--no-cache-dir", "--dest", tmp_path]
    subprocess.run([*pip, "--index-url", index, "dovetail-hub"], env=kept, check=True)
    assert (tmp_path / wheel.filename).read_bytes() == wheel.data
    environments.uv("venv", "--quiet", tmp_path / "venv")
    into = ["--quiet", "--python", tmp_path / "venv/bin/python"]
    environments.uv("pip", "install", *into, "--index", index, "dovetail-hub")
    said = subprocess.run([tmp_path / "venv/bin/dovetail", "--version"], capture_output=True, text=True, check=True)
    assert said.stdout == f"dovetail {__version__}\n"
