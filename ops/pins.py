"""`make pins`: resolves each requirements file into its lock file, requirements/constraints*.txt."""

import re
import tempfile
from pathlib import Path

from ops import environments
from ops.sentences import ROOT

FOLDER = ROOT / "requirements"
# No lock file holds these: the builds of torch differ in them, and each build pins its own.
TORCH_AND_ITS_OWN = ("torch==", "torchvision==", "torchaudio==", "torchcodec==", "triton==", "cuda-", "nvidia-")


def pin() -> None:
    """Resolve all of them; existing pins stay where they fit. Raises Stop if one does not resolve."""
    environments.ensure_web()
    _lock(FOLDER / "constraints.txt", "requirements.txt")
    _lock(FOLDER / "constraints-dev.txt", environments.DEV)  # which has the releases of the hub
    for lock in sorted({*FOLDER.glob("constraints-*.txt")} - {FOLDER / "constraints-dev.txt"}):
        _lock(lock, environments.requirements_of(lock.stem.removeprefix("constraints-")))


def _lock(lock: Path, requirements: str) -> None:
    options = ["--quiet", "--no-header", "--no-annotate", "--universal", "--python-version", "3.11"]
    options += ["--generate-hashes", "--no-emit-package", "dovetail-hub", "--no-emit-package", "dovetail-adapters"]
    text = lock.read_text()
    try:
        lock.write_text("")  # the requirements name it as their constraints, so its old pins would forbid new ones
        with tempfile.TemporaryDirectory() as folder:
            resolved = Path(folder) / lock.name
            resolved.write_text(text)  # uv keeps the pins of an existing output file where they fit
            # Settings of this machine other than the index do not belong in the lock file.
            environments.uv(
                "pip",
                "compile",
                *options,
                "-o",
                resolved,
                requirements,
                *environments.overrides(requirements),
                UV_FIND_LINKS="",
            )
            note = f"# Every release that {requirements} resolves to, direct or not. Made by `make pins`."
            pins = re.findall(r"^\w.*(?:\n +--hash=.*)+", resolved.read_text(), re.MULTILINE)
            text = "\n".join([note, *(pin for pin in pins if not pin.startswith(TORCH_AND_ITS_OWN)), ""])
    finally:
        lock.write_text(text)
