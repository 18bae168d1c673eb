"""Every road to a repository: what is asked, and the word for what came back."""

import json
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from django.core.cache import caches
from django.core.cache.backends.locmem import LocMemCache
from django.test import Client

from features.xet.tests import build
from features.xet.xorbs import chunks
from tests.api.conftest import BASE
from tests.hf.wire import file, header, sha256
from tests.roads.world import BADGE, CONTENT, NAME, NEVER, OLD_CARD, REASON, World

Answer = Any
ONCE = re.compile(rb'(?:name="csrfmiddlewaretoken" value|data-once)="[^"]*"')
CHUNK = chunks.to_text(chunks.hash_chunk(build.split(CONTENT)[0]))
SAMPLE = json.dumps({"files": [{"path": "a.txt", "size": 1, "sample": "eA=="}]})
NO_COMMIT = "0" * 40
DISABLED = "Access to this resource is disabled."


@dataclass(frozen=True)
class Road:
    """One request about a repository, {id}, at its commits {new} and {old}."""

    method: str
    path: str
    body: str = ""
    content_type: str = "application/json"

    def ask(self, client: Client, full_name: str, commit: str) -> Answer:
        values = {"id": full_name, "new": commit}
        path, body = self.path, self.body
        for name, value in values.items():
            path, body = path.replace(f"{{{name}}}", value), body.replace(f"{{{name}}}", value)
        return client.generic(self.method, path, body, content_type=self.content_type)


def _gets(*paths: str) -> list[Road]:
    return [Road("GET", path) for path in paths]


OBJECTS = {"objects": [{"oid": sha256(CONTENT), "size": len(CONTENT)}], "hash_algo": "sha256", "transfers": ["basic"]}
BATCH = json.dumps({"operation": "download", **OBJECTS})
LFS = "application/vnd.git-lfs+json"
ON_DISK = ("weights.safetensors", "curve.png")  # a large file, and a picture of the card
COMMIT = "\n".join(json.dumps(line) for line in (header(), file("a.txt")))

ROADS: dict[str, list[Road]] = {
    "page": _gets("/{id}"),
    "tree page": _gets("/{id}/tree/{new}", "/{id}/commit/{new}"),
    "proof pages": _gets("/{id}/verdict/{new}", "/{id}/commits/{new}"),
    "file pages": _gets("/{id}/blob/{new}/weights.safetensors", "/{id}/blob/{new}/curve.png"),
    "talk pages": _gets("/{id}/discussions", "/{id}/likers"),
    "info": [
        *_gets("/api/models/{id}", "/api/models/{id}/revision/main", "/api/models/{id}/tree/main"),
        Road("POST", "/api/models/{id}/paths-info/main", '{"paths": ["README.md"]}'),
    ],
    "history": _gets("/api/models/{id}/commits/main"),
    "commit": [
        *_gets("/api/models/{id}/revision/{new}", "/api/models/{id}/tree/{new}", "/api/models/{id}/commits/{new}"),
        Road("POST", "/api/models/{id}/paths-info/{new}", '{"paths": ["README.md"]}'),
    ],
    "about": _gets("/api/models/{id}/refs", "/api/models/{id}/likers", "/api/models/{id}/discussions"),
    "REST": _gets("/api/v1/adapters/{id}"),
    "REST version": _gets("/api/v1/adapters/{id}/revisions/{new}"),
    "files": [
        Road(method, f"/{{id}}/{at}/README.md") for method in ("GET", "HEAD") for at in ("resolve/main", "raw/main")
    ],
    "files of commit": [
        *_gets("/api/v1/adapters/{id}/revisions/{new}/files/weights.safetensors"),
        *(Road(method, f"/{{id}}/resolve/{{new}}/{path}") for method in ("GET", "HEAD") for path in ON_DISK),
    ],
    "S3": [
        *_gets("/s3/hub/{id}/main/README.md", "/s3/{id}/main/README.md"),
    ],
    "S3 of commit": _gets("/s3/hub/{id}/{new}/weights.safetensors", "/s3/hub/{id}/{new}/curve.png"),
    "OCI": _gets("/v2/{id}/manifests/main"),
    "OCI of commit": _gets("/v2/{id}/manifests/{new}"),
    "OCI lists": _gets("/v2/{id}/tags/list"),
    "right": _gets("/api/models/{id}/auth-check", "/api/models/{id}/xet-read-token/main"),
    "push": [
        Road("POST", "/api/models/{id}/commit/main", COMMIT, "application/x-ndjson"),
        *_gets("/api/models/{id}/auth-check/write"),
    ],
    "propose": [Road("POST", "/api/models/{id}/preupload/main?create_pr=1", SAMPLE)],
}
BY_BROWSER = {"page", "tree page", "proof pages", "file pages", "talk pages"}
LISTS = (
    "/api/models", "/api/models?author=acme", "/api/models?search=held", "/api/models?full=true",
    "/api/users/carol/likes", "/api/collections", "/api/collections/{slug}", "/api/v1/adapters",
    "/api/v1/adapters?q=held", f"/api/v1/adapters?base={BASE}",
    "/adapters", "/adapters?q=held", f"/bases/{BASE}", "/acme", "/carol?show=likes", "/collections/{slug}",
)  # fmt: skip


