"""Health checks and metrics: /livez, /readyz and /metrics, for monitoring."""

import hmac
import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from ipaddress import ip_address
from threading import Lock

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connections
from django.db.models.functions import Now
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe
from kombu import Connection
from kombu.exceptions import KombuError

from hub.about import VERSION
from hub.monitoring import gauges
from hub.monitoring.metrics import CONTENT_TYPE, exposition
from registry.bytes.blobs import BlobMissing, store
from registry.kernel import processes
from registry.kernel.errors import StoreUnavailable
from registry.models.verdicts import WorkerHeartbeat
from registry.sql import schema

log = logging.getLogger(__name__)

STARTED = time.monotonic()
SECONDS_A_PART = 2
SECONDS_TO_START = 60  # a worker tests its sandbox and reads its base cache first
RELAYED = ("X-Forwarded-For", "Forwarded", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip", "Via")
SECONDS_REMEMBERED = 1.0
SECONDS_REMEMBERED_DOWN = 0.25  # each web process remembers for itself: they must agree again soon


class PartDown(Exception):
    """A part of the hub does not work; the message says what an operator should check."""


@require_safe
def livez(request: HttpRequest) -> HttpResponse:
    """Answer that this process takes requests; checks nothing else, so a dead database does not restart the web."""
    return JsonResponse({"alive": True})


@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """Answer for each part whether a push would be accepted and validated now: 200, or 503 when a part is down."""
    parts = _latest.get()
    ready = all(part["ok"] for part in parts.values())
    return JsonResponse({"ready": ready, "version": VERSION, "parts": parts}, status=200 if ready else 503)


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Answer in Prometheus' format to this machine and to holders of DOVETAIL_METRICS_TOKEN; 404 to others.

    Without a database the answer lacks its numbers alone: the others tell what is wrong.
    """
    if not (_came_from_this_machine(request) or _holds_metrics_token(request)):
        raise Http404
    parts = _latest.get()
    state, reports = _from_database() if parts["database"]["ok"] else (b"", [])
    machine = gauges.machine_exposition(parts) + gauges.process_exposition(reports)
    return HttpResponse(exposition() + machine + state, content_type=CONTENT_TYPE)


def _from_database() -> tuple[bytes, gauges.Reports]:
    try:
        return gauges.exposition(), list(processes.reported())
    except DatabaseError as problem:  # it went away since its part was examined
        log.warning("The metrics lack the numbers of the database: %s", problem)
        return b"", []


def _came_from_this_machine(request: HttpRequest) -> bool:
    # A proxy on this machine forwards strangers from 127.0.0.1 too, and says so in one of these.
    relayed = {header: value for header in RELAYED if (value := request.headers.get(header))}
    # Our nginx on a Unix socket adds its peer; more addresses than this one are no address.
    address = request.META.get("REMOTE_ADDR") or relayed.pop("X-Forwarded-For", "")
    try:
        return not relayed and ip_address(address).is_loopback
    except ValueError:
        return False


def _holds_metrics_token(request: HttpRequest) -> bool:
    expected = f"Bearer {settings.METRICS_TOKEN}"
    given = request.headers.get("Authorization", "")
    return bool(settings.METRICS_TOKEN) and hmac.compare_digest(given.encode(), expected.encode())


# --- the parts -------------------------------------------------------------------------------------------------------


def _database() -> None:
    try:
        problem = schema.mismatch()
    except DatabaseError as error:
        raise PartDown("The database does not answer, or `manage.py migrate` has not been run.") from error
    finally:
        connections.close_all()  # this thread's own, which no request would ever close
    if problem:
        raise PartDown(problem)


def _blobs() -> None:
    try:
        store().check()
    except (StoreUnavailable, BlobMissing) as error:
        raise PartDown(
            "The blob store cannot be read and written; see DOVETAIL_BLOBS, its free space and its rights."
        ) from error


def _broker() -> None:
    options = {"socket_timeout": SECONDS_A_PART, "socket_connect_timeout": SECONDS_A_PART}
    try:
        with Connection(settings.BROKER_URL, connect_timeout=SECONDS_A_PART, transport_options=options) as connection:
            connection.ensure_connection(max_retries=1, interval_start=0, interval_step=0, timeout=SECONDS_A_PART)
    except (KombuError, OSError) as error:
        raise PartDown(
            "The broker does not answer; see DOVETAIL_BROKER_URL. Pushes are kept and judged later."
        ) from error


def _worker() -> None:
    fresh = Now() - timedelta(seconds=settings.LEASE_SECONDS)  # beats are in the database's time
    try:
        problems = list(WorkerHeartbeat.objects.filter(beat_at__gte=fresh).values_list("problem", flat=True))
    except DatabaseError as error:
        raise PartDown("Whether a worker lives is a row in the database, which does not answer.") from error
    finally:
        connections.close_all()
    if not problems and (age := time.monotonic() - STARTED) < SECONDS_TO_START:
        raise PartDown(
            f"No worker has shown a sign of life yet, but this hub started {age:.0f} s ago, and a worker takes some "
            f"seconds to. If it stays so, start one, or see its log."
        )
    if not problems:
        raise PartDown("No worker has shown a sign of life for a minute; start one, or see its log.")
    if all(problems):
        raise PartDown(f"No worker takes jobs: {problems[0]}")


PARTS: Mapping[str, Callable[[], None]] = {"database": _database, "blobs": _blobs, "broker": _broker, "worker": _worker}

# A check that hangs keeps its thread; when all of them hang, later checks wait here and are reported down in time.
_threads = ThreadPoolExecutor(max_workers=2 * len(PARTS), thread_name_prefix="readyz")


def _timed(check: Callable[[], None]) -> float:
    started = time.monotonic()
    check()
    return round((time.monotonic() - started) * 1000, 1)


def _report(future: Future[float], deadline: float) -> dict[str, object]:
    try:
        error = future.exception(timeout=max(0.0, deadline - time.monotonic()))
    except TimeoutError:
        return {"ok": False, "reason": f"No answer within {SECONDS_A_PART:g} s."}
    if error is None:
        return {"ok": True, "ms": future.result()}
    if isinstance(error, PartDown):
        return {"ok": False, "reason": str(error)}
    log.error("A readiness check failed in an unexpected way", exc_info=error)
    return {"ok": False, "reason": "The check itself failed; the web's log says how."}


def examine() -> dict[str, dict[str, object]]:
    """Ask every part at once; takes SECONDS_A_PART at most. Returns name → {"ok", "ms" or "reason"}."""
    deadline = time.monotonic() + SECONDS_A_PART
    futures = {name: _threads.submit(_timed, check) for name, check in PARTS.items()}
    return {name: _report(future, deadline) for name, future in futures.items()}


class _Latest:
    """The last examination, for a second: /readyz is open to strangers and must not multiply their requests."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._at = float("-inf")
        self._parts: dict[str, dict[str, object]] = {}

    def get(self) -> dict[str, dict[str, object]]:
        with self._lock:
            well = all(part["ok"] for part in self._parts.values())
            if time.monotonic() - self._at > (SECONDS_REMEMBERED if well else SECONDS_REMEMBERED_DOWN):
                self._parts, self._at = examine(), time.monotonic()
            return self._parts


_latest = _Latest()


def latest_parts() -> dict[str, dict[str, object]]:
    """Return the parts as /readyz answers them: by name whether each is well, from an examination of this second."""
    return _latest.get()
