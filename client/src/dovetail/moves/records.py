"""The terms in which every source tells of its repositories: commits with their files, and names of commits."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dovetail.adapters.files.header import Opener
from dovetail.problems import Problem

PIECE = 1 << 20
IMPORTED, AUTHOR, DATE = "Imported-From", "Imported-Author", "Imported-Date"  # trailers of a commit's message
MAX_TITLE, MAX_MESSAGE = 500, 60_000  # of a commit; a hub takes a little more


@dataclass(frozen=True)
class Commit:
    """One state of a repository at its source, where `id` names it for good; `date` is ISO 8601."""

    id: str
    title: str
    message: str = ""
    author: str = ""
    date: str = ""

    def description(self, origin: str) -> str:
        """Return the message that the commit gets elsewhere: its own, and where it comes from."""
        trailers = {IMPORTED: f"{origin}@{self.id}", AUTHOR: self.author, DATE: self.date}
        lines = [f"{name}: {' '.join(value.split())}" for name, value in trailers.items() if value]
        return "\n\n".join(filter(None, [self.message.strip()[:MAX_MESSAGE], "\n".join(lines)]))


def id_at_source(message: str, origin: str) -> str:
    """Return the id that an imported commit had at this source; "" for a commit that comes from anywhere else."""
    lines = [line.partition(": ")[2] for line in message.splitlines() if line.startswith(f"{IMPORTED}: ")]
    place, _, id = lines[-1].rpartition("@") if lines else ("", "", "")
    return id if place == origin else ""


@dataclass(frozen=True)
class File:
    """The size in bytes and the digest of a file: its sha256, or of a small file of a hub its git id (40 hex).

    The digest is "" where the source states none.
    """

    size: int
    digest: str


@dataclass(frozen=True)
class Alias:
    """A name that moves. `is_forced`: its version has not passed at the source."""

    name: str
    id: str
    reason: str = ""
    is_forced: bool = False


@dataclass(frozen=True)
class Release:
    """The title and the notes of a tag that is a version."""

    tag: str
    title: str = ""
    notes: str = ""
    is_prerelease: bool = False


@dataclass(frozen=True)
class Repository:
    """A repository at its source, with the ids that its names stand for now. `gate` is "", "auto" or "manual"."""

    name: str
    is_private: bool = False
    gate: str = ""
    branches: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    aliases: Sequence[Alias] = ()
    releases: Sequence[Release] = ()


class Source(ABC):
    """A place that repositories come from. Every method raises Problem.

    `address` names it in the messages of commits, and holds no secret. `owner` is whose repositories they are there,
    "" where nobody is known.
    """

    address = ""
    owner = ""
    keeps_history = True  # False: it knows the newest version alone

    @abstractmethod
    def repositories(self) -> Mapping[str, str]:
        """Return the name of each repository, and why it is not one to move: "" for one that is."""

    @abstractmethod
    def read(self, name: str) -> Repository:
        """Return a repository and its names as they are now."""

    @abstractmethod
    def history(self, name: str, id: str) -> Sequence[Commit]:
        """Return a commit and those before it, the oldest first."""

    @abstractmethod
    def files(self, name: str, id: str) -> Mapping[str, File]:
        """Return the files of a commit by their paths."""

    @abstractmethod
    def fetch(self, name: str, id: str, path: str, to: Path) -> None:
        """Write one file of a commit; who asks for it compares its digest."""

    @abstractmethod
    def openers(self, name: str, id: str) -> Mapping[str, Opener]:
        """Return path → function that opens the file where it is, so that parts of it can be read alone."""

    def yanked(self, name: str, id: str) -> Mapping[str, str]:
        """Return the commits of a history that nobody should use, each with the reason."""
        return {}

    def origin(self, name: str) -> str:
        """Return the address of a repository."""
        return f"{self.address}/{name}"


def digests(file: Path) -> tuple[str, str]:
    """Return the sha256 and the git id of a file."""
    sha256, git = hashlib.sha256(), hashlib.sha1(b"blob %d\0" % file.stat().st_size, usedforsecurity=False)
    with file.open("rb") as opened:
        while piece := opened.read(PIECE):
            sha256.update(piece)
            git.update(piece)
    return sha256.hexdigest(), git.hexdigest()


def fetch(source: Source, name: str, id: str, path: str, expected: File, to: Path) -> str:
    """Write one file of a commit whose digest is the one that its source states; return its sha256."""
    to.parent.mkdir(parents=True, exist_ok=True)
    source.fetch(name, id, path, to)
    found = digests(to)
    if expected.digest not in (*found, ""):
        to.unlink()
        raise Problem(
            f"{path} of {source.origin(name)} arrived with other bytes than it should have.",
            "Run the same command again.",
            code="client-digest-mismatch",
        )
    return found[0]
