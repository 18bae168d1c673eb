"""The index at /simple/: what it answers, and pip and uv as they are, which install client and library from it."""

import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import tomllib
import zipfile
from pathlib import Path
from urllib.parse import quote

import pytest
from django.conf import settings
from django.test import Client

from dovetail import __version__
from features.package_index import wire
from features.package_index.models import Wheel
from features.package_index.wire import HTML, JSON
from hub.about import VERSION
from ops import environments
from registry.kernel.texts import names
from tests.live import BIN, ROOT, Hub
from tests.sweep import sweep

PROJECT = "/simple/dovetail-hub/"
PROJECTS = ("dovetail-adapters", "dovetail-hub")
# A line that asks an index for a name of ours: behind an installer, without an address or an index of its own.
BY_NAME = re.compile(
    r"(?:\b(?:pip3?|pipx|uv|uvx|poetry|pdm|conda|mamba|pixi) (?:pip |tool )?(?:install|add|run|inject|sync)|"
    r"\buvx|additional_dependencies:|requirements?:) "
    r"(?!.*(?:://|@ |-r ?\S*\.txt|--index ))[^\n#`]*?(?<![\w./-])dovetail(?:[-_](?:hub|adapters))?(?![\w./-])",
    re.IGNORECASE,
)
pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def built() -> dict[str, Wheel]:
    """The wheels as `make up` builds them, by project."""
    assert environments.ensure_wheel()
    version = environments.client_version()
    return {name: next(one for one in wire.built(name) if version in one.version) for name in PROJECTS}


@sweep("project", PROJECTS)
def test_a_project_says_the_same_in_html_and_json(client: Client, built: dict[str, Wheel], project: str):
    page, wheel = f"/simple/{project}/", built[project]
    answer = client.get(page, HTTP_ACCEPT=JSON)
    assert answer["Content-Type"] == JSON
    assert "Accept" in answer["Vary"]
    file = next(file for file in answer.json()["files"] if file["filename"] == wheel.filename)
    assert answer.json() | {"files": [], "versions": []} == {
        "meta": {"api-version": "1.1"}, "name": project, "versions": [], "files": [],
    }  # fmt: skip
    assert wheel.version in answer.json()["versions"]
    sent = client.get(page + file["url"])
    assert hashlib.sha256(sent.content).hexdigest() == file["hashes"]["sha256"] == wheel.sha256
    assert len(sent.content) == file["size"]
    metadata = client.get(page + file["url"] + ".metadata").content
    assert hashlib.sha256(metadata).hexdigest() == file["core-metadata"]["sha256"]
    assert f"Requires-Python: {file['requires-python']}".encode() in metadata
    for accept in ("", "text/html", "*/*", f"{HTML};q=0.2, application/pdf"):
        shown = client.get(page, HTTP_ACCEPT=accept)
        assert shown["Content-Type"] in (HTML, "text/html")
        text = shown.content.decode()
        assert f'href="{file["url"]}#sha256={wheel.sha256}"' in text
        assert 'data-requires-python="&gt;=3' in text
        assert f'data-core-metadata="sha256={wheel.metadata_sha256}"' in text


def test_other_names_lead_to_ours_or_nowhere(client: Client, built: dict[str, Wheel]):
    assert client.get("/simple/", HTTP_ACCEPT=JSON).json()["projects"] == [{"name": name} for name in PROJECTS]
    for spelling in ("Dovetail_Hub/", "dovetail.hub/", "dovetail-hub", "dovetail_adapters", "Dovetail--Adapters/"):
        moved = client.get(f"/simple/{spelling}")
        assert moved.status_code == 301
        assert moved["Location"] in {f"/simple/{name}/" for name in PROJECTS}
    wheel = built["dovetail-hub"].filename
    for unknown in (
        "/simple/torch/",
        "/simple/torch/latest.txt",
        f"/simple/dovetail-adapters/{wheel}",
        f"{PROJECT}dovetail_hub-99.0-py3-none-any.whl",
        f"{PROJECT}99.0.txt",
        f"{PROJECT}latest.zip",
        f"{PROJECT}..%2F..%2Fpyproject.toml",
    ):
        assert client.get(unknown).status_code == 404, unknown
    assert client.get(PROJECT, HTTP_ACCEPT="application/pdf").status_code == 406
    assert client.post(PROJECT).status_code == 405
    assert "simple" in names.RESERVED


