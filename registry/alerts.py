"""Telling people that an adapter of theirs stopped working: on the website, by webhook, and by e-mail in one letter."""

import logging
import smtplib
from collections.abc import Sequence
from datetime import timedelta

from django.conf import settings
from django.core.mail import EmailMessage
from django.db.models import Max, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from registry import events, policy, proofs, webhooks
from registry.models import Adapter, Alert, Membership, Namespace, Ref, User, Verdict
from registry.policy import Caller
from registry.refs import MAIN

logger = logging.getLogger(__name__)

State = Verdict.State
QUIET = timedelta(minutes=2)  # a letter waits until nothing new has come for so long
PAUSE = timedelta(hours=1)  # between two letters to one person
MAX_LINES = 50
KEPT_DAYS = 90


# --- when it happens -------------------------------------------------------------------------------------------------
def finished(verdict: int) -> None:
    """Write down whether the same bytes were judged otherwise before, and tell those who want to know.

    Call it in the transaction in which the verdict got its last state.
    """
    now = Verdict.objects.select_related("revision__adapter__namespace", "revision__author").get(pk=verdict)
    earlier = now.revision.verdicts.filter(finished_at__isnull=False, number__lt=now.number).order_by("-number").first()
    was = earlier.state if earlier else ""
    now.proven_with = proofs.digest(now.result.get("proven_with"))
    now.changed_from = was if was != now.state else ""
    now.save(update_fields=["proven_with", "changed_from"])
    adapter = now.revision.adapter
    check, _ = proofs.refusal(now.result)
    events.note(adapter, "verdict", now.revision, state=now.state, number=now.number, check=check or None)
    if not Ref.objects.filter(adapter=adapter, name=MAIN, revision=now.revision_id).exists():
        return
    _announce(adapter, now, was)
    if _is_news(now.state, was):
        Alert.objects.bulk_create([Alert(user=user, adapter=adapter, verdict=now) for user in _owners(now)], ignore_conflicts=True)


def _is_news(state: str, was: str) -> bool:
    """Whether somebody should hear of it: of a failure once, and of an error of ours where nothing was wrong before."""
    if state == State.FAILED:
        return was != State.FAILED
    return state == State.ERRORED and was in ("", State.PASSED)


def _announce(adapter: Adapter, verdict: Verdict, was: str) -> None:
    check, _ = proofs.refusal(verdict.result)
    said = {
        "revision": verdict.revision.oid,
        "number": verdict.number,
        "state": verdict.state,
        "was": was or None,
        "check": check or None,
        "url": f"{settings.PUBLIC_URL}/{adapter.full_name}/verdict/{verdict.revision.oid}",
    }
    webhooks.announce(adapter, "update", "verdict", verdict=said)


def _owners(verdict: Verdict) -> list[User]:
    """Whom it concerns: whose it is, who administers the organisation, and who pushed it if he still may."""
    namespace = verdict.revision.adapter.namespace
    if namespace.kind == Namespace.Kind.PERSON:
        rows = User.objects.filter(namespace=namespace)
    else:
        admins = Membership.objects.filter(organization__namespace=namespace, role=Membership.Role.ADMIN)
        rows = User.objects.filter(pk__in=admins.values("user"))
    author = verdict.revision.author
    found = {user.pk: user for user in rows.filter(is_active=True)}
    if author.is_active and policy.may_write(Caller(user=author), verdict.revision.adapter):
        found[author.pk] = author
    return list(found.values())


# --- on the website --------------------------------------------------------------------------------------------------
def of(user: User) -> QuerySet[Alert]:
    """Return what a person was told and may still see, newest first."""
    seen = Adapter.objects.filter(policy.visible_to(Caller(user=user)))
    rows = Alert.objects.filter(user=user, verdict__revision__adapter__in=seen)
    return rows.select_related("verdict__revision__adapter__namespace").order_by("-pk")


def unread(user: User) -> int:
    """Return how many a person has not read."""
    return of(user).filter(read_at__isnull=True).count()


def read(user: User, up_to: int) -> int:
    """Mark everything up to an alert as read; return how many were not."""
    return Alert.objects.filter(user=user, pk__lte=up_to, read_at__isnull=True).update(read_at=Now())


def set_mail(user: User, wanted: bool) -> None:
    """Send alerts by e-mail from now on, or no longer; what happened before is not sent any more."""
    User.objects.filter(pk=user.pk).update(mail_alerts=wanted)
    if not wanted:
        Alert.objects.filter(user=user, mailed_at__isnull=True).update(mailed_at=Now())
    user.mail_alerts = wanted


# --- by e-mail -------------------------------------------------------------------------------------------------------
def send_due() -> int:
    """Send one letter to each person with alerts that were not sent; return how many letters.

    While something new keeps coming the letter waits: a proof of many adapters is one letter, not many.
    """
    Alert.objects.filter(created_at__lt=Now() - timedelta(days=KEPT_DAYS)).delete()
    if not settings.MAIL_FROM:
        return 0
    waiting = Alert.objects.filter(mailed_at__isnull=True).values("user")
    readers = User.objects.filter(pk__in=waiting, is_active=True, mail_alerts=True).exclude(email="")
    return sum(map(_send, readers))


def _send(user: User) -> bool:
    now = timezone.now()
    mine = Alert.objects.filter(user=user)
    last = mine.aggregate(mailed=Max("mailed_at"), made=Max("created_at"))
    if (last["mailed"] and last["mailed"] > now - PAUSE) or last["made"] > now - QUIET:
        return False
    due = list(of(user).filter(mailed_at__isnull=True))
    pending = mine.filter(mailed_at__isnull=True)
    if not pending.filter(pk__lte=max([alert.pk for alert in due], default=0)).update(mailed_at=now):
        pending.update(mailed_at=now)  # nothing that may still be seen
        return False
    try:
        return bool(_letter(user, due).send())
    except (smtplib.SMTPException, OSError) as problem:
        logger.warning("A letter could not be sent: %s", problem, extra={"user": user.username})
        mine.filter(pk__in=[alert.pk for alert in due]).update(mailed_at=None)
        return False


def _letter(user: User, alerts: Sequence[Alert]) -> EmailMessage:
    adapters = {alert.verdict.revision.adapter.full_name for alert in alerts}
    subject = (
        f"{next(iter(adapters))} did not pass"
        if len(adapters) == 1
        else f"{len(adapters)} of your adapters did not pass"
    )
    lines = [line for alert in alerts[:MAX_LINES] for line in _lines(alert.verdict)]
    if len(alerts) > MAX_LINES:
        lines += [f"… and {len(alerts) - MAX_LINES} more: {settings.PUBLIC_URL}/settings/notifications", ""]
    lines.append(f"Without these letters: {settings.PUBLIC_URL}/settings/notifications")
    headers = {
        "Auto-Submitted": "auto-generated",
        "List-Unsubscribe": f"<{settings.PUBLIC_URL}/settings/notifications>",
    }
    return EmailMessage(f"[Dovetail] {subject}", "\n".join(lines), settings.MAIL_FROM, [user.email], headers=headers)


def _lines(verdict: Verdict) -> list[str]:
    adapter, oid = verdict.revision.adapter.full_name, verdict.revision.oid
    check, message = proofs.refusal(verdict.result)
    how = f"passed before, and is {verdict.state} now" if verdict.changed_from else f"is {verdict.state}"
    said = [f"{adapter} at {oid[:12]} {how}.", *([f"  {check}: {message[:300]}"] if check else [])]
    return [*said, f"  {settings.PUBLIC_URL}/{adapter}/verdict/{oid}", ""]
