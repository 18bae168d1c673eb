"""Tries of an adapter with a visitor's own text: who may ask, what for, and how long anything of it is kept.

Texts and answers are in one row, which nobody else reads, and which is deleted an hour after it was asked for. Nothing
of them is in the audit log, in logs or in metrics. The row is the job, as of comparisons: a worker claims it with a
lease. A try that waits too long expires, since its visitor is gone.
"""

import secrets
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from django.conf import settings
from django.db import transaction
from django.db.models import Avg, Count, F, QuerySet
from django.db.models.functions import Now
from django.utils.crypto import salted_hmac
from django.utils.module_loading import import_string

from dovetail.adapters.results.report import Report
from dovetail.adapters.results.usage import Answer
from features.tries.models import Tryout
from registry.kernel.errors import ClaimStale, Conflict, HubBusy, Missing, RegistryError, SignInRequired, TooOften
from registry.kernel.policy import Caller
from registry.kernel.seams import Feature, Gauge
from registry.models import Revision, Verdict
from registry.proof.verdicts import requests
from registry.proof.verdicts.comparisons import Pair
from registry.proof.verdicts.queue import Capabilities, Fleet, lease
from registry.repos import bases, pull

State = Tryout.State
MAX_TEXT = 2000  # characters of each text
NEW_TOKENS, MAX_NEW_TOKENS = 32, 64
KEPT = timedelta(hours=1)
AN_HOUR = 30  # of one person, or of one network where strangers may
AT_ONCE = 3  # that one of them has in the queue
WAITING_AT_MOST = 40  # of all people
MAX_BYTES = 1 << 30  # of the files that a worker copies
RAN = ("run", "evaluated")
TYPICAL_SECONDS = 2.0  # of one try, while none was finished within the hour
ATTEMPTS = 2
PAUSE = timedelta(seconds=10)  # after a fault of the hub
COLD = timedelta(seconds=30)  # after which an engine is started for a try though validations wait
PATIENCE = timedelta(minutes=5)  # after which a waiting try expires
MAX_REASON = 500
BROKEN = "This hub failed to run it {} times. Its operators find the cause in the logs of the workers."
NOBODY_CAME = "No worker was free for it within 5 minutes. Ask again when the hub is less busy."


class TryoutNotFound(Missing):
    code = "tryout-not-found"


class TryoutRefused(Conflict):
    """The version cannot be tried here, or the texts cannot be given to it."""

    code = "tryout-refused"


@dataclass(frozen=True)
class Where:
    """The base, the engine and the place of the adapter for a try."""

    route: str
    engine: str
    place: str


@dataclass(frozen=True)
class Asker:
    """The visitor: a caller, and for a stranger the network that tries are counted by."""

    by: Caller
    network: str = ""

    @property
    def rows(self) -> QuerySet[Tryout]:
        if self.by.user is not None:
            return Tryout.objects.filter(by=self.by.user)
        return Tryout.objects.filter(by__isnull=True, network=self.network)


def asker(by: Caller, network: str) -> Asker:
    """Return the visitor; of a stranger's network only a keyed hash is kept, and for an hour."""
    if by.user is not None:
        return Asker(by)
    return Asker(by, salted_hmac("tryout", network, algorithm="sha256").hexdigest())


def request(revision: Revision, text: str, other: str, new_tokens: int, asker: Asker) -> Tryout:
    """Queue a try, and notify a worker after the commit.

    Raises what `require_possible` raises, TryoutRefused for texts, TooOften and HubBusy.
    """
    where = require_possible(revision, asker.by)
    _require_texts(text, other, new_tokens)
    with transaction.atomic():
        _require_room(asker)
        tryout = Tryout.objects.create(
            key=secrets.token_hex(16),
            revision=revision,
            by=asker.by.user,
            network=asker.network,
            text=text,
            other=other,
            new_tokens=new_tokens,
            route=where.route,
            engine=where.engine,
            place=where.place,
        )
        transaction.on_commit(partial(notify, tryout), robust=True)
    return tryout


def require_possible(revision: Revision, by: Caller) -> Where:
    """Return what a worker needs for a try of the revision.

    Raises SignInRequired where strangers may not, what `pull.require_files` raises, and TryoutRefused.
    """
    if settings.TRY == "off":
        raise TryoutRefused("Trying adapters is switched off on this hub.", fix="Pull it, and run it yourself.")
    require_known(by)
    pull.require_files(revision, by)
    verdict = requests.in_force(revision)
    if verdict is None or verdict.state != Verdict.State.PASSED:
        raise TryoutRefused("Only a version that passed can be tried.", fix="Choose `verified`, or wait for it.")
    where = _where(verdict, verdict.report)
    if sum(file.size for file in revision.files.all()) > MAX_BYTES:
        raise TryoutRefused("Its files are too large for a try.", fix="Pull it, and run it yourself.")
    fleet = Fleet.now()
    if not _able(fleet, where.route, where.engine):
        raise TryoutRefused(
            f"No running worker of this hub has {verdict.base} and the engine {where.engine}."
            if fleet.offers
            else "No worker of this hub is running.",
            fix="Try again later.",
        )
    return where


