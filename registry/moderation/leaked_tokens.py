"""Find access tokens of this hub in the text files of a revision, and revoke those that work."""

import re
from collections.abc import Collection

from dovetail.adapters.checks.privacy import TEXTS
from dovetail.adapters.folder import MAX_TEXT_BYTES
from registry.bytes.blobs import Keys, store
from registry.models import DirectoryToken, Revision, Token
from registry.people import directory_tokens, tokens
from registry.repos import pull
from registry.repos.manifest import Entry

MAX_FILES, MAX_CANDIDATES = 50, 1000
_CANDIDATE = re.compile(r"\b(?:dvt|hf)_[A-Za-z0-9_]{8,200}\b|\bdvs_[A-Za-z0-9_-]{43}(?![A-Za-z0-9_-])")


def revoke(revision: Revision) -> list[str]:
    """Revoke the tokens of this hub that a revision's text files hold; return the path of each such file.

    Raises StoreUnavailable.
    """
    leaking: list[str] = []
    values: set[str] = set()
    for entry in _texts(revision):
        with store().open(Keys.blob(entry.sha256)) as reader:
            text = reader.read(MAX_TEXT_BYTES).decode("utf-8", "replace")
        candidates = set(_CANDIDATE.findall(text)[:MAX_CANDIDATES])
        digests = [tokens.digest(value) for value in candidates]
        if any(model.objects.filter(sha256__in=digests).exists() for model in (Token, DirectoryToken)):
            leaking.append(entry.path)
            values |= candidates
    if values:
        revoke_values(values)
    return leaking


def revoke_values(values: Collection[str]) -> None:
    """Delete leaked tokens of people and of directories; anyone who knows a value may, and learns nothing by trying."""
    tokens.revoke_values(values)
    directory_tokens.revoke_values(values)


def _texts(revision: Revision) -> list[Entry]:
    rows = sorted(pull.entries(revision).values(), key=lambda entry: entry.path)
    return [row for row in rows if row.path.lower().endswith(TEXTS) and row.size <= MAX_TEXT_BYTES][:MAX_FILES]
