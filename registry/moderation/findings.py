"""The hub's own findings in files: dangerous pickles and its access tokens, which it revokes, hold a version back.

Features hear of each finding before the hold; one that keeps cases returns the case that the hold belongs to.
"""

from collections.abc import Callable, Collection, Sequence

from django.db import transaction

from dovetail.adapters.checks.privacy import ARGUMENTS, TEXTS
from dovetail.adapters.readers.folder import MAX_TEXT_BYTES
from dovetail.adapters.results.report import CheckResult
from registry.bytes.blobs import Keys, store
from registry.kernel import outbox, seams
from registry.kernel.outbox import Kind
from registry.models import OutboxEvent, Revision, SecretSearch, Verdict
from registry.people.tokens import tokens
from registry.proof.verified import withdrawals
from registry.repos import pull
from registry.repos.manifest import Entry

MAX_FILES = 50
MAX_PLACES = 50
PICKLE, SECRET, LIVE_SECRET, BLOCKED_FILE = "file.pickle", "privacy.secret", "privacy.secret-live", "file.blocked"
HOLDING = frozenset({PICKLE, LIVE_SECRET})
Place = tuple[str, int, str]  # file, line and kind


def consume(event: OutboxEvent) -> None:
    """Tell what the event found, if it found something, and hold it back; then features that moderate hear of it."""
    if consumer := CONSUMERS.get(event.kind):
        consumer(event)
    for feature in seams.joined():
        feature.moderates(event)


def reads_files(event: OutboxEvent) -> bool:
    """Return whether `consume` reads files of the store for this event, which a page must not wait for."""
    if event.kind != Kind.VERDICT_REACHED:
        return False
    verdict = Verdict.objects.filter(pk=event.data["verdict"]).first()
    return verdict is not None and any(map(_is_secret, verdict.report.checks))


def _verdict_reached(event: OutboxEvent) -> None:
    rows = Verdict.objects.select_related("revision__repository__namespace", "revision__author")
    verdict = rows.filter(pk=event.data["verdict"]).first()
    if verdict is None:
        return
    revision = verdict.revision
    was_held = revision.is_quarantined
    for check in verdict.report.checks:
        if check.id == PICKLE and check.outcome == "failed" and check.where.get("quarantine") and not was_held:
            _tell_check(revision, PICKLE, check)
        if _is_secret(check):
            revoked = revoke(revision)  # of a held version too: its readers have the token already
            if not was_held and not revoked:  # else an event of its own follows
                _tell_check(revision, SECRET, check)


def _is_secret(check: CheckResult) -> bool:
    return check.id == SECRET and check.outcome in ("failed", "warned")


def _tell_check(revision: Revision, finding: str, check: CheckResult) -> None:
    file = str(check.where.get("file"))  # strangers' bytes may have led to the report: a file of the version, or none
    _tell(revision, finding, f"{check.message} {check.fix}".strip(), file if file in pull.entries(revision) else "")


def _tokens_leaked(event: OutboxEvent) -> None:
    """Hold back a revision that held an access token of this hub."""
    files, oid = event.data.get("files"), event.data.get("revision")
    rows = Revision.objects.select_related("repository__namespace", "author")
    revision = rows.filter(repository=outbox.snapshot(event).id, oid=oid).first() if event.repository else None
    if revision is None or revision.is_quarantined:
        return
    text = f"{', '.join(files)} holds an access token of this hub that worked. The token was revoked: make a new one."
    _tell(revision, LIVE_SECRET, text, files[0])


CONSUMERS: dict[str, Callable[[OutboxEvent], None]] = {
    Kind.VERDICT_REACHED: _verdict_reached,
    Kind.TOKENS_LEAKED: _tokens_leaked,
}


def _tell(revision: Revision, finding: str, text: str, file: str) -> None:
    """Tell features what was found, and hold the version back if the finding is a reason to; in a transaction."""
    case = seams.found(revision, finding, text, file)
    if finding in HOLDING:
        withdrawals.hold(revision, text, case, finding=finding)


def revoke(revision: Revision) -> list[str]:
    """Revoke the tokens of this hub that a revision's text files hold; return the path of each such file.

    Those of files that came with a commit were revoked by the push. Raises StoreUnavailable.
    """
    found = {}
    for entry in _texts(revision):
        with store().open(Keys.blob(entry.sha256)) as reader:
            found[entry.path] = tokens.candidates(reader.read(MAX_TEXT_BYTES))
    return tokens.revoke_in(found, revision.repository, revision)


def _texts(revision: Revision) -> list[Entry]:
    rows = sorted(pull.entries(revision).values(), key=lambda entry: entry.path)
    return [row for row in rows if row.path.lower().endswith((*TEXTS, ARGUMENTS)) and row.size <= MAX_TEXT_BYTES][
        :MAX_FILES
    ]


def keep_secrets(revision: Revision, searched: str, places: Sequence[Place], *, new: Collection[str]) -> None:
    """Keep for pages what a search for secrets of the files that are `new` in a revision found, and tell it.

    Findings of its parent that are still there are kept too. A verdict tells what is in an adapter; this, what is
    elsewhere.
    """
    with transaction.atomic():
        before = SecretSearch.objects.filter(revision=revision.parent_id).first()
        paths = set(revision.files.values_list("path", flat=True))
        old = [place for place in (before.places if before else ()) if place[0] in paths - set(new)]
        row = {"searched": searched, "places": [*places, *old][:MAX_PLACES]}
        SecretSearch.objects.update_or_create(revision=revision, defaults=row)
        # Tokens of this hub are revoked, by an event that tells of them by itself.
        foreign = [place for place in places if not place[2].startswith("a Dovetail token")]
        if foreign and not Verdict.objects.filter(revision=revision).exists():
            file, line, kind = foreign[0]
            text = f"{file} holds {kind}, line {line}. Revoke it at once: everyone who can read the repository has it."
            _tell(revision, SECRET, text, file)
