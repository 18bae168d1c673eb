"""Semantic versions (SemVer 2.0.0, https://semver.org): check one, and sort them by precedence in a database."""

import re
from dataclasses import dataclass

from registry.kernel.errors import ValueInvalid

MAX_VERSION = 64  # characters
_NUMBER = r"(0|[1-9]\d*)"
_IDENTIFIER = r"(?:0|[1-9]\d*|\d*[A-Za-z-][0-9A-Za-z-]*)"  # a number has no zeros before it
_VERSION = re.compile(
    rf"v?{_NUMBER}\.{_NUMBER}\.{_NUMBER}(?:-({_IDENTIFIER}(?:\.{_IDENTIFIER})*))?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?",
    re.ASCII,
)
# The first byte of each part of a key. A version that ends sorts before one that goes on, numbers before words.
_END, _AS_NUMBER, _AS_WORD, _STABLE = b"\x00", b"\x01", b"\x02", b"\x03"


@dataclass(frozen=True, slots=True)
class Version:
    """A version as it was written, `v` and build metadata included; its numbers and identifiers are digits or words."""

    text: str
    numbers: tuple[str, ...]  # major, minor, patch
    prerelease: tuple[str, ...]

    @property
    def is_prerelease(self) -> bool:
        return bool(self.prerelease)

    @property
    def precedence(self) -> bytes:
        """A key whose order, byte by byte, is the precedence of SemVer (section 11); build metadata does not count."""
        core = b"".join(map(_number, self.numbers))
        if not self.prerelease:
            return core + _STABLE
        return core + b"".join(map(_identifier, self.prerelease)) + _END


def is_version(text: str) -> bool:
    """Return whether a text is a semantic version that may have a `v` before it."""
    return _match(text) is not None


def parse(text: str) -> Version:
    """Return the version that a text such as `v1.2.0` or `1.2.0-rc.1` is. Raises ValueInvalid."""
    match = _match(text)
    if match is None:
        raise ValueInvalid(
            f"{text[:MAX_VERSION]!r} is no semantic version.",
            fix=f"Use three numbers without leading zeros, as in `v1.2.0` or `v1.2.0-rc.1`; {MAX_VERSION} characters "
            "at most.",
            field="tag",
        )
    *numbers, prerelease = match.groups()
    return Version(text, tuple(numbers), tuple(prerelease.split(".")) if prerelease else ())


def _match(text: str) -> re.Match[str] | None:
    return _VERSION.fullmatch(text) if len(text) <= MAX_VERSION else None


def _number(digits: str) -> bytes:
    """A number of any size: more digits are more, equally many compare as text."""
    return bytes([len(digits)]) + digits.encode()


def _identifier(identifier: str) -> bytes:
    return _AS_NUMBER + _number(identifier) if identifier.isdigit() else _AS_WORD + identifier.encode() + _END
