"""Checks for unintended contents: traces of training, and secrets; they warn and never fail."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from dovetail.adapters.files import pickles
from dovetail.adapters.files.gguf import GgufError
from dovetail.adapters.files.header import HeaderError
from dovetail.adapters.files.secrets import MAX_OF_FILE as MAX_OF_FILE  # of homes and addresses too
from dovetail.adapters.files.secrets import Search, secrets_of
from dovetail.adapters.files.secrets import lines_with as _matches
from dovetail.adapters.readers.folder import MAX_TEXT_BYTES, Folder
from dovetail.adapters.results.findings import Finding, some, warned

TEXTS = (".json", ".jsonl", ".md", ".txt", ".yaml", ".yml", ".py", ".toml", ".cfg", ".ini", ".env", ".sh", ".log")
TRAINING_STATE = ("training_args.bin", "optimizer.pt", "optimizer.bin", "scheduler.pt", "scaler.pt")
ARGUMENTS, MAX_FILES = "training_args.bin", 200  # the latter: text files that are read
MAX_TRACES = 50  # that a report lists
HOME = re.compile(r"(?:/home/|/Users/|/root/|[A-Za-z]:\\\\?Users\\)[A-Za-z0-9_.\-]{1,40}")
# Of the notes of image trainers: what was in the training set, and where it lay.
PRIVATE = re.compile(r"ss_(?:dataset|tag_frequency|bucket_info|reg_dataset|training_comment|datasets|session_id)")
# In notes and logs of a training; a card names its author, and rows are about people by their nature.
EMAIL = re.compile(
    r"(?<![\w.+/-])(?!git@|noreply)[\w.+-]{1,64}@(?!example\.)[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){0,3}\.[A-Za-z]{2,12}\b"
)
WITH_AUTHORS = (".md", ".py", ".jsonl")


@dataclass(frozen=True, slots=True)
class Trace:
    """One private thing: its file, its line or its key of the header, its kind, and a text that may be repeated."""

    file: str
    kind: str
    line: int = 0
    key: str = ""
    text: str = ""

    def as_json(self) -> dict[str, object]:
        place: dict[str, object] = {"line": self.line} if self.line else {"key": self.key} if self.key else {}
        return {"file": self.file, "kind": self.kind, **place}

    @property
    def place(self) -> str:
        return (
            f"{self.file} (line {self.line})" if self.line else f"{self.file} ({self.key})" if self.key else self.file
        )


def training_data(folder: Folder) -> str | Finding:
    states = sorted(path for path in folder.files if is_ballast(path))
    notes = sorted(key for key, value in folder.metadata.items() if PRIVATE.match(key) or HOME.search(value))
    homes, emails = list(_homes(folder)), list(_emails(folder))
    sentences, fixes = [], []
    if states:
        sentences.append(f"It contains training state, which users do not need: {some(states)}.")
        fixes.append("Delete these files.")
    if notes:
        sentences.append(f"The header contains notes about the training data or machine ({some(notes)}).")
        fixes.append(
            "Remove these notes, but keep what programs need: the network's module, rank and alpha, the "
            "base and its version."
        )
    if homes:
        line = f", line {homes[0].line}" if homes[0].line else ""
        sentences.append(f"{homes[0].file} names a home folder ({homes[0].text}{line}){_more(homes)}.")
        fixes.append("Remove the path.")
    if emails:
        sentences.append(f"{emails[0].place} contains an e-mail address{_more(emails)}.")
        fixes.append("Remove the address.")
    if not sentences:
        return "It contains no trace of the training machine or data."
    traces = [Trace(path, "training state") for path in states]
    traces += [Trace(folder.weights, "note of the training", key=key) for key in notes]
    where = _listed(traces + homes + emails)
    if homes:
        where["file"] = homes[0].file
    return warned(" ".join(sentences), " ".join(fixes), **where, files=states[:20], keys=notes[:20])


def secret(folder: Folder) -> str | Finding:
    search = Search()
    traces = list(_secrets(folder, search))
    if not traces:
        return f"No secret was found in what was searched: {search}."
    first = traces[0]
    place = f", line {first.line}" if first.line else f" in {first.key}" if first.key else ""
    holds = f"{first.file} contains {first.kind}{place}"
    others = some((f"{trace.kind} in {trace.place}" for trace in traces[1:]), 4)
    message = f"{holds}; and {others}." if others else f"{holds}."
    return warned(
        message,
        "Revoke it at once: everyone who can read the repository has it.",
        file=first.file,
        **_listed(traces),
        searched=str(search),
    )


def traces_of(path: str, text: str) -> Iterator[Trace]:
    """Yield every private thing in the text of one file."""
    yield from _homes_of(path, text)
    yield from _emails_of(path, text)
    yield from _secrets_of(path, text)


def _homes(folder: Folder) -> Iterator[Trace]:
    for path, text in _texts(folder):
        yield from _homes_of(path, text)


def _emails(folder: Folder) -> Iterator[Trace]:
    for path, text in _texts(folder):
        yield from _emails_of(path, text)
    for key, value in sorted(folder.metadata.items()):
        if not PRIVATE.match(key) and not key.startswith("modelspec.") and EMAIL.search(value[:MAX_TEXT_BYTES]):
            yield Trace(folder.weights, "e-mail address", key=key)


def _secrets(folder: Folder, search: Search) -> Iterator[Trace]:
    for path, text in search.texts(folder.files, folder.sizes):
        yield from _secrets_of(path, text)
    for path, text in _arguments(folder):
        yield from _secrets_of(path, text)
    for key, value in sorted(_notes(folder).items()):
        for _, kind in secrets_of(value[:MAX_TEXT_BYTES]):
            yield Trace(folder.weights, kind, key=key)


def _homes_of(path: str, text: str) -> Iterator[Trace]:
    for line, match in _matches(HOME, text):
        yield Trace(path, "home folder", _line(path, line), text=match)


def _emails_of(path: str, text: str) -> Iterator[Trace]:
    if not path.lower().endswith(WITH_AUTHORS):
        for line, _ in _matches(EMAIL, text):
            yield Trace(path, "e-mail address", _line(path, line))


def _secrets_of(path: str, text: str) -> Iterator[Trace]:
    for line, kind in secrets_of(text):
        yield Trace(path, kind, _line(path, line))


def _line(path: str, line: int) -> int:
    """Return a line of a text; 0 for the arguments of a training, whose texts have none."""
    return 0 if path.rpartition("/")[2] == ARGUMENTS else line


def _notes(folder: Folder) -> Mapping[str, str]:
    """Return the notes in the header of the weights; empty if it cannot be read, which file.header reports."""
    try:
        return folder.metadata
    except (HeaderError, GgufError, KeyError):
        return {}


def _more(traces: list[Trace]) -> str:
    others = len(traces) - 1
    return (
        f" and {others} more place{'s' if others > 1 else ''} like it ({some(trace.place for trace in traces[1:])})"
        if others
        else ""
    )


def _listed(traces: list[Trace]) -> dict[str, object]:
    """Return the traces for programs, and how many there are beside those that are listed."""
    more = len(traces) - MAX_TRACES
    return {"findings": [trace.as_json() for trace in traces[:MAX_TRACES]], **({"more": more} if more > 0 else {})}


def is_ballast(path: str) -> bool:
    """Return whether a file is state of a training; every Trainer pushes its arguments along, which are small."""
    name = path.rpartition("/")[2]
    return (name in TRAINING_STATE and name != ARGUMENTS) or "rng_state" in name


def _texts(folder: Folder) -> Iterator[tuple[str, str]]:
    """Yield path and text of text files, and of the arguments of trainings, which hold tokens and paths as well."""
    paths = [path for path in sorted(folder.files) if folder.sizes[path] <= MAX_TEXT_BYTES]
    for path in [path for path in paths if path.lower().endswith(TEXTS)][:MAX_FILES]:
        yield path, folder.text(path)
    yield from _arguments(folder)


def _arguments(folder: Folder) -> Iterator[tuple[str, str]]:
    """Yield path and texts of the arguments of trainings, which are pickles."""
    paths = [path for path in sorted(folder.files) if path.rpartition("/")[2] == ARGUMENTS]
    for path in [path for path in paths if folder.sizes[path] <= MAX_TEXT_BYTES][:MAX_FILES]:
        with folder.files[path]() as file:
            pickle = pickles.read(path, file)
        yield path, "\n".join(sorted(pickle.texts)) if pickle else ""
