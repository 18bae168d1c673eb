"""A hub that lies: it answers what a test tells it to, and remembers which headers it was sent."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

OID = "a" * 40
Answer = tuple[int, dict[str, str], bytes]


@dataclass
class Liar:
    """Answers by path: a status, headers and a body, or a function of the request's headers that returns them.

    What it has no answer for is 404 without JSON.
    """

    url: str = ""
    answers: dict[str, Any] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def says(self, path: str, document: Any, status: int = 200) -> None:
        kind = "application/json" if status < 400 else "application/problem+json"
        self.answers[f"/api/v1{path}"] = (status, {"Content-Type": kind}, json.dumps(document).encode())

    def holds(self, files: dict[str, bytes], **lies: Any) -> None:
        """Serve a revision of alice/x with these files; `lies` replace what its manifest says of each."""
        listed = []
        for path, content in files.items():
            sha256 = hashlib.sha256(content).hexdigest()
            listed.append({"path": path, "size": len(content), "sha256": sha256} | lies)
            self.answers[self.address(path)] = (200, {"ETag": f'"{sha256}"', "X-Repo-Commit": OID}, content)
        self.says(
            "/adapters/alice/x/revisions/main", {"adapter": "alice/x", "revision": OID, "state": None, "files": listed}
        )

    @staticmethod
    def address(path: str) -> str:
        """Return the Hub route of a file."""
        return f"/alice/x/resolve/{OID}/{path}"


@contextmanager
def liar() -> Iterator[Liar]:
    """Run such a hub on a free port."""
    hub = Liar()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = {name.lower(): value for name, value in self.headers.items()}
            hub.asked.append((self.path, asked))
            answer = hub.answers.get(self.path, (404, {}, b"<html>nothing here</html>"))
            status, headers, body = answer(asked) if callable(answer) else answer
            self.send_response_only(status)  # without a Date of its own
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_POST = do_HEAD = do_GET

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        hub.url = f"http://127.0.0.1:{server.server_port}"
        Thread(target=server.serve_forever, daemon=True).start()
        yield hub
        server.shutdown()
