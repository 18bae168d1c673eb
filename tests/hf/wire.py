"""Speaks the Hub's protocol by hand, where a real client would refuse to say what a test must say."""

import base64
import hashlib
import json
from typing import Any

from django.test import Client

from registry.models import Ref, Revision, RevisionFile, Verdict
from tests.cast import Cast

# A response with what Django's test client adds to it, and content_of().
Answer = Any


def notify(verdict: int) -> bool:
    """Notify no worker, since these tests run none."""
    return True


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def header(summary: str = "Push", **more: Any) -> dict[str, Any]:
    return {"key": "header", "value": {"summary": summary, "description": "", **more}}


def file(path: str, content: bytes = b"hello") -> dict[str, Any]:
    value = {"path": path, "content": base64.b64encode(content).decode(), "encoding": "base64"}
    return {"key": "file", "value": value}


def lfs_file(path: str, content: bytes, **more: Any) -> dict[str, Any]:
    value = {"path": path, "algo": "sha256", "oid": sha256(content), "size": len(content)}
    return {"key": "lfsFile", "value": value | more}


def deleted(path: str, kind: str = "deletedFile") -> dict[str, Any]:
    return {"key": kind, "value": {"path": path}}


def world() -> tuple[Any, ...]:
    """Everything that must not change when a push is refused."""
    refs = sorted(Ref.objects.values_list("repository", "name", "revision__oid"))
    return refs, Revision.objects.count(), RevisionFile.objects.count(), Verdict.objects.count()


class Wire:
    """Asks this process; `who` is a person of the cast, "nobody", or a token's value."""

    def __init__(self, cast: Cast) -> None:
        self._browser, self._cast = Client(), cast
        self._tokens: dict[str, str] = {}

    def again(self) -> "Wire":
        """Return one that has made no token yet."""
        return Wire(self._cast.again())

    def ask(self, method: str, path: str, body: Any = None, *, who: str = "alice", **headers: str) -> Answer:
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        if token := self._token(who):
            headers["Authorization"] = f"Bearer {token}"
        kind = headers.pop("Content_Type", "application/json")
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        response: Any = self._browser.generic(method, path, data, content_type=kind, headers=named)
        response.content_of = lambda: b"".join(response) if response.streaming else response.content
        return response

    def get(self, path: str, *, who: str = "alice", **headers: str) -> Answer:
        return self.ask("GET", path, who=who, **headers)

    def commit(self, full_name: str, *lines: dict | bytes, rev: str = "main", who: str = "alice", **headers: str):
        body = b"".join(line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n" for line in lines)
        path = f"/api/models/{full_name}/commit/{rev}"
        return self.ask("POST", path, body, who=who, Content_Type="application/x-ndjson", **headers)

    def propose(self, full_name: str, *lines: dict, rev: str = "main", who: str = "alice") -> Answer:
        """Propose a change for a branch, as a pull request."""
        return self.commit(full_name, header(), *lines, rev=f"{rev}?create_pr=1", who=who)

    def push(self, full_name: str, files: dict[str, bytes], *, who: str = "alice", **more: Any) -> str:
        """Push small files, and return the commit's id."""
        response = self.commit(full_name, header(**more), *(file(path, data) for path, data in files.items()), who=who)
        assert response.status_code == 200, response.content
        return response.json()["commitOid"]

    def deliver(self, full_name: str, content: bytes, *, who: str = "alice") -> Answer:
        """Deliver bytes by LFS, and return the answer to the PUT; the batch's answer where there was nothing to put."""
        answer = self.offer(full_name, content, who=who)
        actions = answer.json()["objects"][0].get("actions")
        return self.put(actions["upload"]["href"], content) if actions else answer

    def offer(self, full_name: str, content: bytes, *, who: str = "alice", **more: Any) -> Answer:
        body: dict[str, Any] = {"operation": "upload", "transfers": ["basic"]}
        body["objects"] = [{"oid": sha256(content), "size": len(content)}]
        return self.ask("POST", f"/{full_name}.git/info/lfs/objects/batch", body | more, who=who)

    def put(self, href: str, content: bytes) -> Answer:
        path = "/" + href.split("/", 3)[3]
        return self.ask("PUT", path, content, who="nobody", Content_Type="application/octet-stream")

    def _token(self, who: str) -> str:
        if who == "nobody":
            return ""
        if who not in self._cast.people:
            return who
        if who not in self._tokens:
            self._tokens[who] = self._cast.token(who)
        return self._tokens[who]