def is_run(report: Report) -> bool:
    """Return whether an engine has run the version that the report is about, and passed it."""
    return report.is_passed and report.depth in RAN


def require_known(by: Caller) -> None:
    """Raise SignInRequired for a stranger on a hub where only members try adapters."""
    if by.user is None and settings.TRY != "everyone":
        raise SignInRequired("Sign in to try an adapter.")


def refusal(revision: Revision, by: Caller) -> RegistryError | None:
    """Return why the caller cannot try the revision, None if they can."""
    try:
        require_possible(revision, by)
    except RegistryError as problem:
        return problem
    return None


def _where(verdict: Verdict, report: Report) -> Where:
    engine = next((row.name for row in report.engines if row.state == "passed"), "")
    base = bases.find_base(verdict.base)
    if not is_run(report) or not engine or base is None or not base.has_weights:
        raise TryoutRefused(
            "No worker runs this version: its verdict is based only on its files and their shapes.",
            fix="Pull it, and run it yourself.",
        )
    proven = [content.path for content in report.contents if content.proven]
    return Where(base.id.lower(), engine, report.path or next(iter(proven), ""))


def _require_texts(text: str, other: str, new_tokens: int) -> None:
    if not text.strip():
        raise TryoutRefused("There is no text.", fix="Write one.", field="text")
    for field, value in (("text", text), ("other", other)):
        if len(value) > MAX_TEXT:
            raise TryoutRefused(f"A text may have {MAX_TEXT:,} characters at most.", fix="Shorten it.", field=field)
        if "\0" in value:
            raise TryoutRefused("A text may not contain NUL.", fix="Send text.", field=field)
    if not 1 <= new_tokens <= MAX_NEW_TOKENS:
        raise TryoutRefused(f"A try writes 1 to {MAX_NEW_TOKENS} tokens.", fix="Choose fewer.", field="new_tokens")


def _require_room(asker: Asker) -> None:
    if waiting().count() >= WAITING_AT_MOST:
        raise HubBusy(f"The queue of trial runs is full ({WAITING_AT_MOST}).", fix="Try again in a minute.")
    if asker.rows.filter(finished_at__isnull=True).count() >= AT_ONCE:
        raise TooOften(f"{AT_ONCE} of your trial runs are already queued.", fix="Wait for their answers.")
    if asker.rows.filter(asked_at__gt=Now() - KEPT).count() >= AN_HOUR:
        raise TooOften(f"You have started {AN_HOUR} trial runs within an hour.", fix="Try again later.")


# --- reading ---------------------------------------------------------------------------------------------------------
def find(revision: Revision, key: str, by: Caller) -> Tryout:
    """Return a try of the revision by its key. Raises TryoutNotFound, also for another person's and an old one.

    A stranger where only members may gets SignInRequired.
    """
    require_known(by)
    rows = Tryout.objects.filter(revision=revision, key=key, by=by.user, asked_at__gt=Now() - KEPT)
    if (found := rows.first()) is None:
        raise TryoutNotFound("There is no such try.", fix="Ask again: answers are deleted after an hour.")
    return found


@dataclass(frozen=True)
class Place:
    """The number of tries that are done before a waiting one, and about how many seconds that takes."""

    before: int
    seconds: int


def place(tryout: Tryout) -> Place:
    """Return the place of a try in the queue."""
    before = waiting().filter(pk__lt=tryout.pk).count()
    done = Tryout.objects.filter(state=State.DONE, started_at__isnull=False)
    mean = done.aggregate(mean=Avg(F("finished_at") - F("started_at")))["mean"]
    seconds = mean.total_seconds() if mean else TYPICAL_SECONDS
    return Place(before, round((before + 1) * seconds / max(1.0, Fleet.now().slots)))


def waiting() -> QuerySet[Tryout]:
    """Return the tries that are not finished."""
    return Tryout.objects.filter(finished_at__isnull=True)


# --- workers ---------------------------------------------------------------------------------------------------------
def notify(tryout: Tryout) -> None:
    """Tell the workers that can do it that a try waits; all of them, if all can."""
    fleet = Fleet.now()
    able = _able(fleet, tryout.route, tryout.engine)
    import_string(settings.TRY_DOORBELL)(tryout.pk, *(able if len(able) < len(fleet.offers) else ()))


