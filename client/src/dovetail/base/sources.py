"""The places at a hub that files come from."""

from dataclasses import dataclass
from urllib.parse import quote

from dovetail.base.locks import LockedFile


@dataclass(frozen=True)
class Source:
    """A file, and the repository and revision whose Hub route has its bytes."""

    repository: str
    revision: str
    file: LockedFile

    @property
    def route(self) -> str:
        return f"/{quote(self.repository)}/resolve/{self.revision}/{quote(self.file.path)}"
