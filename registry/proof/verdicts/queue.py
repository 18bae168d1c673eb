"""The order of the queue: the rows that can be claimed, the workers that can claim them, and why the others wait.

`turn` is start-time fair queueing (Goyal, Vin and Cheng 1996): the rows of one owner have consecutive turns, and an
owner without rows starts at the turn that is in front. A claim is then one index lookup, however long the queue is, and
an owner with one adapter waits for one adapter of each other owner, not for all of them.

The rows themselves are here too: the lock that comes first, the write that only the holder of a claim may do, and what
adapters show.
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypedDict

from django.conf import settings
from django.db import transaction
from django.db.models import Avg, Count, Max, Q, QuerySet, Sum
from django.db.models.functions import Lower, Now

from dovetail.adapters.results.records import Record
from registry.kernel.errors import ClaimStale
from registry.models import Attempt, Base, Repository, Verdict, WorkerHeartbeat
from registry.proof.verified.verified import move_verified, served_by, unless_verified
from registry.repos.pull import LAST_SAID
from registry.repos.refs import MAIN

MAX_REASON = 500  # characters that the columns hold
State = Verdict.State


@dataclass(frozen=True)
class Claim:
    """The right of a worker to work on a verdict, until the lease ends, with what its name for a base means.

    That is a base, or an adapter of this hub; both are None where a sweep takes the verdict from a dead worker.
    """

    verdict: Verdict
    fence: str
    attempt: Attempt
    base: Base | None = None
    adapter: Repository | None = None


LOST = "lost"  # outcome of an attempt whose worker died
QUEUED_AGAIN: dict[str, object] = {"state": State.QUEUED, "fence": "", "lease_until": None, "result": {}}


@contextmanager
def one_at_a_time(verdict: Verdict) -> Iterator[None]:
    """Open a transaction that locks the repository before any other row.

    Two concurrent verdicts would each compute `verified` without the other, and transactions that lock in different
    orders would deadlock. A repository in the bin is locked too: its versions are judged to the end.
    """
    with transaction.atomic():
        lock = Repository.with_binned.select_for_update(no_key=True).filter(pk=verdict.revision.repository_id)
        lock.values_list("pk").first()
        yield


def final(state: str) -> dict[str, object]:
    return {
        "state": state,
        "reason": "",
        "fence": "",
        "lease_until": None,
        "turn": None,
        "held_at": None,
        "finished_at": Now(),
    }


def lease() -> Any:
    return Now() + timedelta(seconds=settings.LEASE_SECONDS)


def claimed(claim: Claim) -> QuerySet[Verdict]:
    """Return the verdict of a claim while the claim holds."""
    return Verdict.objects.filter(pk=claim.verdict.pk, state=State.RUNNING, fence=claim.fence)


def write(claim: Claim, **values: Any) -> None:
    if not claimed(claim).update(**values):
        raise stale(claim.verdict)


def stale(verdict: Verdict) -> ClaimStale:
    return ClaimStale(f"The claim on verdict {verdict.pk} has expired; another worker has it now.")


def end_attempt(attempt: Attempt, outcome: str) -> None:
    Attempt.objects.filter(pk=attempt.pk).update(ended_at=Now(), outcome=outcome[:200])


def whole(verdict: int) -> Verdict:
    """Return the verdict with this row id, which is there, with its revision, repository and owner."""
    return Verdict.objects.select_related("revision__repository__namespace").get(pk=verdict)


def newest_of(revision: int) -> Verdict | None:
    """Return the newest verdict of the revision with this row id, or None."""
    return Verdict.objects.filter(revision=revision).order_by("-number").first()


def in_force_of(revision: int) -> Verdict | None:
    """Return the verdict that counts for the revision with this row id: see LAST_SAID."""
    return Verdict.objects.filter(revision=revision).order_by(*LAST_SAID).first()


def show(verdict: Verdict) -> None:
    """Copy the state to the repository if this is the newest verdict of main's revision.

    A claim does not: lists file what is being proven under queued, and the verdict itself says `running`.
    While a revision is proven again, and where that errored, lists still file its adapter under the last answer.
    """
    if columns := _shown_columns(verdict):
        Repository.objects.filter(refs__name=MAIN, refs__revision=verdict.revision_id).update(**columns)


def show_and_move(verdict: Verdict) -> None:
    """Do what `show` and `move_verified` do, with one update of the repository."""
    move_verified(verdict.revision.repository_id, verdict.revision_id, _shown_columns(verdict))


def _shown_columns(verdict: Verdict) -> dict[str, object]:
    newest = newest_of(verdict.revision_id)
    if newest is None:
        return {}
    columns: dict[str, object] = {"state": newest.state}
    if newest.state in Verdict.DECIDED or newest.number == 1:
        columns["outcome"] = unless_verified("outcome", newest.state)
        columns["serves"] = unless_verified("serves", served_by(newest.report))
    return columns


CANDIDATES = 8  # rows tried for one claim: one may turn out to wait for its base
RECENT = 50  # the estimate is the mean duration of this many verdicts


class Place(TypedDict):
    """Columns of a row: its turn, or `held_at` if its owner is at the limit."""

    turn: int | None
    held_at: Now | None


@dataclass(frozen=True)
class Capabilities:
    """The capabilities of a worker: lower-case ids of the bases in its cache, and formats without an engine."""

    bases: frozenset[str] = frozenset()
    lacks: frozenset[str] = frozenset()
    engines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Offer(Record):
    """The content of a worker's heartbeat.

    `slots` is its number of processes, `bases` maps ids to digests, and
    `lacks` maps each format that it cannot run to the engine that runs it.
    """

    door: str = ""  # the name of `queue` in rows
    slots: float = 1
    bases: Mapping[str, str] = field(default_factory=dict)
    engines: tuple[str, ...] = ()
    lacks: Mapping[str, str] = field(default_factory=dict)

    @property
    def queue(self) -> str:
        """The message queue of this worker alone."""
        return self.door

    def runs(self, route: str, format_name: str) -> bool:
        """Return whether the worker has the base, if one is needed, and an engine for the format."""
        return (not route or route in map(str.lower, self.bases)) and format_name not in self.lacks


# --- places ----------------------------------------------------------------------------------------------------------
NOWHERE: Place = {"turn": None, "held_at": None}


def stand(owner: int | None) -> Place:
    """Return the columns of a new row of this owner: its turn, or `held_at` if the owner is at the limit."""
    if owner is None:
        last = ready().filter(owner=None).order_by("-turn").values_list("turn", flat=True).first()
    else:
        mine = ready().filter(owner=owner).aggregate(count=Count("pk"), last=Max("turn"))
        last = mine["last"]
        if mine["count"] >= settings.OWNER_PENDING:
            return {"turn": None, "held_at": Now()}
    now = _first_turn()
    return {"turn": now if last is None else max(now, last + 1), "held_at": None}


def in_front() -> Place:
    """Return the columns that put a row at the front of the queue, for a job that is tried again."""
    return {"turn": _first_turn(), "held_at": None}


def _first_turn() -> int:
    return ready().order_by("turn").values_list("turn", flat=True).first() or 0


def admit(owner: int | None) -> None:
    """Give turns to held rows of this owner while the limit allows it."""
    for verdict in held().filter(owner=owner).order_by("pk").values_list("pk", flat=True)[: settings.OWNER_PENDING]:
        columns = stand(owner)
        if columns["held_at"] is not None:
            break
        held().filter(pk=verdict).update(**columns)


def ready() -> QuerySet[Verdict]:
    """Return the rows that can be claimed."""
    return Verdict.objects.filter(turn__isnull=False)


def held() -> QuerySet[Verdict]:
    """Return the rows beyond their owner's limit."""
    return Verdict.objects.filter(held_at__isnull=False, state=State.QUEUED)