def _able(fleet: Fleet, route: str, engine: str) -> list[str]:
    """Return the queues of the workers that have a base and an engine."""
    return sorted(
        offer.queue for offer in fleet.offers if route in map(str.lower, offer.bases) and engine in offer.engines
    )


@dataclass(frozen=True)
class Trying:
    """The right to answer a try, until the lease ends."""

    row: Tryout
    fence: str


def free(able: Capabilities) -> QuerySet[Tryout]:
    """Return the tries that a worker can do now, the oldest first."""
    mine = waiting().filter(route__in=able.bases, engine__in=able.engines)
    return mine.filter(free_at__lte=Now(), attempt__lt=ATTEMPTS).order_by("pk")


def claim(able: Capabilities, warm: Collection[Pair], *, cold: bool) -> Trying | None:
    """Claim the oldest try; without `cold` only one whose engine is warm, or that has waited for `COLD`."""
    rows = free(able)
    late = set() if cold else set(rows.filter(asked_at__lte=Now() - COLD).values_list("pk", flat=True))
    for number, engine, route in list(rows.values_list("pk", "engine", "route")):
        if not cold and number not in late and (engine, route) not in warm:
            continue
        fence = secrets.token_hex(16)
        columns = {"state": State.RUNNING, "fence": fence, "free_at": lease(), "started_at": Now()}
        if free(able).filter(pk=number).update(**columns, attempt=F("attempt") + 1):
            related = Tryout.objects.select_related("revision__repository__namespace__person", "by")
            return Trying(related.get(pk=number), fence)
    return None


def require_allowed(claim: Trying) -> None:
    """Raise what reading the files of the revision raises: a right may have ended while the try waited."""
    pull.require_files(claim.row.revision, Caller(claim.row.by))


def heartbeat(claim: Trying) -> None:
    """Prolong the lease. Raises ClaimStale."""
    if not _held(claim).update(free_at=lease()):
        raise ClaimStale("The trial run was taken over by another worker.")


def record(claim: Trying, answer: Answer) -> None:
    """Write the answer, unless the claim is lost."""
    _held(claim).update(state=State.DONE, answer=answer.as_json(), reason="", finished_at=Now())


def refuse(claim: Trying, reason: str) -> None:
    """End a try that cannot be answered."""
    _held(claim).update(state=State.FAILED, reason=reason[:MAX_REASON], finished_at=Now())


def give_back(claim: Trying, *, counted: bool = True) -> None:
    """Have a try that the hub failed at done again in a moment, and end it after the last attempt.

    Without `counted` the attempt is none, since the machine was only too busy.
    """
    if counted and claim.row.attempt >= ATTEMPTS:
        refuse(claim, BROKEN.format(ATTEMPTS))
        return
    attempt = F("attempt") if counted else F("attempt") - 1
    _held(claim).update(state=State.QUEUED, free_at=Now() + PAUSE, attempt=attempt, fence="")


def sweep() -> None:
    """Delete what is an hour old, and end what nobody came to and what took its workers down."""
    Tryout.objects.filter(asked_at__lte=Now() - KEPT).delete()
    open_rows = waiting().filter(free_at__lte=Now())
    lost = open_rows.filter(attempt__gte=ATTEMPTS)
    lost.update(state=State.FAILED, reason=BROKEN.format(ATTEMPTS), finished_at=Now())
    late = open_rows.filter(asked_at__lte=Now() - PATIENCE)
    late.update(state=State.EXPIRED, reason=NOBODY_CAME, finished_at=Now())


def _held(claim: Trying) -> QuerySet[Tryout]:
    return waiting().filter(pk=claim.row.pk, fence=claim.fence)


def _gauges() -> Iterator[Gauge]:
    """Yield the tries of the last hour by state, and the mean seconds that the answered ones waited and took."""
    tries = Tryout.objects.filter(asked_at__gt=Now() - KEPT).order_by()
    numbers = dict(tries.values_list("state").annotate(Count("pk")))
    for state in Tryout.State.values:
        yield Gauge("dovetail_hour_tries", "Tries of the last hour.", numbers.get(state, 0), {"state": state})
    times = {"wait": Avg(F("started_at") - F("asked_at")), "work": Avg(F("finished_at") - F("started_at"))}
    for part, mean in tries.filter(state=Tryout.State.DONE).aggregate(**times).items():
        if mean is not None:
            help = "Mean time of the answered ones."
            yield Gauge("dovetail_hour_try_mean_seconds", help, mean.total_seconds(), {"part": part})


FEATURE = Feature(every_minute=(sweep,), gauges=_gauges)
