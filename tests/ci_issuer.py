"""A CI system as far as publishing needs one: keys at its well-known addresses, and an identity token for each job.

It signs by joserfc; the hub verifies by PyJWT. With `GITHUB_ACTIONS` the stock client fetches its token from `/mint`.
"""

import json
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, RSAKey
from joserfc.jws import JWSRegistry

RUNNER = "the-runner's-own-secret"
JOB = {
    "sub": "repo:acme/train:ref:refs/heads/main",
    "repository": "acme/train",
    "repository_owner": "acme",
    "repository_owner_id": "4711",
    "workflow_ref": "acme/train/.github/workflows/publish.yml@refs/heads/main",
    "ref": "refs/heads/main",
    "sha": "a" * 40,
    "run_id": "123456",
    "run_attempt": "1",
    "event_name": "push",
    "environment": "release",
    "actor": "octo",
}


@dataclass
class Issuer:
    """The keys of a CI system, what it answers, and how often each address was asked for."""

    port: int = 0
    keys: list[RSAKey | ECKey] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    configuration: dict[str, Any] = field(default_factory=dict)  # beside what is true
    documents: dict[str, bytes] = field(default_factory=dict)  # path → what is answered in place of the truth

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def new_key(self, kind: str = "RSA") -> RSAKey | ECKey:
        """Add a key: "RSA", or "EC" on P-256."""
        named = {"kid": f"{kind}-{uuid.uuid4()}", "use": "sig"}
        key = RSAKey.generate_key(2048, named) if kind == "RSA" else ECKey.generate_key("P-256", named)
        self.keys.append(key)
        return key

    def claims(self, audience: str, **changed: Any) -> dict[str, Any]:
        """Return the claims of a job's token; one that is changed to None is left out."""
        now = int(time.time())
        times = {"iat": now, "nbf": now, "exp": now + 300}
        claims = {"iss": self.url, "aud": audience, "jti": str(uuid.uuid4()), **times, **JOB, **changed}
        return {claim: value for claim, value in claims.items() if value is not None}

    def sign(self, claims: dict[str, Any], key: RSAKey | ECKey | None = None, **header: Any) -> str:
        key = key or self.keys[0]
        algorithm = {"RSA": "RS256", "EC": "ES256"}[key.key_type]
        named = {"alg": algorithm, "kid": key.kid, "typ": "JWT", **header}
        return jwt.encode(named, claims, key, registry=JWSRegistry(strict_check_header=False))

    def token(self, audience: str, **changed: Any) -> str:
        """Return the identity token of a job for an audience."""
        return self.sign(self.claims(audience, **changed))

    def answer(self, path: str, authorization: str) -> bytes | None:
        parts = urlsplit(path)
        self.asked.append(parts.path)
        if parts.path in self.documents:
            return self.documents[parts.path]
        if parts.path == "/.well-known/openid-configuration":
            document = {"issuer": self.url, "jwks_uri": f"{self.url}/keys", **self.configuration}
            return json.dumps(document).encode()
        if parts.path == "/keys":
            return json.dumps(KeySet(self.keys).as_dict(private=False)).encode()
        if parts.path == "/mint" and authorization == f"Bearer {RUNNER}":
            return json.dumps({"value": self.token(parse_qs(parts.query)["audience"][0])}).encode()
        return None


@contextmanager
def issuing() -> Iterator[Issuer]:
    """Run a CI system with an RSA key on a port of this machine."""
    issuer = Issuer()
    issuer.new_key()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = issuer.answer(self.path, self.headers.get("Authorization", ""))
            self.send_response(200 if body is not None else 404)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    issuer.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield issuer
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
