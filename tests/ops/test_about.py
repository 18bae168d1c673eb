"""The version and the default port are written once; files that cannot import them agree."""

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from django.conf import settings
from django.test import Client

from hub.about import PORT, VERSION
from ops.__main__ import requested_hub
from ops.sentences import ROOT

# Prose, and files that an operator copies: they name the port for people.
COPIED = {"deploy/env.example", "deploy/systemd/dovetail-web.service"}
PROSE = {"README.md", "CHANGELOG.md", *(f"docs/{page}.md" for page in ("operate", "production", "rest", "settings"))}
PROSE |= COPIED


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [path for name in listed.stdout.splitlines() if (path := ROOT / name).is_file()]


def test_the_default_port_is_written_in_one_file_of_code() -> None:
    word = re.compile(rf"(?<![\w.#]){PORT}(?!\w)".encode())
    spelled = {str(path.relative_to(ROOT)) for path in tracked() if word.search(path.read_bytes())}
    assert spelled - PROSE == {"hub/about.py"}


@pytest.mark.parametrize("name", sorted(PROSE - {"CHANGELOG.md"}))
def test_prose_names_the_port_that_is_the_default(name: str) -> None:
    text = (ROOT / name).read_text()
    ports = set(re.findall(r"(?:127\.0\.0\.1:|localhost:|DOVETAIL_PORT=)(\d+)", text))
    assert ports == {str(PORT)}


def test_the_hub_and_make_up_use_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PORT", raising=False)
    assert requested_hub().port == PORT
    assert f"http://127.0.0.1:{PORT}" == settings.PUBLIC_URL


def test_images_are_tagged_with_the_version() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    tags = {service["image"].partition(":")[2] for service in services.values() if "dovetail" in service["image"]}
    assert tags == {VERSION}


@pytest.mark.django_db(transaction=True)
def test_readyz_and_help_say_the_version() -> None:
    assert json.loads(Client().get("/readyz").content)["version"] == VERSION
    listed = subprocess.run(["make", "-s", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert listed.stdout.splitlines()[0] == f"Dovetail {VERSION}"
