"""Real receivers of what a hub tells: an OpenTelemetry collector and a Sentry project, each an HTTP server here."""

import gzip
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True)
class Span:
    """A span as the collector got it; ids are hexadecimal."""

    name: str
    trace: str
    id: str
    parent: str
    attributes: dict[str, Any]


@dataclass
class Receiver:
    """The requests that came to the server, each with its path and its body."""

    url: str = ""
    posts: list[tuple[str, bytes]] = field(default_factory=list)

    @property
    def spans(self) -> list[Span]:
        """The spans that came as OTLP."""
        return [
            Span(
                span.name, span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex(), _values(span.attributes)
            )
            for path, body in list(self.posts)
            if path == "/v1/traces"
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    @property
    def events(self) -> list[dict[str, Any]]:
        """The errors that came as envelopes of Sentry: a head, then a head and a body for each item."""
        lines = [body.splitlines() for path, body in list(self.posts) if path.endswith("/envelope/")]
        items = [zip(parts[1::2], parts[2::2], strict=True) for parts in lines]
        return [json.loads(body) for pairs in items for head, body in pairs if json.loads(head)["type"] == "event"]


def _span(span: Any) -> Span:
    ids = (span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex())
    return Span(span.name, *ids, _values(span.attributes))


def _values(attributes: Any) -> dict[str, Any]:
    return {item.key: getattr(item.value, item.value.WhichOneof("value")) for item in attributes}


@contextmanager
def receiver() -> Iterator[Receiver]:
    """Run a server that takes everything."""
    received = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            is_packed = self.headers.get("Content-Encoding") == "gzip"
            received.posts.append((self.path, gzip.decompress(body) if is_packed else body))
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        received.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield received
        finally:
            server.shutdown()
            thread.join()
