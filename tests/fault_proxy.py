"""A server between a hub and another one, which breaks what passes it in the ways that networks and hubs break."""

import re
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirect)


@dataclass
class Faults:
    """The faults of answers whose path matches; `seen` is every request, with its headers."""

    target: str
    url: str = ""
    path: str = ""  # a pattern; "" breaks nothing
    status: int = 0  # answered in place of the answer
    headers: dict[str, str] = field(default_factory=dict)  # of that answer
    answer: bytes | None = None  # JSON in place of the answer
    is_away: bool = False  # every connection ends without an answer
    cut: int = -1  # bytes of the body after which the connection ends
    pause: float = 0  # seconds before each piece of the body
    stop: int = -1  # bytes of the body after which nothing comes until this is -1 again
    lie: bool = False  # the last byte of the body is another one
    edit: tuple[str, str] = ("", "")  # replaced in a body of JSON
    seen: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def heal(self) -> None:
        """Break nothing any more, and forget what was seen."""
        self.path, self.status, self.headers, self.cut, self.pause, self.lie = "", 0, {}, -1, 0, False
        self.edit, self.answer, self.is_away, self.stop = ("", ""), None, False, -1
        self.seen.clear()

    def paths(self, pattern: str = "") -> list[str]:
        """Return the paths that were asked for and match."""
        return [path for path, _ in self.seen if re.search(pattern, path)]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    faults: Faults

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        faults = self.faults
        faults.seen.append((self.path, dict(self.headers)))
        self.close_connection = True
        if faults.is_away:
            return
        is_broken = bool(faults.path) and re.search(faults.path, self.path) is not None
        if is_broken and faults.answer is not None:
            self._answer(200, {"Content-Type": "application/json"}, faults.answer)
            return
        if is_broken and faults.status:
            self._answer(faults.status, faults.headers, b"")
            return
        length = int(self.headers.get("Content-Length", "0"))
        content = self.rfile.read(length) if self.command == "POST" else None
        request = urllib.request.Request(faults.target + self.path, content, method=self.command)
        for name in ("Authorization", "Range", "X-Dovetail-Hops", "Content-Type"):
            if value := self.headers.get(name):
                request.add_header(name, value)
        try:
            response = _OPENER.open(request, timeout=30)
        except urllib.error.HTTPError as error:
            response = error
        body = response.read()
        if is_broken and faults.lie:
            body = body[:-1] + bytes([body[-1] ^ 1])
        if is_broken and faults.edit[0]:
            body = body.decode().replace(*faults.edit).encode()
        kept = {"Content-Type", "Content-Range", "ETag", "X-Repo-Commit", "X-Error-Code", "Link", "Location"}
        headers = {name: value for name, value in response.headers.items() if name in kept}
        self._answer(response.status, headers, body, is_broken=is_broken)

    do_POST = do_GET

    def _answer(self, status: int, headers: dict[str, str], body: bytes, *, is_broken: bool = False) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value.replace(self.faults.target, self.faults.url))
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        rest = body[: self.faults.cut] if is_broken and self.faults.cut >= 0 else body
        step = 64 << 10 if is_broken and (self.faults.pause or self.faults.stop >= 0) else len(rest) or 1
        for at in range(0, len(rest), step):
            if is_broken and self.faults.pause:
                time.sleep(self.faults.pause)
            while is_broken and 0 <= self.faults.stop <= at:
                time.sleep(0.01)
            self.wfile.write(rest[at : at + step])


@contextmanager
def proxy(target: str, port: int = 0) -> Iterator[Faults]:
    """Run a proxy to another server."""
    faults = Faults(target)
    handler = type("Handler", (_Handler,), {"faults": faults})
    ThreadingHTTPServer.allow_reuse_address = True
    server = ThreadingHTTPServer(("127.0.0.1", port), handler)
    server.daemon_threads = True
    faults.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield faults
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
