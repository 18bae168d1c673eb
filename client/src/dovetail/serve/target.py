"""One version of an adapter, as serving engines are told of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

SHORT_OID = 7
COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class Target:
    """A commit of an adapter at one hub; `place` is its folder inside the repository, "" for the top.

    Without a commit it is the adapter in `folder` on this machine. `base_revision` counts only as a commit. A `part` is
    one of several adapters of the commit, with its folder in its name.
    """

    adapter: str
    endpoint: str = ""
    revision: str = ""
    place: str = ""
    base: str = ""
    base_revision: str = ""
    folder: str = ""
    part: bool = False

    @property
    def short(self) -> str:
        short = self.adapter.rpartition("/")[2]
        return f"{short}-{self.place.replace('/', '-')}" if self.part else short

    @property
    def name(self) -> str:
        """The name under which an engine serves it: of one commit alone, so no other weights ever bear it."""
        return f"{self.short}@{self.revision[:SHORT_OID]}" if self.revision else self.short

    @property
    def file_name(self) -> str:
        """The same for names of files, and for engines that read `@` as the start of a revision."""
        return self.name.replace("@", "-")

    @property
    def download(self) -> str:
        """The folder into which its repository is downloaded, or its own folder on this machine."""
        return self.folder or f"./{replace(self, part=False).file_name}"

    @property
    def path(self) -> str:
        """The folder with adapter_config.json."""
        return f"{self.download}/{self.place}" if self.place else self.download

    @property
    def base_commit(self) -> str:
        return self.base_revision if COMMIT.fullmatch(self.base_revision) else ""

    def of_part(self, place: str) -> Target:
        """Return the target of one of several adapters in the same repository."""
        return replace(self, place=place, part=True)

    @classmethod
    def of_folder(cls, folder: str, base: str = "") -> Target:
        """Return the target of an adapter on this machine."""
        return cls(PurePosixPath(folder).name or "adapter", base=base, folder=folder)

    @classmethod
    def of_verdict(cls, document: Mapping[str, Any], endpoint: str) -> Target:
        """Return the target that a hub's verdict is about."""
        base = document.get("base") or {}
        return cls(
            str(document["adapter"]),
            endpoint,
            str(document["revision"]),
            str(document.get("path") or ""),
            str(base.get("id") or ""),
            str(base.get("revision") or ""),
        )
