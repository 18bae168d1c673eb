"""Prometheus counters of answered requests and of calls to the store; gauges.py has the state of the registry."""

import os

from django.dispatch import receiver
from django.http import HttpRequest, HttpResponseBase
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from registry.bytes.blobs import breaker
from registry.kernel import tracing

CONTENT_TYPE = CONTENT_TYPE_LATEST
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

# With PROMETHEUS_MULTIPROC_DIR (the supervisor and the compose file set it) the web processes count into shared files.
_own = CollectorRegistry()
REQUESTS = Counter("dovetail_requests", "Requests answered.", ["method", "face", "status"], registry=_own)
SECONDS = Histogram("dovetail_request_seconds", "Time until the answer began.", ["face"], registry=_own)
REFUSALS = Counter("dovetail_refusals", "Requests refused, by the code of docs/errors.md.", ["code"], registry=_own)
STORE_HELP = "Time of calls to the store of files across the network: answered, silent (no answer in time), or refused."
STORE_SECONDS = Histogram("dovetail_store_seconds", STORE_HELP, ["outcome"], registry=_own)


def observe(request: HttpRequest, response: HttpResponseBase, seconds: float) -> None:
    """Count one answered request. Labels come from us, never from the client: each value is a series kept for ever."""
    method = request.method if request.method in _METHODS else "other"
    face = _face(request)
    REQUESTS.labels(method, face, str(response.status_code)).inc()
    SECONDS.labels(face).observe(seconds)
    code, _ = getattr(response, "refusal", ("", ""))
    if code:
        REFUSALS.labels(code).inc()


@receiver(breaker.called)
def _observe_store(seconds: float, outcome: str, **_: object) -> None:
    STORE_SECONDS.labels(outcome).observe(seconds)
    tracing.note("store", seconds=seconds, outcome=outcome)


def _face(request: HttpRequest) -> str:
    match = request.resolver_match
    parts = match.func.__module__.split(".") if match else []
    return parts[1] if len(parts) > 1 and parts[0] == "hub" else "other"


def exposition() -> bytes:
    """Return the counters of all web processes in Prometheus' text format."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return generate_latest(_own)
    shared = CollectorRegistry()
    MultiProcessCollector(shared)  # type: ignore[no-untyped-call]  # untyped in prometheus_client
    return generate_latest(shared)
