"""The servers that Dovetail is compared with (nginx, docker-registry), and a fast client.

Each is started on a free port with its state in a folder of its own, and stopped at the end.
"""

import hashlib
import http.client
import json
import os
import shutil
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import Any

from ops.hub import nginx_program
from ops.sentences import ROOT
from tests.services import answers, free_ports, running

BUFFER = 1 << 20


def program(name: str) -> str:
    """Return the path of a program of the Debian package of the same name, or stop and say how to get it."""
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if not path:
        raise SystemExit(f"This bench needs {name}: apt install {name}.")
    return path


class Wire:
    """One open connection that reads into one buffer, so that the server's time dominates."""

    def __init__(self, port: int, headers: dict[str, str] | None = None) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        self.headers = headers or {}
        self.buffer = memoryview(bytearray(BUFFER))
        self.location = ""

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> int:
        """Send a request, discard the answer, and return its length in bytes. Stops the benchmark at a refusal."""
        return self._drain(self._answer(method, path, body, headers))

    def json(self, method: str, path: str, body: object, kind: str = "application/json") -> dict[str, Any]:
        """Send JSON, or bytes as they are, and return the object that comes back."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        answer = self._answer(method, path, data, {"Content-Type": kind})
        return dict(json.loads(answer.read()))

    def _answer(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> http.client.HTTPResponse:
        path = path.removeprefix(f"http://127.0.0.1:{self.connection.port}")
        self.connection.request(method, path, body=body, headers=self.headers | headers)
        answer = self.connection.getresponse()
        self.location = answer.headers.get("Location", "")
        if answer.status == 302:  # to the store
            answer.read()
            return self._answer(method, self.location, body, headers) if method == "GET" else answer
        if answer.status >= 300:
            raise SystemExit(f"{method} {path} was answered with {answer.status}: {answer.read(500)!r}")
        return answer

    def _drain(self, answer: http.client.HTTPResponse) -> int:
        total = 0
        while count := answer.readinto(self.buffer):
            total += count
        return total


@contextmanager
def nginx(folder: Path, files: Path) -> Iterator[int]:
    """Run nginx on a folder, by the same program as the hub's; yield its port."""
    [port] = free_ports()
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in kinds)
    (folder / "nginx.conf").write_text(f"""
daemon off; user root; pid {folder}/pid; worker_processes 2;
events {{}}
http {{
  {temporary} access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000;
  server {{ listen 127.0.0.1:{port}; root {files}; }}
}}
""")
    command = [nginx_program(), "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]
    with running(command, folder, lambda: answers(port)):
        yield port


@contextmanager
def registry(folder: Path) -> Iterator[int]:
    """Run docker-registry on a folder; yield its port."""
    [port] = free_ports()
    (folder / "config.yml").write_text(
        f"version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n"
        f"storage: {{filesystem: {{rootdirectory: {folder}/blobs}}}}\nhttp: {{addr: 127.0.0.1:{port}}}\n"
    )
    with running([program("docker-registry"), "serve", str(folder / "config.yml")], folder, lambda: answers(port)):
        yield port


def sha256(data: bytes) -> str:
    """Return the digest in hex."""
    return hashlib.sha256(data).hexdigest()


def registry_push(wire: Wire, data: bytes, digest: str) -> str:
    """Push one blob to docker-registry; return its address."""
    wire.ask("POST", "/v2/bench/x/blobs/uploads/", b"")
    wire.ask("PUT", f"{wire.location}&digest=sha256:{digest}", data, **{"Content-Type": "application/octet-stream"})
    return f"/v2/bench/x/blobs/sha256:{digest}"


def registry_manifest(wire: Wire, pushed: dict[str, int], tag: str) -> None:
    """Name blobs (address → size in bytes) as one image."""
    kind = "application/vnd.oci.image.manifest.v1+json"
    layers = [
        {"mediaType": "application/octet-stream", "digest": path.rpartition("/")[2], "size": size}
        for path, size in pushed.items()
    ]
    manifest = {"schemaVersion": 2, "mediaType": kind, "config": layers[0], "layers": layers[1:]}
    wire.ask("PUT", f"/v2/bench/x/manifests/{tag}", json.dumps(manifest).encode(), **{"Content-Type": kind})


@contextmanager
def swallow(folder: Path) -> Iterator[int]:
    """Run a server that accepts everything and stores nothing; yield its port."""
    folder.mkdir()
    [port] = free_ports()
    command = [sys.executable, "-m", "bench.swallow", str(port)]
    with running(command, folder, lambda: answers(port), env=os.environ | {"PYTHONPATH": str(ROOT)}):
        yield port


class Counting:
    """A forwarder on a port of its own that counts the bytes which clients send through it."""

    def __init__(self, port: int) -> None:
        self.to, self.sent = port, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            client, _ = self.listener.accept()
            server = socket.create_connection(("127.0.0.1", self.to))
            Thread(target=self._pump, args=(client, server, True), daemon=True).start()
            Thread(target=self._pump, args=(server, client, False), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, is_counted: bool) -> None:
        with suppress(OSError):
            while data := source.recv(BUFFER):
                self.sent += len(data) if is_counted else 0
                sink.sendall(data)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)
