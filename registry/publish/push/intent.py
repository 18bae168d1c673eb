"""The request of a push: its ref, its author, its message, and its operations one by one."""

from dataclasses import dataclass

from registry.kernel import names
from registry.kernel.errors import ValueInvalid
from registry.kernel.policy import Caller
from registry.models import Repository
from registry.repos.manifest import Entry

MAX_TITLE, MAX_MESSAGE = 500, 64 << 10


@dataclass(frozen=True, slots=True)
class Inline:
    """A file whose bytes came with the push."""

    path: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Stored:
    """A file whose bytes were delivered before. A size the client states must be the store's; copies state none."""

    path: str
    sha256: str
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Copy:
    """A file as another one is at a revision of the same adapter; "": at what the push goes to."""

    path: str
    source: str
    rev: str = ""


@dataclass(frozen=True, slots=True)
class Deletion:
    """A path that goes away: a file, or a folder with all that is in it."""

    path: str


Operation = Inline | Stored | Copy | Deletion
Edit = Entry | Deletion  # an operation whose bytes are known to be here


@dataclass(frozen=True)
class Intent:
    """Where a push goes, who pushes, and what is said about it."""

    repository: Repository
    ref: str
    by: Caller
    title: str
    message: str = ""
    parent: str = ""  # the commit the pusher saw, whole or abbreviated; "": whatever is there
    propose: bool = False  # leave the ref alone and make refs/pr/N


def check_words(intent: Intent) -> None:
    """Raise ValueInvalid unless the push has a summary, and words that are not too many."""
    if not names.check_text(intent.title, "commit summary", MAX_TITLE):
        raise ValueInvalid("A commit needs a summary.", fix="Say in a few words what changes.")
    names.check_text(intent.message, "commit description", MAX_MESSAGE)