def candidates(able: Capabilities, warm: Collection[str], *, stay: bool) -> list[QuerySet[Verdict]]:
    """Return the rows that a worker can claim, best first: with `stay` those of its warm bases, then all by turn."""
    first = [_fit(able).filter(route=route) for route in warm if stay]
    return [rows.order_by("turn", "pk").only("pk") for rows in (*first, claimable(able))]


def claimable(able: Capabilities) -> QuerySet[Verdict]:
    """Return the queued rows that a worker can do."""
    # Filtered by an expression, so that the database uses the index on turns: with the index on bases it would read
    # and sort all waiting rows. The sweep removes the turns of rows that no worker can do.
    return _fit(able).alias(key=Lower("route")).filter(key__in=["", *able.bases])


def _fit(able: Capabilities) -> QuerySet[Verdict]:
    return ready().filter(attempt__lt=settings.MAX_ATTEMPTS).exclude(format__in=able.lacks)


def waits_for(able: Capabilities) -> bool:
    """Return whether this worker can do a queued verdict."""
    return claimable(able).exists()


def runs_on(host: str) -> bool:
    """Return whether a worker of this host runs a validation."""
    mine = Attempt.objects.filter(worker__startswith=f"{host}:", ended_at=None)
    return mine.filter(verdict__state=State.RUNNING).exists()


