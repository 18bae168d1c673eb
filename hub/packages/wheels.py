"""The wheels that lie beside this hub's code: the client and its format library, each release that was built here."""

import re
import zipfile
from dataclasses import dataclass
from email.parser import BytesParser
from functools import cache, cached_property
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

from django.conf import settings

CLIENT = "dovetail-hub"
PROJECTS = ("dovetail-adapters", CLIENT)
FOLDER = Path(settings.ROOT, "client", "dist")  # `ops environments wheel` and the image's build write it


@dataclass(frozen=True)
class Wheel:
    """A built wheel, with what an installer asks before it downloads it."""

    project: str
    filename: str
    data: bytes
    metadata: bytes

    @property
    def version(self) -> str:
        """The version by its name: that of the library ends with +hub, which public indexes refuse."""
        return self.filename.split("-")[1]

    @cached_property
    def sha256(self) -> str:
        """The digest of the whole wheel."""
        return sha256(self.data).hexdigest()

    @property
    def link(self) -> str:
        """Its address below the project's, with its digest."""
        return f"{quote(self.filename)}#sha256={self.sha256}"

    @cached_property
    def metadata_sha256(self) -> str:
        """The digest of its metadata."""
        return sha256(self.metadata).hexdigest()

    @cached_property
    def requires_python(self) -> str:
        """The versions of Python that it runs on."""
        return BytesParser().parsebytes(self.metadata, headersonly=True).get("Requires-Python", "")


def find(project: str) -> list[Wheel]:
    """Return the wheels of a project, the highest release first; empty if none was built."""
    paths = FOLDER.glob(f"{project.replace('-', '_')}-[0-9]*-py3-none-any.whl")
    found = [_read(project, path, path.stat().st_mtime_ns) for path in paths]
    return sorted(found, key=lambda wheel: [int(part) for part in re.findall(r"\d+", wheel.version)], reverse=True)


def requirements(hub: str, project: str, release: str) -> list[str]:
    """Return what installs a release from the hub at an address: a requirement by address and digest for each wheel.

    The client's has the format library's too. No index is asked for either name, where anybody may have registered it.
    """
    names = PROJECTS if project == CLIENT else (project,)
    wheels = [wheel for name in names for wheel in find(name) if wheel.version.partition("+")[0] == release]
    return [f"{wheel.project} @ {hub}/simple/{wheel.project}/{wheel.link}" for wheel in wheels]


def install_line(hub: str) -> str:
    """Return the command that installs the client of the hub at an address."""
    return f"pip install -r {hub}/simple/{CLIENT}/latest.txt"


@cache  # keyed by what changes with each build; it is small
def _read(project: str, path: Path, _changed: int) -> Wheel:
    with zipfile.ZipFile(path) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return Wheel(project, path.name, path.read_bytes(), archive.read(name))
