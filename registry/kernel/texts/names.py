"""Rules for the names of people, organisations and repositories, and for the paths of files; names taken for another.

A name is taken for another one where it is the same to the eye, or one slip of the hand apart. Names here are ASCII
letters, digits, `-`, `_` and `.`. So of Unicode's table of confusable characters (UTS 39) only a handful of entries
can matter; they are below, and no library is needed.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

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


def check_name(name: str, field: str = "") -> str:
    """Return the name, or raise NameInvalid, which names the field that it came in.

    The rules are the Hub's (huggingface_hub `validate_repo_id`), so that every client accepts what we accept.
    """
    if not _NAME.fullmatch(name) or len(name) > MAX_NAME:
        raise NameInvalid(f"The name {name!r} is not allowed.", field=field)
    if "--" in name or ".." in name or name.lower().endswith((".git", ".ipynb")):
        why = "it contains `--` or `..`, or ends in `.git` or `.ipynb`"
        raise NameInvalid(f"The name {name!r} is not allowed: {why}.", field=field)
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


def check_text(text: str, noun: str, most: int, field: str = "") -> str:
    """Return a text that people wrote, without spaces around it, or raise ValueInvalid.

    `most` is a number of characters, `field` the field it came in if that is not called by the noun. Control characters
    (but for tabs and new lines) and lone surrogates are refused: PostgreSQL does not store NUL, and nobody can encode
    half a character.
    """
    text, field = text.strip(), field or noun.replace(" ", "_")
    if len(text) > most:
        raise ValueInvalid(f"The {noun} is {len(text)} characters long.", f"Use at most {most}.", field)
    if any(unicodedata.category(char) in {"Cc", "Cs"} and char not in "\t\r\n" for char in text):
        raise ValueInvalid(f"The {noun} contains control characters.", "Remove them.", field)
    return text


def require_text(text: str, noun: str, most: int) -> str:
    """Return a text as `check_text` does; raise ValueInvalid for an empty one, too."""
    text = check_text(text, noun, most)
    if not text:
        raise ValueInvalid(f"The {noun} is empty.", fix="Enter a value.", field=noun)
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


SHORTEST = 4  # characters of the letters alone; of shorter names too many are one slip apart
# Applied in this order to a name in lower case: what looks alike becomes the same.
SHAPES = (("rn", "m"), ("vv", "w"), ("cl", "d"), ("0", "o"), ("1", "l"), ("i", "l"), ("5", "s"), ("3", "e"), ("8", "b"))
_SEPARATORS = re.compile(r"[-_.]+")


@dataclass(frozen=True, slots=True)
class Likeness:
    """A well-known name that another one looks like, and why."""

    name: str
    why: str


def letters_of(name: str) -> str:
    """Return a name in lower case without separators: Meta-Llama and meta_llama are one name."""
    return _SEPARATORS.sub("", name.lower())


def skeleton(name: str) -> str:
    """Return the form in which names that look alike are equal."""
    text = letters_of(name)
    for shape, plain in SHAPES:
        text = text.replace(shape, plain)
    return text


def likeness(name: str, known: Iterable[str]) -> Likeness | None:
    """Return the first of the known names that a name could be taken for; None if it is one of them itself."""
    known = list(known)
    if name.lower() in {other.lower() for other in known}:
        return None
    letters, shape = letters_of(name), skeleton(name)
    if len(letters) < SHORTEST:
        return None
    for other in known:
        if why := _reason(letters, shape, other):
            return Likeness(other, why)
    return None


def _reason(letters: str, shape: str, other: str) -> str:
    theirs = letters_of(other)
    if abs(len(letters) - len(theirs)) > 2 or len(theirs) < SHORTEST:
        return ""
    if letters == theirs:
        return "it differs in separators or case only"
    if shape == skeleton(other):
        return "it looks the same"
    if is_one_slip(letters, theirs):
        return "one character is missing, doubled, swapped or another one"
    return ""


def is_one_slip(left: str, right: str) -> bool:
    """Return whether one insertion, deletion, replacement or swap of neighbours makes one text of the other."""
    if len(left) > len(right):
        left, right = right, left
    if len(right) - len(left) > 1:
        return False
    first = next((at for at, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), len(left))
    if len(left) < len(right):
        return left[first:] == right[first + 1 :]
    swapped = left[first + 1 : first + 2] + left[first : first + 1] == right[first : first + 2]
    return left[first + 1 :] == right[first + 1 :] or (swapped and left[first + 2 :] == right[first + 2 :])
