"""A server that accepts what the stock client sends by Xet and stores nothing: it measures the client's own time.

python -m bench.swallow PORT
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BUFFER = 1 << 20
FOREVER = 4_102_444_800


class Swallow(BaseHTTPRequestHandler):
    """The few questions that one upload asks."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        here = f"http://127.0.0.1:{self.connection.getsockname()[1]}"
        if "/xet-write-token/" in self.path:
            self._answer({"accessToken": "any", "exp": FOREVER, "casUrl": here})
        else:
            self._answer({}, 404)

    def do_POST(self) -> None:
        body = self._swallowed()
        if "/preupload/" in self.path:
            paths = [one["path"] for one in json.loads(body)["files"]]
            modes = {path: "lfs" if path.endswith(".safetensors") else "regular" for path in paths}
            files = [{"path": path, "uploadMode": mode, "shouldIgnore": False} for path, mode in modes.items()]
            self._answer({"files": files, "commitOid": "1" * 40})
        elif self.path == "/api/repos/create":
            self._answer({"url": "http://127.0.0.1/a/b", "name": "a/b", "id": "0" * 24})
        elif self.path == "/api/validate-yaml":
            self._answer({"errors": [], "warnings": []})
        elif "/commit/" in self.path:
            oid = "0" * 40
            self._answer({"success": True, "commitOid": oid, "commitUrl": f"http://127.0.0.1/a/b/commit/{oid}"})
        elif self.path.startswith("/v1/xorbs/"):
            self._answer({"was_inserted": True})
        elif self.path.startswith("/v1/shards"):
            self._answer({"result": 1})
        else:
            self._answer({}, 404)

    def _swallowed(self) -> bytes:
        """Read the body away, and return the beginning of it."""
        left, first = int(self.headers.get("Content-Length") or 0), b""
        while left and (piece := self.rfile.read1(min(left, BUFFER))):
            left -= len(piece)
            first = first if len(first) >= BUFFER else first + piece
        return first

    def _answer(self, document: object, status: int = 200) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Log nothing."""


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Swallow).serve_forever()