def test_without_a_wheel_a_project_has_no_file(client: Client, monkeypatch, tmp_path: Path):
    monkeypatch.setattr(wire, "FOLDER", tmp_path)
    assert client.get(PROJECT, HTTP_ACCEPT=JSON).json()["files"] == []
    for file in ("latest", "latest.txt", "latest.whl", f"{VERSION}.txt", f"dovetail_hub-{VERSION}-py3-none-any.whl"):
        assert client.get(PROJECT + file).status_code == 404, file


def test_a_release_is_a_text_of_requirements_by_address(client: Client, built: dict[str, Wheel]):
    lines = client.get(f"{PROJECT}latest.txt").content.decode().splitlines()
    links = {name: f"{settings.PUBLIC_URL}/simple/{name}/{wheel.link}" for name, wheel in built.items()}
    assert lines == [f"{name} @ {link}" for name, link in links.items()]
    named = built["dovetail-hub"].public
    assert client.get(f"{PROJECT}{named}.txt").content.decode().splitlines() == lines
    assert client.get("/simple/dovetail-adapters/latest.txt").content.decode().splitlines() == lines[:1]
    told = client.get(f"{PROJECT}latest").content.decode()
    assert told == f"--requirement={settings.PUBLIC_URL}{PROJECT}latest.txt\n"
    assert client.get(f"{PROJECT}latest.whl")["Location"] == links["dovetail-hub"]


def release(folder: Path, built: dict[str, Wheel], version: str) -> dict[str, bytes]:
    """Put the wheels of a release into a folder, as its image has them, and return them by name."""
    folder.mkdir()
    made = {}
    for project, local in (("dovetail_adapters", "+hub"), ("dovetail_hub", "")):
        name = f"{project}-{version}{local}-py3-none-any.whl"
        old = zipfile.ZipFile(io.BytesIO(built[project.replace("_", "-")].data))
        with zipfile.ZipFile(folder / name, "w") as new:
            for entry in old.infolist():
                text = old.read(entry)
                if entry.filename.endswith("METADATA"):
                    text = re.sub(rb"(?m)^Version: .*", f"Version: {version}{local}".encode(), text)
                    text = re.sub(rb"(?<=dovetail-adapters==)\S+", f"{version}+hub".encode(), text)
                new.writestr(re.sub(r"-[0-9].*?(?=\.dist-info)", f"-{version}{local}", entry.filename), text)
        made[name] = (folder / name).read_bytes()
    return made


def test_a_hub_of_a_new_release_serves_those_that_it_had(
    client: Client, built: dict[str, Wheel], monkeypatch, tmp_path: Path
):
    texts, wheels = {}, {}
    for version in ("0.1.9", "0.1.10", VERSION):  # an image has its own wheels alone
        wheels |= release(tmp_path / version, built, version)
        monkeypatch.setattr(wire, "FOLDER", tmp_path / version)
        monkeypatch.setattr(wire, "VERSION", version)
        texts[version] = client.get(f"{PROJECT}latest.txt").content
    (tmp_path / VERSION / "dovetail_hub-strange.whl").write_bytes(b"no wheel")
    files = [file["filename"] for file in client.get(PROJECT, HTTP_ACCEPT=JSON).json()["files"]]
    assert files == [f"dovetail_hub-{version}-py3-none-any.whl" for version in (VERSION, "0.1.10", "0.1.9")]
    for version, text in texts.items():
        assert client.get(f"{PROJECT}{version}.txt").content == text, "what a job has pinned"
    assert client.get(f"{PROJECT}latest.txt").content == texts[VERSION]
    for name, data in wheels.items():
        project = "-".join(name.split("-")[0].split("_"))
        assert client.get(f"/simple/{project}/{quote(name)}").content == data
        assert client.get(f"/simple/{project}/{quote(name)}.metadata").content.startswith(b"Metadata-Version")


