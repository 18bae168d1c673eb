"""Identity providers for tests: npm's certified oidc-provider, and one that forges what a test asks for."""

import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from ops import services
from tests.ci_issuer import Issuer
from tests.services import answers, free_ports, own_folder, running

PROVIDER = Path(__file__).resolve().parent / "oidc"
CLIENT_ID = "dovetail"
CLIENT_SECRET = "dovetail-tests-secret"


@dataclass
class RealProvider:
    """A running oidc-provider; `people` maps a login to its claims, and is read at each request."""

    url: str
    file: Path

    def set_people(self, people: Mapping[str, Mapping[str, Any]]) -> None:
        self.file.write_text(json.dumps(people))


@contextmanager
def real_provider(*redirects: str) -> Iterator[RealProvider]:
    """Run oidc-provider with one client, this hub; its packages are installed where they are missing."""
    if not shutil.which("npm") and not os.environ.get("CI"):
        pytest.skip("npm is not there: run `make services`")
    services.install_node_packages()
    [port] = free_ports()
    with own_folder() as folder:
        provider = RealProvider(f"http://127.0.0.1:{port}", folder / "people.json")
        provider.set_people({})
        command = ["node", str(PROVIDER / "provider.mjs"), str(port), ",".join(redirects), str(provider.file)]
        with running(command, folder, lambda: answers(port)):
            yield provider


@dataclass
class Forger(Issuer):
    """A provider that answers as a test wants: `forge` makes the identity token of the good claims."""

    profile: dict[str, Any] | None = None  # None: that of the claims
    forge: Callable[[dict[str, Any]], str | None] | None = None
    good: dict[str, Any] = field(default_factory=dict)
    posted: list[bytes] = field(default_factory=list)

    def answer(self, path: str, authorization: str) -> bytes | None:
        if path == "/me":
            return json.dumps(self.good if self.profile is None else self.profile).encode()
        return super().answer(path, authorization)

    def token_answer(self) -> bytes:
        token = self.forge(dict(self.good)) if self.forge else self.sign(self.good)
        document = {"access_token": "x", "token_type": "Bearer", "expires_in": 60, "id_token": token}
        return json.dumps({name: value for name, value in document.items() if value is not None}).encode()


@contextmanager
def forging() -> Iterator[Forger]:
    """Run a forger on a port of this machine."""
    forger = Forger()
    forger.new_key()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._send(forger.answer(self.path, self.headers.get("Authorization", "")))

        def do_POST(self) -> None:
            forger.posted.append(self.rfile.read(int(self.headers["Content-Length"])))
            self._send(forger.token_answer())

        def _send(self, body: bytes | None) -> None:
            self.send_response(200 if body is not None else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    forger.port = server.server_address[1]
    forger.configuration = {
        "authorization_endpoint": f"{forger.url}/auth",
        "token_endpoint": f"{forger.url}/token",
        "userinfo_endpoint": f"{forger.url}/me",
        "token_endpoint_auth_methods_supported": ["client_secret_post"],
        "authorization_response_iss_parameter_supported": True,
    }
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield forger
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
