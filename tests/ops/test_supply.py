"""The lock files: every pin has hashes, a changed file is refused, and a bill of materials is made of them."""

import base64
import hashlib
import json
import re
import shutil
import zipfile
from pathlib import Path

import pytest

from ops import environments, sbom
from ops.sentences import Stop
from tests.live import ROOT
from tests.sweep import sweep

FOLDER = ROOT / "requirements"


LOCKS = [*sorted(FOLDER.glob("constraints*.txt")), FOLDER / "uv.txt", FOLDER / "build.txt"]


def pins(lock: Path) -> list[str]:
    """Return the pins of a lock file, each with its hashes."""
    return re.findall(r"^\w.*(?:\n +.*)*", lock.read_text(), re.MULTILINE)


@sweep("lock", LOCKS)
def test_every_pin_has_the_hashes_of_its_files(lock: Path) -> None:
    found = pins(lock)
    assert found
    assert [pin for pin in found if not re.fullmatch(r"\S+==\S+.*(?: \\\n    --hash=sha256:[0-9a-f]{64})+", pin)] == []


def test_the_releases_of_the_hub_are_those_that_are_tested() -> None:
    hub, tested = ({pin.split()[0] for pin in pins(FOLDER / f"constraints{name}.txt")} for name in ("", "-dev"))
    assert hub <= tested


@pytest.mark.parametrize("name", ["web", "worker"])
def test_images_install_by_hashes_alone_but_torch(name: str) -> None:
    text = (ROOT / f"deploy/{name}.Dockerfile").read_text().replace("\\\n", " ")
    installs = re.findall(r"(?:uv )?pip install [^&;|]*", text)
    unlocked = [line for line in installs if "--require-hashes" not in line]
    assert installs != unlocked
    assert all(re.search(r"-e client|TORCH_INDEX|-r \"\$file\"", line) for line in unlocked), unlocked


def wheel(folder: Path, code: str) -> Path:
    """Write the wheel of a package of one module, as an index would serve it."""
    file = folder / "locked_thing-1.0-py3-none-any.whl"
    about = "locked_thing-1.0.dist-info"
    held = {
        "locked_thing.py": code,
        f"{about}/METADATA": "Metadata-Version: 2.1\nName: locked-thing\nVersion: 1.0\n",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    digests = {name: base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()) for name, text in held.items()}
    record = [f"{name},sha256={digest.decode().rstrip('=')},{len(held[name])}" for name, digest in digests.items()]
    held[f"{about}/RECORD"] = "\n".join([*record, f"{about}/RECORD,,", ""])
    with zipfile.ZipFile(file, "w") as archive:
        for name, text in held.items():
            archive.writestr(zipfile.ZipInfo(name), text)
    return file


def test_a_build_with_one_changed_wheel_is_refused(tmp_path: Path) -> None:
    digest = hashlib.sha256(wheel(tmp_path, "GOOD = True\n").read_bytes()).hexdigest()
    lock = tmp_path / "lock.txt"
    lock.write_text(f"locked-thing==1.0 \\\n    --hash=sha256:{digest}\n")
    index = ("--no-index", "--find-links", tmp_path, "--no-cache")
    for number, code in enumerate(("GOOD = True\n", "GOOD = False\n")):
        wheel(tmp_path, code)
        home = tmp_path / f"venv{number}"
        environments.uv("venv", "--quiet", home)
        if code == "GOOD = True\n":
            environments.install_locked(home / "bin/python", lock, *index)
        else:
            with pytest.raises(Stop):
                environments.install_locked(home / "bin/python", lock, *index)
        assert len([*home.glob("lib/python3*/site-packages/locked_thing.py")]) == 1 - number
    lock.write_text("locked-thing==1.0\n")
    with pytest.raises(Stop):
        environments.install_locked(tmp_path / "venv1/bin/python", lock, *index)


@pytest.mark.merge
def test_two_builds_of_the_wheels_have_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built = []
    for name in ("one", "another/and/deeper"):
        root = tmp_path / name
        left_out = shutil.ignore_patterns("dist", "*.egg-info", "build", "__pycache__")
        shutil.copytree(ROOT / "client", root / "client", ignore=left_out, copy_function=shutil.copyfile)  # new times
        monkeypatch.setattr(environments, "ROOT", root)
        monkeypatch.setattr(environments, "WHEELS", root / "client/dist")
        assert environments.ensure_wheel()
        built.append({file.name: file.read_bytes() for file in (root / "client/dist").iterdir()})
    assert len(built[0]) == 2
    assert built[0] == built[1]


def test_a_bill_of_materials_names_every_pinned_release_with_its_hashes(tmp_path: Path) -> None:
    lock, bill = FOLDER / "constraints.txt", tmp_path / "bill.json"
    sbom.write(lock, bill)
    document = json.loads(bill.read_text())
    assert document["bomFormat"] == "CycloneDX"
    root = document["metadata"]["component"]
    assert (root["name"], root["licenses"][0]["license"]["id"]) == ("dovetail", "Apache-2.0")
    pinned = {tuple(pin.split()[0].split("==")) for pin in pins(lock)}
    assert {(item["name"], item["version"]) for item in document["components"]} == pinned
    assert all(item["externalReferences"][0]["hashes"] for item in document["components"])
    installed = [item for item in document["components"] if item["name"] in {"django", "numpy", "psycopg", "gunicorn"}]
    assert all(item["licenses"][0]["license"]["name"] for item in installed)
    [ours] = [one for one in document["dependencies"] if one["ref"] == root["bom-ref"]]
    assert len(ours["dependsOn"]) == len(pinned)


def test_each_advisory_that_is_passed_over_has_its_reason() -> None:
    lines = [line for line in (FOLDER / "advisories.txt").read_text().splitlines() if not line.startswith("#")]
    assert [line for line in lines if not re.fullmatch(r"[A-Z][A-Za-z0-9-]* \S.{19,}", line)] == []
