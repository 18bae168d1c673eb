"""The origin of the judge: the source archive of one release on PyPI, checked by its digest, and its environment."""

import fcntl
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from ops import environments
from tests.clients import CLIENTS, ROOT

RELEASE = "2.4.0"
SHA256 = "13a6158b9e3393d9d3f248ce99074d50c2a0a1449fb9d8e2f710751e2084c188"
HERE = Path(__file__).resolve().parent
HOME = CLIENTS / f"suite-{RELEASE}"
NEEDS = [
    f"huggingface_hub=={RELEASE}",
    "hf_xet==1.8.0",
    "pytest==9.2.0",
    "pytest-asyncio==1.5.0",
    "pytest-mock==3.17.0",
    "pytest-timeout==2.4.0",
    "pytest-vcr==1.0.2",
    "pytest-xdist==3.8.0",
    "jinja2",
    "numpy",
    "pillow",
    "fastapi",
    "authlib",
    "itsdangerous",
    "jedi",
]
# What the archive leaves out and a test reads.
CARD = """---
language:
- en
license: mit
library_name: timm
tags:
- pytorch
datasets:
- beans
metrics:
- acc
---

# A card
"""
# Imports a package of upstream's repository that no archive holds.
UNREADABLE = "test_generate_cli_reference.py"
INI = """[pytest]
addopts = -p no:cacheprovider -W error::FutureWarning
asyncio_mode = strict
asyncio_default_fixture_loop_scope = function
"""


def build() -> Path:
    """Return the folder of the suite, with `bin/python` and `suite/tests`; both are made when they are not there."""
    CLIENTS.mkdir(exist_ok=True)
    stamp = HOME / "complete"
    wanted = hashlib.sha256("\n".join([SHA256, *NEEDS]).encode()).hexdigest()
    with (CLIENTS / ".suite.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two processes of one test run may both want it first
        if not stamp.exists() or stamp.read_text() != wanted:
            _install()
            _unpack(_archive())
            stamp.write_text(wanted)
        _put_ours()
    return HOME


def _install() -> None:
    environments.uv("venv", "--quiet", "--clear", HOME)
    environments.uv("pip", "install", "--quiet", "--python", HOME / "bin" / "python", *NEEDS)


def _archive() -> Path:
    """Return the release's source archive, which pip refuses when its digest is another."""
    folder = HOME / "archive"
    folder.mkdir()
    wanted = folder / "wanted.txt"
    wanted.write_text(f"huggingface_hub=={RELEASE} --hash=sha256:{SHA256}\n")
    # Only pip downloads archives; it builds this one's metadata in an environment of its own, to see what it is.
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"]
    subprocess.run([*command, "--require-hashes", "-r", str(wanted), "-d", str(folder)], check=True, cwd=ROOT)
    [archive] = folder.glob("*.tar.gz")
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    assert digest == SHA256, f"{archive.name} is not the release that was judged: {digest}"
    return archive


def _unpack(archive: Path) -> None:
    suite = HOME / "suite"
    suite.mkdir()
    shutil.unpack_archive(archive, HOME / "archive")  # its sha256 was compared; Debian's Python 3.11 knows no filters
    shutil.move(HOME / "archive" / f"huggingface_hub-{RELEASE}" / "tests", suite / "tests")
    (suite / "tests" / UNREADABLE).unlink()
    (suite / "tests" / "__init__.py").touch()
    cards = suite / "tests" / "fixtures" / "cards"
    cards.mkdir(parents=True)
    (cards / "sample_simple.md").write_text(CARD)


def _put_ours() -> None:
    """Lay beside the unmodified tests what the archive lacks: the plug-in that points them at a hub, and settings."""
    shutil.copyfile(HERE / "plugin.py", HOME / "suite" / "tests" / "conftest.py")
    (HOME / "suite" / "pytest.ini").write_text(INI)