def test_the_wheel_of_a_release_never_gets_other_bytes(
    client: Client, built: dict[str, Wheel], monkeypatch, tmp_path: Path
):
    release(tmp_path / "first", built, VERSION)
    monkeypatch.setattr(wire, "FOLDER", tmp_path / "first")
    pinned = client.get(f"{PROJECT}latest.txt").content
    release(tmp_path / "second", built, VERSION)
    for file in (tmp_path / "second").iterdir():
        file.write_bytes(file.read_bytes() + b" ")
    monkeypatch.setattr(wire, "FOLDER", tmp_path / "second")
    assert client.get(f"{PROJECT}latest.txt").content == pinned


def test_a_checkout_that_is_no_release_serves_what_it_has_now(
    client: Client, built: dict[str, Wheel], monkeypatch, tmp_path: Path
):
    monkeypatch.setattr(wire, "FOLDER", tmp_path / "now")
    release(tmp_path / "now", built, "9.9.0.dev12")
    assert b"/dovetail_hub-9.9.0.dev12-" in client.get(f"{PROJECT}latest.txt").content
    shutil.rmtree(tmp_path / "now")
    release(tmp_path / "now", built, "9.9.0.dev13")
    assert b"/dovetail_hub-9.9.0.dev13-" in client.get(f"{PROJECT}latest.txt").content
    assert client.get(f"{PROJECT}9.9.0.dev12.txt").status_code == 404, "which nobody keeps"


def test_the_version_has_one_value(built: dict[str, Wheel]):
    hub, library = (
        tomllib.loads((ROOT / "client" / folder / "pyproject.toml").read_text())["project"]
        for folder in ("", "adapters")
    )
    assert hub["version"] == __version__ == VERSION
    assert f"dovetail-adapters=={library['version']}" in hub["dependencies"]
    assert library["version"] == f"{VERSION}+hub", "with a + no public index takes it"
    assert library["dependencies"] == ["numpy>=1.26"]


def test_no_line_asks_an_index_for_our_names():
    asks = (
        "pip install dovetail-hub\n", 'pip install "dovetail-hub[vllm]"  # x', "pip install -U dovetail_adapters",
        "uv add dovetail-hub", "uvx dovetail push", "uv tool install dovetail", 'poetry add "dovetail-hub>=0.2"',
        'additional_dependencies: ["dovetail-hub"]', "pip install torch dovetail",
    )  # fmt: skip
    assert [line for line in asks if not BY_NAME.search(line)] == []
    fine = (
        "pip install -r {hub}/simple/dovetail-hub/latest.txt",
        "pip install client/dovetail_hub-0.1.whl",
        "uv run x",
    )
    assert [line for line in fine if BY_NAME.search(line)] == []
    listed = subprocess.check_output(["git", "ls-files", "--", ".", ":!:*tests/*"], cwd=ROOT, text=True).splitlines()
    texts = {name: (ROOT / name).read_bytes().decode(errors="ignore") for name in listed if (ROOT / name).is_file()}
    assert len(texts) > 1000, (
        "pages, templates, messages and their translations, what CI and clusters copy, lines we make"
    )
    assert {name for name, text in texts.items() if BY_NAME.search(text)} == {"docs/simple.md"}, "which says why not"


@pytest.fixture
def kept(tmp_path: Path) -> dict[str, str]:
    """The environment of somebody who installs; pip works in a folder of its own."""
    ours = ("HF_", "DOVETAIL_", "PYTHONPATH")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)} | {"HOME": str(tmp_path)}


