"""The format library: recognises and checks adapter files, and tells the bases and serving engines that take them.

Hub, workers, engine and client all use it; docs/format-library.md is its page. It reads files by path and opener,
executes nothing in them, and imports only the standard library, itself, and numpy for the values of tensors.
"""

from collections.abc import Iterator, Mapping

from dovetail.adapters.checks import ask_all
from dovetail.adapters.files.header import Header, HeaderError, Opener, TensorInfo
from dovetail.adapters.formats.description import Description, describe
from dovetail.adapters.readers.folder import Base, Folder, files_in
from dovetail.adapters.results.report import CheckResult as Result

__all__ = [
    "Base", "Description", "Folder", "Header", "HeaderError", "Opener", "Result", "TensorInfo", "check", "describe",
    "files_in",
]  # fmt: skip


def check(files: Mapping[str, Opener], card: Mapping[str, object] | None = None) -> Iterator[Result]:
    """Run every check that needs neither torch nor a base, and yield each result as it comes.

    `files` are paths and functions that open them; `files_in(folder)` makes them. `card` is the parsed front matter.
    """
    return ask_all(files, card)
