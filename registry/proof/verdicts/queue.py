"""The order of the queue: which rows may be taken now, by whom, whose turn is next, and why the others wait.

`turn` is start-time fair queueing (Goyal, Vin and Cheng 1996): each owner's rows stand one behind the other, and who
comes anew begins where the queue is now. A claim is then one step into an index, however many wait, and an owner with
one adapter waits for one adapter of each other owner, not for all of them.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import Avg, Q, QuerySet
from django.db.models.functions import Lower, Now

from dovetail.adapters.records import Record
from registry.models import Verdict, WorkerHeartbeat
from registry.proof.verdicts.rows import State

CANDIDATES = 8  # looked at for one claim: the others went to somebody else meanwhile
RECENT = 50  # verdicts whose mean time makes the estimate
Place = dict[str, Any]


@dataclass(frozen=True)
class Capabilities:
    """The capabilities of a worker: lower-case ids of the bases in its cache, and formats without an engine."""

    bases: frozenset[str] = frozenset()
    lacks: frozenset[str] = frozenset()
    engines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Offer(Record):
    """The content of a worker's heartbeat.

    `door` is the queue that it alone listens to, `slots` its number of processes, `bases` maps ids to digests, and
    `lacks` maps the formats that it cannot run to the engines that could.
    """

    door: str = ""
    slots: float = 1
    bases: Mapping[str, str] = field(default_factory=dict)
    engines: tuple[str, ...] = ()
    lacks: Mapping[str, str] = field(default_factory=dict)

    def runs(self, route: str, format_name: str) -> bool:
        """Whether the worker has the base, if one is needed, and an engine for the format."""
        return (not route or route in map(str.lower, self.bases)) and format_name not in self.lacks


# --- places ----------------------------------------------------------------------------------------------------------
NOWHERE: Place = {"turn": None, "held_at": None}


def stand(owner: int | None) -> Place:
    """Return the turn of one more row of this owner, or since when the owner's limit holds it."""
    mine = ready().filter(owner=owner)
    if owner is not None and len(mine.values_list("pk")[: settings.OWNER_PENDING]) >= settings.OWNER_PENDING:
        return {"turn": None, "held_at": Now()}
    now = in_front()["turn"]
    last = mine.order_by("-turn").values_list("turn", flat=True).first()
    return {"turn": now if last is None else max(now, last + 1), "held_at": None}


def in_front() -> Place:
    """Return the turn of a row that had its turn already."""
    return {"turn": ready().order_by("turn").values_list("turn", flat=True).first() or 0, "held_at": None}


def admit(owner: int | None) -> int:
    """Give turns to rows that this owner's limit held, as far as there is room now; return to how many."""
    admitted = 0
    for verdict in held().filter(owner=owner).order_by("pk").values_list("pk", flat=True)[: settings.OWNER_PENDING]:
        columns = stand(owner)
        if columns["held_at"] is not None:
            break
        admitted += held().filter(pk=verdict).update(**columns)
    return admitted


def ready() -> QuerySet[Verdict]:
    """Return the rows that may be taken."""
    return Verdict.objects.filter(turn__isnull=False)


def held() -> QuerySet[Verdict]:
    """Return the rows beyond their owner's limit."""
    return Verdict.objects.filter(held_at__isnull=False, state=State.QUEUED)


def candidates(able: Capabilities, warm: Collection[str], *, stay: bool) -> Iterator[int]:
    """Yield rows that a worker may take, the best first: of its warm bases while it may stay there, else by turn."""
    fit = ready().exclude(format__in=able.lacks) if able.lacks else ready()
    if stay:
        for route in warm:
            yield from fit.filter(route=route).order_by("turn", "pk").values_list("pk", flat=True)[:CANDIDATES]
    # By way of an expression, so that the turns are walked in their order: a database that takes the index of bases
    # instead reads and sorts all that wait. The sweep keeps rows that no worker can take out of the way.
    mine = fit.alias(key=Lower("route")).filter(key__in=["", *able.bases])
    yield from mine.order_by("turn", "pk").values_list("pk", flat=True)[:CANDIDATES]


def waits_for(able: Capabilities) -> bool:
    """Return whether a queued verdict waits that this worker can do."""
    return next(candidates(able, (), stay=False), None) is not None


# --- who could do it -------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Crew:
    """The workers that live and take jobs."""

    offers: tuple[Offer, ...] = ()

    @classmethod
    def now(cls) -> "Crew":
        fresh = Now() - timedelta(seconds=settings.LEASE_SECONDS)
        workers = WorkerHeartbeat.objects.filter(beat_at__gte=fresh, problem="").exclude(offers={})
        return cls(tuple(map(Offer.read, workers.values_list("offers", flat=True))))

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
        """Return why nobody who lives can do it, "" when somebody can, or nobody lives at all."""
        if not self.offers or self.able(route, format_name):
            return ""
        engines = [offer.lacks.get(format_name, "") for offer in self.offers]
        if all(engines):
            return (
                f"Waiting for engine {engines[0]}, which runs the format {format_name} and is not built on this hub. "
                f"An operator builds it with `make engines`."
            )
        return (
            f"Waiting for a worker that has the base model {route} on its shelf: none of the {len(self.offers)} alive "
            f"has it. An administrator adds it there with `manage.py shelf add`, or starts a worker that has it."
        )


def doors_for(verdict: int) -> list[str]:
    """Return the doors of the workers to be told by name, since not every one can do it; none where all can."""
    needs = Verdict.objects.filter(pk=verdict).values_list("route", "format").first()
    crew = Crew.now()
    able = crew.able(*needs) if needs else []
    return sorted({offer.door for offer in able}) if len(able) < len(crew.offers) else []


# --- what is said ----------------------------------------------------------------------------------------------------
def why(verdict: Verdict) -> str:
    """Return why a verdict waits: what for, or behind how many, and about how long; "" where it does not wait."""
    if verdict.state != State.QUEUED or verdict.reason:
        return verdict.reason
    if verdict.held_at is not None:
        return _why_held(verdict)
    if verdict.turn is None:
        return ""
    crew = Crew.now()
    if lack := crew.lack(verdict.route, verdict.format):
        return lack
    before = ready().filter(Q(turn__lt=verdict.turn) | Q(turn=verdict.turn, pk__lt=verdict.pk)).count()
    if not before:
        return ""
    return f"{_adapters(before)} before it{_about(before, crew)}."


def _why_held(verdict: Verdict) -> str:
    before = held().filter(owner=verdict.owner_id, pk__lt=verdict.pk).count()
    name = verdict.owner.name if verdict.owner else "The hub"
    return (
        f"{name} has {settings.OWNER_PENDING} adapters in the queue, as many as one owner may have there at once "
        f"(DOVETAIL_OWNER_PENDING); this one is number {before + 1} of those that come after."
    )


def _adapters(number: int) -> str:
    return "1 adapter waits" if number == 1 else f"{number:,} adapters wait"


def _about(before: int, crew: Crew) -> str:
    """Return an estimate from the verdicts that ended last; nothing where none did or nobody works."""
    recent = Verdict.objects.filter(duration_ms__isnull=False).order_by("-finished_at")[:RECENT]
    mean = Verdict.objects.filter(pk__in=list(recent.values_list("pk", flat=True))).aggregate(ms=Avg("duration_ms"))
    if not mean["ms"] or not crew.slots:
        return ""
    seconds = before * mean["ms"] / 1000 / crew.slots
    return f"; about {seconds:.0f} s" if seconds < 100 else f"; about {seconds / 60:.0f} min"
