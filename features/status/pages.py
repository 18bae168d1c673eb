"""The state of the hub for people: its parts, its queue, its workers and the last verdict."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import Error as DatabaseError
from django.db.models import Min
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.urls import path
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from hub.about import VERSION
from hub.errors import http_form
from hub.monitoring import gauges, health
from hub.site.measures import number
from hub.site.panels import Link, Pages
from hub.site.routing import at
from registry.kernel.errors import StoreUnavailable
from registry.models.verdicts import Verdict, WorkerHeartbeat

SECONDS_REMEMBERED = 5.0
MOST_COUNTED = 1000  # verdicts that wait
# Of each part its name, its purpose, and what does not work while it is down. The reasons that /readyz gives are for
# those who run the hub.
WORDS = {
    "database": (_("Database"), _("Accounts, versions and verdicts."), _("Only this page works.")),
    "blobs": (
        _("Files"),
        _("Pushing and pulling."),
        _("Pushes fail, and so do pulls that go through the hub."),
    ),
    "broker": (
        _("Messages"),
        _("Announces pushes to workers at once."),
        _("Pushes are accepted, but checked later than usual."),
    ),
    "worker": (
        _("Checking"),
        _("Loads each version and reports its verdict."),
        _("Pushes are accepted, but their verdicts are delayed."),
    ),
}


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the hub, as a row of the page; `lack` says what does not work without it."""

    name: str
    purpose: str
    lack: str
    is_well: bool


@dataclass(frozen=True, slots=True)
class Numbers:
    """The queue without the verdicts whose base this hub lacks, the workers that live, and the newest verdict."""

    waiting: int
    oldest: datetime | None
    workers: int
    slots: int
    last: datetime | None

    @property
    def waiting_words(self) -> str:
        if self.waiting > MOST_COUNTED:
            return gettext("more than {count}").format(count=number(MOST_COUNTED))
        return number(self.waiting)


@require_safe
def status(request: HttpRequest) -> HttpResponse:
    """Show the page, with 503 while the database is down: nothing else works then."""
    examined = health.latest_parts()
    well = {key: bool(examined[key]["ok"]) for key in WORDS}
    try:
        numbers = _numbers.get() if well["database"] else None
    except DatabaseError:
        numbers = None
    well["database"] = numbers is not None  # it may have gone away since it was examined
    parts = [
        Part(str(name), str(purpose), str(lack), is_well=well[key]) for key, (name, purpose, lack) in WORDS.items()
    ]
    lacks = not all(part.is_well for part in parts)
    shown = {"parts": parts, "lacks": lacks, "numbers": numbers, "version": VERSION}
    if numbers is None:
        # Without the request, by which the page would ask the database for the visitor.
        form = http_form(StoreUnavailable)
        return form.say_when(HttpResponse(render_to_string("status/page.html", shown), status=form.status))
    return render(request, "status/page.html", shown)


def _read() -> Numbers:
    """Read the numbers; each is a short range of an index or a table of few rows."""
    queued = gauges.queued().order_by()
    fresh = timezone.now() - timedelta(seconds=settings.LEASE_SECONDS)
    offers = WorkerHeartbeat.objects.filter(beat_at__gte=fresh, problem="").values_list("offers", flat=True)
    slots = [int(offer.get("slots", 1)) for offer in offers[: gauges.WORKERS_MOST]]
    done = Verdict.objects.filter(duration_ms__isnull=False, finished_at__isnull=False).order_by("-finished_at")
    last = done.values_list("finished_at", flat=True).first()
    since = queued.aggregate(since=Min("queued_at"))["since"]
    return Numbers(queued[: MOST_COUNTED + 1].count(), since, len(slots), sum(slots), last)


# Strangers open the page, and must not multiply their requests.
_numbers = gauges.Kept(_read, SECONDS_REMEMBERED)

PAGES = Pages(
    routes=[
        path("status", status, name="status"),
        at("stats", require_safe(lambda request: redirect("status")), "stats"),
    ],
    links=(
        Link("footer", "status", _("Status"), words="workers queue health"),
        Link("status", "status", _("Now"), place=10, group=_("Status")),
    ),
)
