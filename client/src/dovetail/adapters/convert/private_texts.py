"""Texts without what is private in them, with their formatting; JSON stays JSON with the same keys and numbers."""

from __future__ import annotations

import json
import re

from dovetail.adapters.checks import privacy
from dovetail.adapters.files.secrets import SECRETS

REMOVED, PLAIN = "[removed]", "removed"  # the latter in YAML, where brackets make a list
YAML = (".yaml", ".yml")
FRONT_MATTER = re.compile(r"\A---\r?\n.*?^---\s*$", re.DOTALL | re.MULTILINE)
# A key in several lines, of which the check tells the first one.
KEY_BLOCK = re.compile(r"-----BEGIN ([A-Z ]{0,20}PRIVATE KEY)-----(?:[A-Za-z0-9+/=\s\\:,.]|-(?!----))*-----END \1-----")
LITERAL = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
LONE_SURROGATE = re.compile("[\ud800-\udfff]")
PATTERNS = tuple(secret.pattern for secret in SECRETS if secret.kind != "a private key")
ANY = re.compile("|".join(p.pattern for p in (privacy.HOME, privacy.EMAIL, *(secret.pattern for secret in SECRETS))))
ESCAPED = "nrtbf"  # after a backslash these are white space, and no part of an address


def redacted(path: str, text: str, kept: str = "") -> str:
    """Return the text of a file without what is private; of the string `kept` of JSON only secrets are removed."""
    lower = path.lower()
    with_emails = not lower.endswith(privacy.WITH_AUTHORS)
    if lower.endswith(".jsonl"):
        return "\n".join(without_private(line, with_emails=with_emails) for line in text.split("\n"))
    if lower.endswith(YAML):
        return _replaced(text, PLAIN, with_emails=with_emails)
    if lower.endswith(".md") and (front := FRONT_MATTER.match(text)):
        body = text[front.end() :]
        return _replaced(front[0], PLAIN, with_emails=False) + _replaced(body, REMOVED, with_emails=False)
    return without_private(text, with_emails=with_emails, kept=kept)


def without_private(text: str, *, with_emails: bool, kept: str = "") -> str:
    """Return a text, JSON or not, without what is private; of the string `kept` only secrets are removed."""
    structure = _structure(text)
    if structure is None:
        return _replaced(text, REMOVED, with_emails=with_emails)

    def literal(match: re.Match[str]) -> str:
        value = json.loads(match[0])
        if not ANY.search(value):
            return match[0]
        cleaned = (
            _without_secrets(value, REMOVED) if value == kept else _replaced(value, REMOVED, with_emails=with_emails)
        )
        is_ascii = match[0].isascii() or LONE_SURROGATE.search(cleaned) is not None
        return match[0] if cleaned == value else json.dumps(cleaned, ensure_ascii=is_ascii)

    # The secrets again, since the name of a key and its value are two strings.
    cleaned = _without_secrets(LITERAL.sub(literal, text), REMOVED)
    return cleaned if _are_equal(_structure(cleaned), structure) else text


def _replaced(text: str, word: str, *, with_emails: bool) -> str:
    text = privacy.HOME.sub(word, _without_secrets(text, word))
    return privacy.EMAIL.sub(lambda match: _escape_before(match) + word, text) if with_emails else text


def _without_secrets(text: str, word: str) -> str:
    text = KEY_BLOCK.sub(word, text)
    for pattern in PATTERNS:
        text = pattern.sub(lambda match: _with(word, match), text)
    return text


def _with(word: str, match: re.Match[str]) -> str:
    start, end = match.span(match.lastindex or 0)
    return match.string[match.start() : start] + word + match.string[end : match.end()]


def _escape_before(match: re.Match[str]) -> str:
    """Return the letter of an escape such as \\n that only looks like the beginning of an address."""
    at = match.start()
    while at and match.string[at - 1] == "\\":
        at -= 1
    return match[0][0] if (match.start() - at) % 2 and match[0][0] in ESCAPED else ""


def _structure(text: str) -> object:
    """Return a JSON document without its texts, None for a text that is no JSON or names a key twice."""
    try:
        document = json.loads(text.removeprefix("\ufeff"), object_pairs_hook=_values, parse_constant=str)
        return [_without_texts(document)]
    except (ValueError, RecursionError):
        return None


def _values(pairs: list[tuple[str, object]]) -> tuple[object, ...]:
    if len({key for key, _ in pairs}) != len(pairs):
        raise ValueError("a key is there twice")
    return tuple(_without_texts(value) for _, value in pairs)


def _without_texts(value: object) -> object:
    if isinstance(value, list):  # an object is a tuple, and has no text any more
        return [_without_texts(item) for item in value]
    return "" if isinstance(value, str) else value


def _are_equal(left: object, right: object) -> bool:
    try:
        return left == right
    except RecursionError:
        return False
