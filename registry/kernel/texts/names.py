"""Rules for the names of people, organisations and repositories, and for the paths of files."""

import re
import unicodedata
from collections.abc import Iterable

from registry.kernel.errors import NameInvalid, PathInvalid, ValueInvalid

MAX_NAME = 96
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?")

MACHINE_MARKS = frozenset("+:")  # acme+deploy, publisher:acme-train: in the names of machines, and in no others

# The first part of every path that Dovetail, or the Hub protocol, uses for itself.
RESERVED = frozenset(
    """
    about account adapters admin api auth avatars bases blob blog chat collections compare dashboard datasets docs
    enterprise error explore favicon.ico feeds health help home hub humans.txt jobs join kernels leaderboards legal
    livez login logout main me metrics models moderation new notifications oauth organizations papers password policies
    policy posts pricing privacy readyz reports resolve robots.txt root s3 scim search security settings signup simple
    site sitemap.xml spaces static stats status storage support system tasks terms transparency tree trending
    unsubscribe upload uploads user users v2 verified xet
    """.split()  # noqa: SIM905  # a list of words reads better without eighty pairs of quotes
)

MAX_PATH = 1024
MAX_SEGMENT = 255
MAX_DEPTH = 32
# Control and format characters (some change the reading direction, some HFS+ ignores), halves of surrogate pairs, line
# ends: a name with them looks like another name.
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")  # no column of PostgreSQL takes a NUL or half a surrogate pair
_DRIVE = re.compile(r"[A-Za-z]:")  # on Windows c:b is the file b on another drive


def check_name(name: str) -> str:
    """Return the name, or raise NameInvalid.

    The rules are the Hub's (huggingface_hub `validate_repo_id`), so that every client accepts what we accept.
    """
    if not _NAME.fullmatch(name) or len(name) > MAX_NAME:
        raise NameInvalid(f"The name {name!r} is not allowed.")
    if "--" in name or ".." in name or name.lower().endswith((".git", ".ipynb")):
        raise NameInvalid(f"The name {name!r} is not allowed: it holds `--` or `..`, or ends in `.git` or `.ipynb`.")
    return name


def is_storable(value: object) -> bool:
    """Return whether the database can hold every text in a value that came as JSON."""
    waiting = [value]
    while waiting:  # no recursion: a stranger decides how deep a value is
        item = waiting.pop()
        if isinstance(item, str) and _UNSTORABLE.search(item):
            return False
        if isinstance(item, dict):
            waiting += [*item, *item.values()]
        elif isinstance(item, list):
            waiting += item
    return True


def check_text(text: str, noun: str, most: int) -> str:
    """Return a text that people wrote, without spaces around it, or raise ValueInvalid.

    `most` is a number of characters. Control characters (but for tabs and new lines) and lone surrogates are refused:
    PostgreSQL does not store NUL, and nobody can encode half a character.
    """
    text = text.strip()
    if len(text) > most:
        raise ValueInvalid(f"The {noun} is {len(text)} characters long.", fix=f"Use at most {most}.")
    if any(unicodedata.category(char) in {"Cc", "Cs"} and char not in "\t\r\n" for char in text):
        raise ValueInvalid(f"The {noun} holds control characters.", fix="Leave them out.")
    return text


def require_text(text: str, noun: str, most: int) -> str:
    """Return a text as `check_text` does; raise ValueInvalid for an empty one, too."""
    text = check_text(text, noun, most)
    if not text:
        raise ValueInvalid(f"The {noun} is empty.", fix="Write something.")
    return text


def check_namespace(name: str) -> str:
    """Return a name that a person or an organisation may take, or raise NameInvalid."""
    if name.lower() in RESERVED:
        raise NameInvalid(f"The name {name!r} is reserved for the hub itself.", fix="Choose another name.")
    return check_name(name)


def split_id(full_name: str) -> tuple[str, str]:
    """Return (namespace, name) of an id such as alice/reviews-lora; raises NameInvalid."""
    namespace, slash, name = full_name.partition("/")
    if not slash or "/" in name:
        raise NameInvalid(f"{full_name!r} is not of the form namespace/name.", fix="Write it as namespace/name.")
    return namespace, name


def check_path(path: str) -> str:
    """Return the path of a file in a repository as it is stored (NFC), or raise PathInvalid.

    Every entry point uses this one function (commit, preupload, copy), after the last decoding.
    """

    def refuse(why: str) -> PathInvalid:
        return PathInvalid(f"The path {path[:200]!r} is not allowed: {why}.")

    if not path or len(path.encode("utf-8", "surrogatepass")) > MAX_PATH:
        raise refuse("it is empty" if not path else f"it is longer than {MAX_PATH} bytes")
    if not _INVISIBLE.isdisjoint(map(unicodedata.category, path)):
        raise refuse("it holds control or invisible characters")
    if "\\" in path:
        raise refuse("it holds a backslash")
    if _DRIVE.match(path):
        raise refuse("it begins like a drive of Windows")
    path = unicodedata.normalize("NFC", path)
    segments = path.split("/")
    if len(segments) > MAX_DEPTH:
        raise refuse(f"it is deeper than {MAX_DEPTH} folders")
    for segment in segments:
        if why := _segment_problem(segment):
            raise refuse(why)
    return path


def _segment_problem(segment: str) -> str:
    if segment in {"", ".", ".."}:
        return "it holds an empty part, `.` or `..`"
    if segment != segment.rstrip(". "):
        return "a part of it ends in a dot or a space"
    # On Windows a colon begins the name of a stream of the file before it: `.git::$INDEX_ALLOCATION` is `.git` itself.
    before_colon = segment.partition(":")[0].rstrip(". ")
    if fold(before_colon) == ".git" or not before_colon:
        return "`.git` is reserved" if before_colon else "a part of it begins with a colon, dots or spaces alone"
    if len(segment.encode()) > MAX_SEGMENT:
        return f"a part of it is longer than {MAX_SEGMENT} bytes"
    return ""


def check_tree(paths: Iterable[str]) -> None:
    """Raise PathInvalid if two of these paths cannot exist together on every file system.

    `a` and `a/b` cannot on any; `README.md` and `readme.md`, or `A/x` and `a/y`, cannot where case is ignored.
    """
    spelled: dict[str, tuple[str, bool]] = {}  # folded path → (as written, whether it is a file)
    for path in paths:
        parts = path.split("/")
        for depth in range(1, len(parts) + 1):
            prefix = "/".join(parts[:depth])
            written, was_file = spelled.setdefault(fold(prefix), (prefix, depth == len(parts)))
            if written != prefix or was_file != (depth == len(parts)):
                raise PathInvalid(
                    f"The path {path[:200]!r} is not allowed: it collides with {written[:200]!r}.",
                    fix="Delete or rename one of the two in the same push.",
                )


def fold(path: str) -> str:
    """Return the form in which two paths collide on a file system that ignores case or composes characters."""
    return unicodedata.normalize("NFKC", path).casefold()