def test_pip_takes_both_wheels_from_the_hub_by_one_line(live_hub: Hub, built, kept, tmp_path: Path):
    told = subprocess.run(
        ["curl", "-fsS", f"{live_hub.url}{PROJECT}latest"], capture_output=True, text=True, check=True
    )
    pip = [BIN / "python", "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--no-cache-dir"]
    for ask in (["-r", f"{live_hub.url}{PROJECT}latest.txt"], [told.stdout.strip()]):
        report = tmp_path / "report.json"
        subprocess.run([*pip, "--report", report, *ask], env=kept, check=True)
        chosen = {one["metadata"]["name"]: one["download_info"] for one in json.loads(report.read_text())["install"]}
        for name, wheel in built.items():
            assert chosen[name]["url"] == f"{live_hub.url}/simple/{name}/{wheel.link.partition('#')[0]}"
            assert chosen[name]["archive_info"]["hashes"] == {"sha256": wheel.sha256}
    bare = f"{live_hub.url}{PROJECT}{built['dovetail-hub'].filename}"
    refused = subprocess.run([*pip, bare], env=kept, capture_output=True, text=True)
    assert "No matching distribution found for dovetail-adapters" in refused.stderr, "no stranger's package is taken"


@pytest.mark.merge
def test_uv_installs_by_the_same_line_and_from_the_index(live_hub: Hub, built, tmp_path: Path):
    index = f"{live_hub.url}/simple/"
    for number, ask in enumerate((["-r", f"{index}dovetail-hub/latest.txt"], ["--index", index, "dovetail-hub"])):
        home = tmp_path / f"venv-{number}"
        environments.uv("venv", "--quiet", home)
        environments.uv("pip", "install", "--quiet", "--python", home / "bin/python", *ask)
        said = subprocess.run([home / "bin/dovetail", "--version"], capture_output=True, text=True, check=True)
        assert said.stdout == f"dovetail {built['dovetail-hub'].version}\n"


@sweep("first, second", [PROJECTS, PROJECTS[::-1]])
def test_client_and_library_are_installed_and_removed_one_by_one(built, tmp_path: Path, first: str, second: str):
    home = tmp_path / "venv"
    environments.uv("venv", "--quiet", home)
    into = ("--quiet", "--python", home / "bin/python")

    def imports(*modules: str) -> list[bool]:
        code = "import importlib.util as u, sys; print([bool(u.find_spec(name)) for name in sys.argv[1:]])"
        command = [home / "bin/python", "-I", "-c", code, *modules]
        return json.loads(subprocess.check_output(command, text=True).lower())

    for project in (first, second):
        environments.uv("pip", "install", *into, "--no-deps", wire.FOLDER / built[project].filename)
    subprocess.run([home / "bin/python", "-I", "-c", "import dovetail.adapters, dovetail.problems"], check=True)
    environments.uv("pip", "uninstall", *into, first)
    left = {"dovetail-hub": "dovetail.problems", "dovetail-adapters": "dovetail.adapters"}
    gone = left.pop(first)
    assert imports(gone, *left.values()) == [False, True]
    environments.uv("pip", "install", *into, "--no-deps", wire.FOLDER / built[first].filename)
    environments.uv("pip", "uninstall", *into, second)
    assert imports(gone) == [True]


def test_the_library_alone_needs_numpy_and_nothing_else(built, tmp_path: Path):
    home = tmp_path / "venv"
    environments.uv("venv", "--quiet", home)
    into = ("--quiet", "--python", home / "bin/python")
    environments.uv("pip", "install", *into, wire.FOLDER / built["dovetail-adapters"].filename)
    code = (ROOT / "client/adapters/README.md").read_text().partition("```python\n")[2].partition("```")[0]
    command = [home / "bin/python", "-I", "-c", code]
    shown = subprocess.check_output(command, text=True, cwd=ROOT / "demo")
    assert "passed tensors.not-finite" in shown
    packages = {path.name.partition("-")[0] for path in home.glob("lib/*/site-packages/*.dist-info")}
    assert packages == {"dovetail_adapters", "numpy"}