# --- workers ---------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Fleet:
    """The workers that are alive and take jobs."""

    offers: tuple[Offer, ...] = ()

    @classmethod
    def now(cls) -> "Fleet":
        fresh = Now() - timedelta(seconds=settings.LEASE_SECONDS)
        alive = WorkerHeartbeat.objects.filter(beat_at__gte=fresh, problem="").exclude(offers={})
        return cls(tuple(map(Offer.read, alive.values_list("offers", flat=True))))

    @property
    def slots(self) -> float:
        return sum(offer.slots for offer in self.offers)

    @property
    def engines(self) -> set[str]:
        return {engine for offer in self.offers for engine in offer.engines}

    def able(self, route: str, format_name: str) -> list[Offer]:
        """Return the offers of the workers that have the base and an engine for the format."""
        return [offer for offer in self.offers if offer.runs(route, format_name)]

    def lack(self, route: str, format_name: str) -> str:
        """Return why no living worker can do it; "" if one can, or if no worker is alive."""
        if not self.offers or self.able(route, format_name):
            return ""
        engines = [offer.lacks.get(format_name, "") for offer in self.offers]
        if all(engines):
            return (
                f"Waiting for engine {engines[0]}, for the format {format_name}, which this hub does not have. "
                "Ask the operator of this hub to install it."
            )
        return (
            f"Waiting for a worker with the base model {route}: none of the {len(self.offers)} running has it. "
            f"Ask the operator of this hub to add it, at /bases/{route}."
        )


def queues_for(verdict: int) -> list[str]:
    """Return the message queues of the workers that can do a verdict; [] if all of them can."""
    needs = Verdict.objects.filter(pk=verdict).values_list("route", "format").first()
    fleet = Fleet.now()
    able = fleet.able(*needs) if needs else []
    return sorted({offer.queue for offer in able}) if len(able) < len(fleet.offers) else []


# --- reasons ----------------------------------------------------------------------------------------------------------
def why(verdict: Verdict) -> str:
    """Return why a verdict waits: the missing thing, or the number of verdicts before it and an estimate; else ""."""
    if verdict.state != State.QUEUED or verdict.reason:
        return verdict.reason
    if verdict.held_at is not None:
        return _why_held(verdict)
    if verdict.turn is None:
        return ""
    fleet = Fleet.now()
    if lack := fleet.lack(verdict.route, verdict.format):
        return lack
    before = ready().filter(Q(turn__lt=verdict.turn) | Q(turn=verdict.turn, pk__lt=verdict.pk)).count()
    if not before:
        return ""
    return f"{_adapters(before)} before it{_about(before, fleet)}."


def _why_held(verdict: Verdict) -> str:
    before = held().filter(owner=verdict.owner_id, pk__lt=verdict.pk).count()
    name = verdict.owner.name if verdict.owner else "The hub"
    return (
        f"{name} has {settings.OWNER_PENDING} adapters in the queue, as many as one owner may have there at once "
        f"(DOVETAIL_OWNER_PENDING); this one is number {before + 1} of those that come after."
    )


def _adapters(number: int) -> str:
    return "1 adapter waits" if number == 1 else f"{number:,} adapters wait"


def _about(before: int, fleet: Fleet) -> str:
    """Return an estimate of the time; "" where nobody can say."""
    if not (rate := _a_second(fleet)):
        return ""
    seconds = before / rate
    return f"; about {seconds:.0f} s" if seconds < 100 else f"; about {seconds / 60:.0f} min"


def _a_second(fleet: Fleet) -> float:
    """Return how many verdicts the workers give in a second, by those that ended last; 0 without such or workers."""
    recent = Verdict.objects.filter(duration_ms__isnull=False).order_by("-finished_at")[:RECENT]
    mean = Verdict.objects.filter(pk__in=list(recent.values_list("pk", flat=True))).aggregate(ms=Avg("duration_ms"))
    return 1000 * fleet.slots / mean["ms"] if mean["ms"] else 0.0


def room(seconds: float) -> int:
    """Return how many more renewals the workers can do in this time, beside what waits and what else the day brings.

    The time that they had to spare in the last hour, without renewals, is what they are expected to have again.
    """
    fleet = Fleet.now()
    if not fleet.slots:
        return 0
    lately = Verdict.objects.filter(duration_ms__isnull=False, finished_at__gt=Now() - timedelta(hours=1))
    busy = lately.exclude(cause=Verdict.Cause.RENEWAL).aggregate(ms=Sum("duration_ms"))["ms"] or 0
    spare = max(0.0, 1 - busy / (3_600_000 * fleet.slots))
    return max(0, int(seconds * spare * _a_second(fleet)) - ready().count() - held().count())
