"""Scans new revisions of every repository: holds back code in pickles, revokes leaked tokens, looks for secrets, and
renders the card.
"""

import logging
import time
from collections.abc import Mapping

from dovetail.adapters import Folder
from dovetail.adapters.checks import pickle
from dovetail.adapters.files.header import Opener
from dovetail.adapters.files.secrets import Search, secrets_of
from registry.bytes.blobs import BlobMissing
from registry.kernel.errors import StoreUnavailable
from registry.models import PickleScan, Revision
from registry.moderation.cases import secret_searches
from registry.proof import pickle_scans
from registry.proof.verified import withdrawals
from registry.repos.contents import facts, rendered_cards
from registry.repos.manifest import Entry
from workers.background import token_scanning

logger = logging.getLogger(__name__)
SECONDS = 20  # after that no revision is begun: the others wait for the next tick
CHECK = "file.pickle"


def work() -> None:
    """Look through the revisions that wait; one that cannot be read now is tried again when its lease has ended."""
    until = time.monotonic() + SECONDS
    while time.monotonic() < until and (row := pickle_scans.claim()):
        try:
            _scan(row)
        except (BlobMissing, StoreUnavailable) as problem:
            logger.warning("A revision was not looked through: %s", problem, extra={"revision": row.revision.oid})
            continue
        pickle_scans.finish(row)
        _render_card(row.revision)


def _render_card(revision: Revision) -> None:
    """Render the card for the page of the repository; without it, the page renders the card itself."""
    try:
        rendered_cards.keep(revision)
    except StoreUnavailable as problem:
        logger.warning("A card was not rendered: %s", problem, extra={"revision": revision.oid})


def _scan(row: PickleScan) -> None:
    """Revoke the tokens in a revision's new files, and hold it back for its first file that may run code.

    Objects of libraries are held back as well, since nobody can tell what all of them do; its case says no malware.
    """
    if row.revision.is_expired:  # while it waited, or it is a copy of such a version: no file is left to read
        return
    files = pickle_scans.files_to_scan(row.revision)
    token_scanning.revoke(row.revision, files)
    openers = facts.file_openers(files)
    _search_secrets(row.revision, files, openers)
    for path, opener in openers.items():
        scanned = pickle.scan(path, opener)
        if scanned and not scanned.is_data and not pickle.is_pointer(opener):
            finding = pickle.unsafe(path, scanned, Folder.to_safetensors)
            reason = f"{finding.message} {finding.fix}"
            withdrawals.hold(row.revision, reason, finding=CHECK if scanned.is_attack else "")
            return


def _search_secrets(revision: Revision, files: Mapping[str, Entry], openers: Mapping[str, Opener]) -> None:
    """Look for secrets in the texts among a revision's new files."""
    search = Search()
    sizes = {path: entry.size for path, entry in files.items()}
    places = [(path, line, kind) for path, text in search.texts(openers, sizes) for line, kind in secrets_of(text)]
    secret_searches.keep(revision, str(search), places, new=files.keys())
