"""The outside ledger: every file that a client sent, its digest, and whether the hub acknowledged it."""

import hashlib
import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import httpx2 as httpx


@dataclass(slots=True)
class Write:
    """One file of one push. `revision` is empty until the hub acknowledged it."""

    kind: str  # models or datasets
    repository: str
    path: str
    sha256: str
    revision: str = ""

    def address(self, revision: str) -> str:
        prefix = "datasets/" if self.kind == "datasets" else ""
        return f"/{prefix}{self.repository}/resolve/{revision}/{self.path}"


@dataclass
class Alias:
    """An alias of one repository: the revision that was acknowledged last, and those sent since without an answer."""

    repository: str
    name: str
    acknowledged: str = ""
    open: list[str] = field(default_factory=list)


class Ledger:
    """Writes and aliases; threads add to it, and `check` asks the hub for all of them afterwards."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.writes: list[Write] = []
        self.aliases: list[Alias] = []

    def intend(self, kind: str, repository: str, files: dict[str, bytes]) -> list[Write]:
        """Note what is going to be sent."""
        writes = [Write(kind, repository, path, digest(content)) for path, content in files.items()]
        with self._lock:
            self.writes += writes
        return writes

    def acknowledged(self) -> list[Write]:
        with self._lock:
            return [write for write in self.writes if write.revision]

    def revisions(self, kind: str) -> set[tuple[str, str]]:
        """Return the acknowledged revisions of repositories of a kind, each with its repository."""
        return {(write.repository, write.revision) for write in self.acknowledged() if write.kind == kind}


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def lost(client: httpx.Client, writes: Iterable[Write]) -> Counter[str]:
    """Pull each acknowledged write by its revision and by main; return what is not there or differs, by reason."""
    found: Counter[str] = Counter()
    for write in writes:
        for revision in {write.revision, "main"}:
            status, sha256 = _pull(client, write.address(revision))
            if status != 200:
                found[f"{write.repository}: {revision[:8]}/{write.path} answers {status}"] += 1
            elif sha256 != write.sha256 and not (revision == "main" and write.path in REWRITTEN):
                found[f"{write.repository}: {revision[:8]}/{write.path} has other bytes"] += 1
    return found


REWRITTEN = {"adapter_model.safetensors"}  # paths that a later push of the same repository replaces


def half_made(client: httpx.Client, ledger: Ledger) -> Counter[str]:
    """Pull what main holds of pushes that were never acknowledged: each is there whole, or not at all."""
    found: Counter[str] = Counter()
    with ledger._lock:
        unanswered = [write for write in ledger.writes if not write.revision and write.path not in REWRITTEN]
    for write in unanswered:
        status, sha256 = _pull(client, write.address("main"))
        if status not in (200, 404) or (status == 200 and sha256 != write.sha256):
            found[f"{write.repository}: main/{write.path} of an unanswered push: {status}"] += 1
    return found


def wrong_aliases(client: httpx.Client, aliases: Iterable[Alias]) -> Counter[str]:
    """Return the aliases that name neither what was acknowledged last nor what was sent later."""
    found: Counter[str] = Counter()
    for alias in aliases:
        answer = client.get(f"/api/v1/adapters/{alias.repository}/aliases/{alias.name}")
        chosen = answer.json().get("chosen") if answer.status_code == 200 else answer.status_code
        if alias.acknowledged and chosen not in {alias.acknowledged, *alias.open}:
            found[f"{alias.repository}@{alias.name} names {chosen}"] += 1
    return found


def _pull(client: httpx.Client, address: str) -> tuple[int, str]:
    hashed = hashlib.sha256()
    with client.stream("GET", address, follow_redirects=True) as answer:
        for piece in answer.iter_bytes():
            hashed.update(piece)
        return answer.status_code, hashed.hexdigest()