# --- the words -------------------------------------------------------------------------------------------------------
def looks(answer: Answer, full_name: str) -> tuple:
    """Return the distinguishable parts of an answer, without the name. An ETag is a digest in which the name stands."""
    headers = {key: value.replace(full_name, "-") for key, value in answer.headers.items()}
    for key in ("X-Request-Id", "ETag", "X-RateLimit-Remaining"):
        headers.pop(key, None)
    body = b"" if answer.streaming else ONCE.sub(b"", answer.content).replace(full_name.encode(), b"-")
    return answer.status_code, headers, body


CODES = {
    "adapter-quarantined": "held", "adapter-archived": "arch", "token-invalid": "bad", "not-allowed": "no",
    "sign-in-required": "in", "access-required": "gate", "gate-sign-in-required": "gate", "revision-not-found": "rev",
}  # fmt: skip
OLDER = re.compile(
    rf'"path": "README.md"[^}}]*"size": {len(OLD_CARD)}\b|"size": {len(OLD_CARD)},[^}}]*"path": "README.md"'
)


def _commit_of(manifest: str) -> str | None:
    """Return the commit that the manifest of an image names."""
    commit = re.search(r'"org.opencontainers.image.revision":"(\w{40})"', manifest)
    return commit[1] if commit else None


def word(answer: Answer, world: World) -> str:
    """Return the word for an answer that is not that of a repository that never was."""
    status, text = answer.status_code, "" if answer.streaming else answer.content.decode(errors="replace")
    if status == 410:
        return "gone"
    if answer.get("Location", "").startswith("/login"):
        return "in"
    if status in {200, 206, 302, 307}:
        if "is quarantined" in text and REASON in text:
            return "held"
        sha = re.search(r'"sha": ?"(\w{40})"', text)
        is_old = world.old.oid in {
            answer.get("X-Repo-Commit"),
            answer.get("x-amz-meta-commit"),
            _commit_of(text),
            sha and sha[1],
        } or OLDER.search(text)
        return "old" if is_old else "ok"
    code = re.search(r'(?:"code": ?"|<Reason>)([a-z-]+)', text)
    if code and code[1] in CODES:
        return CODES[code[1]]
    by_header = {"GatedRepo": "gate", "RevisionNotFound": "rev"}.get(answer.get("X-Error-Code", ""))
    message = answer.get("X-Error-Message", "")
    by_header = by_header or {DISABLED: "held", "Invalid credentials in Authorization header": "bad"}.get(message)
    if by_header:
        return by_header
    if "authorized list" in text:
        return "gate"
    return "rev" if status == 404 else f"{status} {text[:200]}"


def walk(road: Road, client: Client, world: World) -> str:
    """Return the word for a road: `nf` where the answer is that of a repository that never was.

    What is said of a commit that is held back must be what is said of one that never was.
    """
    answer = road.ask(client, NAME, world.new.oid)
    got = word(answer, world)
    if answer.status_code in {401, 404} and got != "bad":
        never = road.ask(client, NEVER, world.new.oid)
        if looks(answer, NAME) == looks(never, NEVER):
            return "nf"
    if got == "rev" and "{new}" in road.path:
        other = road.ask(client, NAME, NO_COMMIT)
        if looks(answer, world.new.oid) != looks(other, NO_COMMIT):
            return "a held commit answers otherwise than none"
    return got


