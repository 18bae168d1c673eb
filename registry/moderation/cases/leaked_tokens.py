"""Find access tokens of this hub in the text files of a revision, and revoke those that work."""

from dovetail.adapters.checks.privacy import ARGUMENTS, TEXTS
from dovetail.adapters.readers.folder import MAX_TEXT_BYTES
from registry.bytes.blobs import Keys, store
from registry.models import Revision
from registry.people.tokens import leaks
from registry.repos import pull
from registry.repos.manifest import Entry

MAX_FILES = 50


def revoke(revision: Revision) -> list[str]:
    """Revoke the tokens of this hub that a revision's text files hold; return the path of each such file.

    Those of files that came with a commit were revoked by the push. Raises StoreUnavailable.
    """
    found = {}
    for entry in _texts(revision):
        with store().open(Keys.blob(entry.sha256)) as reader:
            found[entry.path] = leaks.candidates(reader.read(MAX_TEXT_BYTES))
    return leaks.revoke_in(found, revision.repository, revision)


def _texts(revision: Revision) -> list[Entry]:
    rows = sorted(pull.entries(revision).values(), key=lambda entry: entry.path)
    return [row for row in rows if row.path.lower().endswith((*TEXTS, ARGUMENTS)) and row.size <= MAX_TEXT_BYTES][
        :MAX_FILES
    ]
