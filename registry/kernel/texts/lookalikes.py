"""Names that people take for another one: the same to the eye, or one slip of the hand apart.

Names here are ASCII letters, digits, `-`, `_` and `.` (names.py). So of Unicode's table of confusable
characters (UTS 39) only a handful of entries can matter; they are below, and no library is needed.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

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
