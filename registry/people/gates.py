"""Gates: put one before a repository's files, request access, decide requests.

An archived repository is read as before: its gate stays as it is, people go on asking, and its administrators answer.
"""

from collections.abc import Mapping

from django.db import transaction
from django.db.models import F, Func, QuerySet, TextField, Value
from django.db.models.expressions import Combinable
from django.db.models.functions import Concat
from django.utils import timezone

from registry.kernel import audit, outbox, policy, seams
from registry.kernel.errors import AccessGranted, AccessRequestNotFound, NamespaceNotFound, NotAllowed, ValueInvalid
from registry.kernel.outbox import Kind
from registry.kernel.policy import Caller, Permission
from registry.kernel.texts import names
from registry.models import AccessRequest, Repository, User
from registry.people import accounts

MAX_TEXT = 500
Status = AccessRequest.Status


def set_gate(repository: Repository, gate: str, by: Caller) -> None:
    """Put a gate before the files ("auto", "manual") or remove it (""); people admitted before keep their access.

    Raises ValueInvalid and what policy.require raises.
    """
    policy.require(by, Permission.CONFIGURE, repository)
    if gate not in {"", *Repository.Gate.values}:
        raise ValueInvalid(f"Unknown gate {gate[:40]!r}.", fix="Use auto, manual or false.")
    with transaction.atomic():
        row = Repository.objects.filter(pk=repository.pk).exclude(gated=gate)
        if row.update(gated=gate, search_text=_searched(gate)):
            audit.record(
                by.user, "adapter:gate", repository.full_name, about=repository, before=repository.gated, after=gate
            )
            outbox.record(Kind.CONFIGURED, repository, by.user)
    repository.gated = gate


def _searched(gate: str) -> Combinable:
    """Return the search text without trigger words, which files behind a gate state; with them where there is none."""
    without = Func("search_text", F("triggers"), Value(""), function="REPLACE", output_field=TextField())
    return without if gate else Concat(without, F("triggers"))


def request_access(
    repository: Repository, by: Caller, text: str = "", answers: Mapping[str, object] | None = None
) -> AccessRequest:
    """Ask for the files; an automatic gate opens at once. Asking again changes the text while nothing is decided.

    Raises ValueInvalid where there is no gate and for answers that it does not take, NotAllowed after a rejection, and
    what require_person raises.
    """
    user = policy.require_person(by, "ask for access")
    policy.require(by, Permission.BROWSE, repository)
    text = names.check_text(text, "text", MAX_TEXT)
    if not repository.gated:
        raise ValueInvalid(f"{repository.full_name} is not gated.", fix="Download it without a request.")
    status = Status.ACCEPTED if repository.gated == Repository.Gate.AUTO else Status.PENDING
    asked = {"status": status, "text": text, "answers": seams.check_answers(repository, answers or {})}
    with transaction.atomic():
        row, is_new = AccessRequest.objects.get_or_create(repository=repository, user=user, defaults=asked)
        if is_new:
            audit.record(user, "access:ask", repository.full_name, about=repository, after=status)
            outbox.record(Kind.ACCESS_ASKED, repository, user, request=row.pk)
        elif row.status == Status.REJECTED:
            raise NotAllowed(
                f"Your request for {repository.full_name} was rejected. {row.reason}".strip(), fix="Write to its owner."
            )
        elif row.status == Status.PENDING:  # the gate may have become an automatic one
            # The filter keeps a decision that the owner made meanwhile.
            AccessRequest.objects.filter(pk=row.pk, status=Status.PENDING).update(**asked)
            row.refresh_from_db()
    return row


def own_request(repository: Repository, by: Caller) -> AccessRequest | None:
    """Return the caller's own request, if there is one."""
    return repository.access_requests.filter(user=by.user).first() if by.user else None


def list_requests(repository: Repository, status: str, by: Caller) -> QuerySet[AccessRequest]:
    """Return the requests in a state, for the owner. Raises ValueInvalid and what policy.require raises."""
    policy.require(by, Permission.ARCHIVE, repository)
    return repository.access_requests.filter(status=_status(status)).select_related("user", "decided_by")


def decide_request(
    repository: Repository, status: str, by: Caller, *, username: str = "", request_id: int = 0, reason: str = ""
) -> AccessRequest:
    """Move somebody's request to another state; back to pending takes a decision back.

    Raises AccessRequestNotFound where there is none or it is in that state already, and what list_requests raises.
    """
    policy.require(by, Permission.ARCHIVE, repository)
    reason = names.check_text(reason, "reason", MAX_TEXT)
    which = {"user__namespace__name__lower": username.lower()} if username else {"pk": request_id}
    with transaction.atomic():
        rows = repository.access_requests.select_for_update(of=("self",), no_key=True).select_related("user")
        row = rows.filter(**which).first()
        if row is None or row.status == _status(status):
            state = f" that is not {status} already" if row else ""
            raise AccessRequestNotFound(f"There is no such request for {repository.full_name}{state}.")
        before, row.status, row.reason = row.status, status, reason
        row.decided_by, row.decided_at = by.user, timezone.now()
        row.save(update_fields=["status", "reason", "decided_by", "decided_at"])
        audit.record(
            by.user,
            "access:decide",
            f"{repository.full_name}/{row.user}",
            about=repository,
            reason=reason,
            before=before,
            after=status,
        )
        _record_decision(row, by)
    return row


def grant_access(repository: Repository, username: str, by: Caller) -> AccessRequest:
    """Give a person access who did not request it, or whose request is open or was rejected.

    Raises NamespaceNotFound, AccessGranted for a person who has access already, and what list_requests raises.
    """
    policy.require(by, Permission.ARCHIVE, repository)
    user = _person(username)
    now = timezone.now()
    with transaction.atomic():
        decided = {"status": Status.ACCEPTED, "decided_by": by.user, "decided_at": now}
        row, is_new = AccessRequest.objects.get_or_create(
            repository=repository, user=user, defaults={**decided, "asked": False}
        )
        if not is_new:
            waiting = AccessRequest.objects.filter(pk=row.pk).exclude(status=Status.ACCEPTED)
            if not waiting.update(**decided, reason=""):
                raise AccessGranted(f"{user} already has access to {repository.full_name}.")
        audit.record(by.user, "access:grant", f"{repository.full_name}/{user}", about=repository, after=Status.ACCEPTED)
        row.refresh_from_db()
        _record_decision(row, by)
    return row


def _record_decision(row: AccessRequest, by: Caller) -> None:
    outbox.record(Kind.ACCESS_DECIDED, row.repository, by.user, request=row.pk, person=row.user_id, status=row.status)


def _person(username: str) -> User:
    user = accounts.get_person(username)
    if not user.is_active:
        raise NamespaceNotFound(f"There is no person {username!r}.")
    return user


def _status(status: str) -> str:
    if status not in Status.values:
        raise ValueInvalid(f"Unknown status {status[:40]!r}.", fix=f"Use one of {', '.join(Status.values)}.")
    return status
