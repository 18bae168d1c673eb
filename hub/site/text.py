"""The text of a file for reading on a page: bounded, and only where it is text."""

from registry.repos.facts import BlobFile
from registry.repos.manifest import Entry

MAX_CARD = (1 << 20) + 1
MAX_SHOWN = 256 << 10


def text_of(entry: Entry) -> str:
    """The beginning of a card as text, with odd bytes replaced."""
    return BlobFile(entry.sha256, entry.size).read(MAX_CARD).decode("utf-8", "replace")


def readable(entry: Entry) -> str | None:
    """The whole text of a file worth showing; None where it is too large or not text."""
    if entry.size > MAX_SHOWN:
        return None
    data = BlobFile(entry.sha256, entry.size).read()
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text