def in_lists(client: Client, world: World, of: str) -> str:
    """Return `in` where every list shows it and `-` where none does; `bad` for a token that is none."""
    got = {path: in_list(path, client, world) for path in LISTS if path.startswith("/api/") == (of == "lists")}
    return next(iter(got.values())) if len(set(got.values())) == 1 else str(got)


def in_list(path: str, client: Client, world: World) -> str:
    """Ask one list: a row names the repository in a link or as JSON; pages repeat what was searched for."""
    LocMemCache.clear(caches["default"])
    answer = client.get(path.replace("{slug}", world.collection))
    if answer.status_code == 401:
        return "bad"
    assert answer.status_code == 200, (path, answer.status_code)
    return "in" if any(name in answer.content.decode() for name in (f'"{NAME}"', f'href="/{NAME}"')) else "-"


def in_s3_lists(client: Client) -> str:
    """Return `in` where the lists of S3 that name repositories have it, and `-` where none has it, nor its files."""
    got = {path: client.get(path) for path in ("/s3/hub?prefix=acme/&delimiter=/", "/s3/acme?delimiter=/", "/s3/hub")}
    if any(b"<Reason>token-invalid<" in answer.content for answer in got.values()):
        return "bad"
    assert {answer.status_code for answer in got.values()} <= {200, 404}
    has = [bool(re.search(rb"<(?:Prefix|Key)>(?:acme/)?held/", answer.content)) for answer in got.values()]
    assert has[0] == has[1] >= has[2], has
    return "in" if has[0] else "-"


def in_facets(client: Client) -> str:
    """Return `in` where it is counted by the facets of REST, the tags of the Hub, or in the number of models."""
    LocMemCache.clear(caches["default"])
    answer = client.get("/api/v1/adapters?facets=true")
    if answer.status_code == 401:
        return "bad"
    facets = any(answer.json()["facets"].values())
    bases = any(base["adapters"] for base in client.get("/api/v1/bases").json()["items"])
    number = client.get("/api/organizations/acme/overview").json()["numModels"]
    assert facets == bases == bool(number), (facets, bases, number)
    return "in" if facets else "-"


def in_tags(client: Client) -> str:
    """Return `in` where its tag is among those in use; the answer is the same for everybody."""
    LocMemCache.clear(caches["default"])
    answer = client.get("/api/models-tags-by-type")
    return "bad" if answer.status_code == 401 else "in" if f'"{BADGE}"' in answer.content.decode() else "-"


def in_feed(client: Client) -> str:
    """Return the kinds of entries about it in the feed of changes, with the commits that they name."""
    answer = client.get("/api/v1/changes")
    if answer.status_code == 401:
        return "bad"
    kinds = {item["event"] for item in answer.json()["items"] if item["adapter"] == NAME}
    return "+".join(sorted(kinds)) or "-"


# --- addresses and tickets from before -------------------------------------------------------------------------------
def from_before(who: str, client: Client, world: World) -> str:
    """Return `ok` if the bytes come by an LFS address and a Xet token from before, and by an LFS batch now; or `no`."""
    link, anyone = urlsplit(world.links[who]), Client()
    by_xet = Client(headers={"authorization": f"Bearer {world.reading[who]}"})
    batch = client.generic("POST", f"/{NAME}.git/info/lfs/objects/batch", BATCH, content_type=LFS)
    got = {
        "LFS address": _bytes_or_no(anyone.get(f"{link.path}?{link.query}")),
        "reconstruction": _bytes_or_no(by_xet.get(f"/xet/v2/reconstructions/{world.file_id}")),
        "reconstruction in v1": _bytes_or_no(by_xet.get(f"/xet/v1/reconstructions/{world.file_id}")),
        "chunk": _bytes_or_no(by_xet.get(f"/xet/v1/chunks/default-merkledb/{CHUNK}")),
        "LFS batch": "ok" if batch.status_code == 200 and "actions" in batch.json()["objects"][0] else "no",
    }
    return next(iter(got.values())) if len(set(got.values())) == 1 else str(got)


def _bytes_or_no(answer: Answer) -> str:
    if answer.status_code < 400:
        return "ok"
    assert answer.status_code in {400, 401, 403, 404}, answer.content
    assert REASON.encode() not in answer.content or answer.status_code == 403
    return "no"
