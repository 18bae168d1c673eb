"""The request of a push: its ref, its author, its message, and its operations one by one."""

from dataclasses import dataclass

from registry.kernel.errors import ValueInvalid
from registry.kernel.policy import Caller
from registry.kernel.texts import names
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
    """A file whose bytes were uploaded before. `size` is the client's claim and must be right; None makes no claim."""

    path: str
    sha256: str
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy of the file `source` at the revision `rev` of the same repository; "" is the target of the push."""

    path: str
    source: str
    rev: str = ""


@dataclass(frozen=True, slots=True)
class Deletion:
    """A path to delete: a file, or a folder with its content."""

    path: str


Operation = Inline | Stored | Copy | Deletion
Edit = Entry | Deletion  # an operation whose bytes are known to be here


@dataclass(frozen=True)
class Intent:
    """The target of a push, its caller, and its message."""

    repository: Repository
    ref: str
    by: Caller
    title: str
    message: str = ""
    parent: str = ""  # the commit that the client saw, full or abbreviated; "" accepts any
    propose: bool = False  # create refs/pr/N and leave the ref as it is


def check_words(intent: Intent) -> None:
    """Raise ValueInvalid without a summary, or for a summary or description that is too long."""
    if not names.check_text(intent.title, "commit summary", MAX_TITLE):
        raise ValueInvalid("A commit needs a summary.", fix="Say in a few words what changes.")
    names.check_text(intent.message, "commit description", MAX_MESSAGE)
