"""Runs a mail server and a receiver of webhooks outside the containers, on this machine's address that they reach."""

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from aiosmtpd.controller import Controller

from tests.mail_server import Mailbox
from tests.services import free_ports

GATEWAY = "{{(index .IPAM.Config 0).Gateway}}"


def bridge_address() -> str:
    """Return this machine's address on Docker's own bridge, which containers with a way out reach."""
    return subprocess.check_output(["docker", "network", "inspect", "bridge", "--format", GATEWAY], text=True).strip()


@dataclass
class Outside:
    """The requests that arrived; the receiver of webhooks also listens on every other address of this machine."""

    host: str
    mail_port: int
    web_port: int = 0
    mailbox: Mailbox = field(default_factory=Mailbox)
    posts: list[bytes] = field(default_factory=list)


@contextmanager
def outside(host: str) -> Iterator[Outside]:
    """Run both servers."""
    found = Outside(host, free_ports()[0])

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            found.posts.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    mail = Controller(found.mailbox, hostname=host, port=found.mail_port)
    mail.start()
    with ThreadingHTTPServer(("0.0.0.0", 0), Handler) as web:  # closed at the end of the run; takes nothing but POST
        found.web_port = web.server_port
        threading.Thread(target=web.serve_forever, daemon=True).start()
        try:
            yield found
        finally:
            web.shutdown()
            mail.stop()
