"""The spans of traces.py by OpenTelemetry, sent in the background to the collector at DOVETAIL_OTLP_ENDPOINT."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache

from django.conf import settings
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import Span, SpanContext, SpanKind, TraceFlags, Tracer

from registry.kernel import traces

EVERY_MS = 1000  # between two messages to the collector
FLUSH_MS = 2000
Attributes = Mapping[str, str | int | float]
_begun: ContextVar[str] = ContextVar("begun_request", default="")  # whose own span is made at this moment


class Ids(RandomIdGenerator):
    """Names the span of a request as the request is named, all others at random."""

    def generate_trace_id(self) -> int:
        return int(_begun.get()[:32], 16) if _begun.get() else super().generate_trace_id()

    def generate_span_id(self) -> int:
        return int(_begun.get()[16:32], 16) if _begun.get() else super().generate_span_id()


@contextmanager
def request() -> Iterator[Span]:
    """Record the span of the request that this thread answers."""
    mark = _begun.set(traces.current())
    try:
        made = _tracer().start_span("request", Context(), kind=SpanKind.SERVER)
    finally:
        _begun.reset(mark)
    made.set_attribute("dovetail.request_id", traces.current())
    with trace.use_span(made, end_on_exit=True):
        yield made


@contextmanager
def span(name: str, attributes: Attributes) -> Iterator[Span]:
    """Record a span of work, for the request that this thread works for."""
    ids = traces.current()
    around = None  # the span that is current
    if ids and trace.get_current_span().get_span_context().trace_id != int(ids[:32], 16):
        flags = TraceFlags(TraceFlags.SAMPLED)
        parent = SpanContext(int(ids[:32], 16), int(ids[16:32], 16), is_remote=True, trace_flags=flags)
        around = trace.set_span_in_context(trace.NonRecordingSpan(parent))
    known = {**attributes, "dovetail.request_id": ids} if ids else attributes
    with _tracer().start_as_current_span(name, around, attributes=known) as made:
        yield made


def note(name: str, attributes: Attributes) -> None:
    """Add an event to the current span."""
    trace.get_current_span().add_event(name, attributes)


def flush() -> None:
    """Send what is recorded."""
    _provider().force_flush(FLUSH_MS)


def _tracer() -> Tracer:
    return _provider().get_tracer("dovetail")


@cache
def _provider() -> TracerProvider:
    """Return what makes and sends the spans of this process; made late, because processes are forked before."""
    provider = TracerProvider(resource=Resource.create({SERVICE_NAME: "dovetail"}), id_generator=Ids())
    exporter = OTLPSpanExporter(endpoint=f"{settings.OTLP_ENDPOINT}/v1/traces")
    provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=EVERY_MS))
    return provider
