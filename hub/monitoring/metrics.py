"""Prometheus counters of requests, queries, the cache and calls to the store; gauges.py has the registry's state."""

import os
import time
from collections.abc import Callable
from typing import Any

from django.core.signals import request_finished, request_started
from django.db import Error as DatabaseError
from django.db import IntegrityError, OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.dispatch import receiver
from django.http import HttpRequest
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client import values as prometheus_values
from prometheus_client.multiprocess import MultiProcessCollector

from registry.bytes.blobs.contract import called
from registry.kernel import traces

CONTENT_TYPE = CONTENT_TYPE_LATEST
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

# With PROMETHEUS_MULTIPROC_DIR (the supervisor and the compose file set it) the web processes count into shared files,
# each into those of its place: one that follows another counts on in the same, so that there are never more of them.
# Before it has one, and in a command, it is the process id.
_place = ""
if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
    prometheus_values.ValueClass = prometheus_values.MultiProcessValue(lambda: _place or os.getpid())  # type: ignore[no-untyped-call]
_own = CollectorRegistry()
REQUESTS = Counter("dovetail_requests", "Requests answered.", ["method", "face", "status"], registry=_own)
SECONDS = Histogram("dovetail_request_seconds", "Time until the answer began.", ["face"], registry=_own)
# Each route is its pattern among our addresses, so there are some hundred; seven series for each that is asked.
ROUTE_HELP = "Time until the answer began, by route; unknown: an address of none."
ROUTE_SECONDS = Histogram("dovetail_route_seconds", ROUTE_HELP, ["route"], buckets=(0.05, 0.25, 1, 5), registry=_own)
ROUTE_ERRORS = Counter("dovetail_route_errors", "Answers 5xx, by route.", ["route"], registry=_own)
REFUSALS = Counter("dovetail_refusals", "Requests refused, by the code of docs/errors.md.", ["code"], registry=_own)
STORE_HELP = "Time of calls to the store of files across the network: answered, silent (no answer in time), or refused."
STORE_SECONDS = Histogram("dovetail_store_seconds", STORE_HELP, ["outcome"], registry=_own)
QUERY_HELP = "Time of queries: answered, refused (down, full, locked, too slow), or broken (a defect, other tables)."
QUERY_SECONDS = Histogram("dovetail_query_seconds", QUERY_HELP, ["outcome"], registry=_own)
_QUERIES = {outcome: QUERY_SECONDS.labels(outcome) for outcome in ("answered", "refused", "broken")}
CACHE_HELP = "Reads of the cache that all web processes share: hit, miss, or alone (the broker does not answer)."
CACHE_GETS = Counter("dovetail_cache_gets", CACHE_HELP, ["outcome"], registry=_own)
# "livesum": of the processes that live; deploy/gunicorn.conf.py says which one has ended.
THREADS = Gauge("dovetail_threads", "Threads for requests.", registry=_own, multiprocess_mode="livesum")
BUSY_HELP = "Threads that work for a request, until the last byte of its answer."
BUSY = Gauge("dovetail_threads_busy", BUSY_HELP, registry=_own, multiprocess_mode="livesum")


def observe(method: str, face: str, route: str, status: int, code: str, seconds: float) -> None:
    """Count one answered request. Labels come from us, never from the client: each value is a series kept for ever."""
    REQUESTS.labels(method if method in _METHODS else "other", face, str(status)).inc()
    SECONDS.labels(face).observe(seconds)
    ROUTE_SECONDS.labels(route or "unknown").observe(seconds)
    if status >= 500:
        ROUTE_ERRORS.labels(route or "unknown").inc()
    if code:
        REFUSALS.labels(code).inc()


@receiver(called)
def _observe_store(seconds: float, outcome: str, **_: object) -> None:
    STORE_SECONDS.labels(outcome).observe(seconds)
    traces.note("store", seconds=seconds, outcome=outcome)


def measure(place: str, threads: int) -> None:
    """Measure this web process from now on: its place among those that live, and how many requests it takes at once."""
    global _place, service
    _place, service = place, os.getppid()
    THREADS.set(threads)
    BUSY.set(0)
    connection_created.connect(_measure_queries)
    request_started.connect(_begin)
    request_finished.connect(_end)


service = os.getpid()  # the first process of the web, which starts the others


def _begin(**_: object) -> None:
    BUSY.inc()


def _end(**_: object) -> None:
    BUSY.dec()


def _measure_queries(connection: BaseDatabaseWrapper, **_: object) -> None:
    if _query not in connection.execute_wrappers:
        connection.execute_wrappers.append(_query)


def _query(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
    began, outcome = time.perf_counter(), "answered"
    try:
        return execute(sql, params, many, context)
    except OperationalError:
        outcome = "refused"
        raise
    except IntegrityError:  # a named constraint that the hub asks by inserting
        raise
    except DatabaseError:
        outcome = "broken"
        raise
    finally:
        _QUERIES[outcome].observe(time.perf_counter() - began)


GROUPS = {"directory", "monitoring", "packages"}  # folders of parts, which have names of their own
OF_FEATURES = {
    "rest": "api",
    "pages": "site",
}  # of features; the rest is hf, or a protocol of its own


def face_of(request: HttpRequest) -> str:
    """Return the part of the hub that answered: hf, api, site and so on, or "other"."""
    match = request.resolver_match
    parts = [part for part in match.func.__module__.split(".") if part not in GROUPS] if match else []
    if match and parts[:1] == ["features"]:
        return OF_FEATURES.get(parts[2]) or match.app_name or "hf"
    return parts[1] if len(parts) > 1 and parts[0] == "hub" else "other"


def exposition() -> bytes:
    """Return the counters of all web processes in Prometheus' text format."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return generate_latest(_own)
    shared = CollectorRegistry()
    MultiProcessCollector(shared)  # type: ignore[no-untyped-call]  # untyped in prometheus_client
    return generate_latest(shared)
