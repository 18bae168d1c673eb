"""The text of a file as a page shows it, up to a limit, and only if it is text."""

from registry.repos.contents.facts import BlobFile
from registry.repos.manifest import Entry

MAX_SHOWN = 256 << 10


def readable_text(entry: Entry) -> str | None:
    """Return the text of a file, or None if it is too large or not text."""
    if entry.size > MAX_SHOWN:
        return None
    data = BlobFile(entry.sha256, entry.size).read()
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text
