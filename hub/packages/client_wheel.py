"""The wheel of the client that lies beside this hub's code: its names, digests and metadata; it is built elsewhere."""

import hashlib
import zipfile
from dataclasses import dataclass
from email.parser import BytesParser
from functools import cache
from pathlib import Path

from django.conf import settings

from hub.about import VERSION

PROJECT = "dovetail-hub"
FOLDER = Path(settings.ROOT, "client", "dist")  # `ops environments wheel` and the image's build write it
FILENAME = f"dovetail_hub-{VERSION}-py3-none-any.whl"


@dataclass(frozen=True)
class Wheel:
    """A built wheel, with what an installer asks before it downloads it."""

    filename: str
    data: bytes
    sha256: str
    metadata: bytes
    metadata_sha256: str
    requires_python: str


def find() -> Wheel | None:
    """Return the wheel of this version, or None where it was not built."""
    path = FOLDER / FILENAME
    try:
        stat = path.stat()
    except OSError:
        return None
    return _read(path, stat.st_mtime_ns, stat.st_size)


def address(hub: str) -> str:
    """Return where the hub at an address serves it: what `pip install` takes without asking any index for its name."""
    return f"{hub}/simple/{PROJECT}/{FILENAME}"


@cache  # keyed by what changes with each build; it is small
def _read(path: Path, _changed: int, _size: int) -> Wheel:
    data = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = archive.read(name)
    requires_python = BytesParser().parsebytes(metadata, headersonly=True).get("Requires-Python", "")
    digest, of_metadata = hashlib.sha256(data).hexdigest(), hashlib.sha256(metadata).hexdigest()
    return Wheel(path.name, data, digest, metadata, of_metadata, requires_python)
