"""Pushing on the wire: card check, preupload, Git LFS and commit. The steps of a push are in registry/publish/push/."""

import base64
from collections.abc import Iterator
from urllib.parse import quote

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import reverse

from hub import limits
from hub.addresses import absolute, origin
from hub.answers import answer
from hub.hf import bodies, shapes
from hub.hf.dialect import Route
from hub.hf.pull import file_response
from hub.hf.shapes import JSON
from hub.limits import Family
from hub.read_only import refuse_below_verified
from hub.server.uploads import offer_shape
from registry.kernel.errors import CommitInvalid, RegistryError, ValueInvalid
from registry.kernel.policy import Permission
from registry.models import Ref, Repository
from registry.publish import open_pushes, plans, push, uploads
from registry.publish.push import Copy, Deletion, Inline, Intent, Operation, Stored
from registry.repos import downloads, refs
from registry.repos.contents.card import parse_card

# License ids of the Hub's list that people use; `other` and `unknown` are always possible.
_LICENSES = """
    apache-2.0 mit openrail bigscience-openrail-m creativeml-openrail-m bigscience-bloom-rail-1.0 bigcode-openrail-m
    afl-3.0 artistic-2.0 bsl-1.0 bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear c-uda cc cc0-1.0 cc-by-2.0 cc-by-2.5
    cc-by-3.0 cc-by-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nd-4.0 cc-by-nc-nd-3.0
    cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cdla-sharing-1.0 cdla-permissive-1.0
    cdla-permissive-2.0 wtfpl ecl-2.0 epl-1.0 epl-2.0 etalab-2.0 eupl-1.1 eupl-1.2 agpl-3.0 gfdl gpl gpl-2.0 gpl-3.0
    lgpl lgpl-2.1 lgpl-3.0 isc h-research intel-research lppl-1.3c ms-pl apple-ascl apple-amlr mpl-2.0 odc-by odbl
    openmdw-1.0 openmdw-1.1 openrail++ osl-3.0 postgresql ofl-1.1 ncsa unlicense zlib pddl lgpl-lr deepfloyd-if-license
    fair-noncommercial-research-license llama2 llama3 llama3.1 llama3.2 llama3.3 llama4 grok2-community gemma unknown
    other array
"""
LICENSES = frozenset(_LICENSES.split())


def judge(content: str, repo_type: str) -> tuple[list[str], list[str]]:
    """Return (errors, warnings) about the front matter of a README."""
    card = parse_card(content)
    if card.problem:
        return [f"Invalid metadata in the card: {card.problem}"], []
    if not card.data:
        return [], ["empty or missing yaml metadata in repo card"]
    errors = []
    licenses = card.data.get("license")
    for license in licenses if isinstance(licenses, list) else [licenses]:
        if license is not None and str(license).lower() not in LICENSES:
            errors.append(f'"license" must be one of [{", ".join(sorted(LICENSES))}]')
    if not isinstance(card.data.get("model-index", []), list):
        errors.append('"model-index" must be a list')
    return errors, []


class ValidateYaml(Route):
    """POST /api/validate-yaml: JSON also without a token; clients parse the answer before they look at the status"""

    def post(self, request: HttpRequest) -> HttpResponse:
        try:
            body = bodies.json_object(request)
            errors, warnings = judge(bodies.text(body, "content"), bodies.text(body, "repoType", "model"))
        except ValueInvalid as error:
            errors, warnings = [error.detail], []
        if "text/plain" in request.headers.get("Accept", ""):
            return _as_text(errors, warnings)
        problems = {
            "errors": [{"message": text} for text in errors],
            "warnings": [{"message": text} for text in warnings],
        }
        return answer(problems, 400 if errors else 200)


def _as_text(errors: list[str], warnings: list[str]) -> HttpResponse:
    lines = [f"- Error: {text}" for text in errors] + [f"- Warning: {text}" for text in warnings]
    return HttpResponse("\n".join(lines), content_type="text/plain; charset=utf-8", status=400 if errors else 200)


class Preupload(Route):
    """POST /api/models/{id}/preupload/{rev}"""

    def post(self, request: HttpRequest, ns: str, name: str, rev: str) -> HttpResponse:
        repository = self.repository(ns, name)
        proposes = bodies.truth(request.GET.get("create_pr"))
        push.require_for(repository, refs.full_ref(rev), self.caller, propose=proposes)
        body = bodies.json_object(request)
        asked = [plans.Asked(bodies.path(file), bodies.whole(file, "size")) for file in bodies.objects(body, "files")]
        ref = refs.full_ref(rev)
        gitignore = bodies.text(body, "gitIgnore", "") or None
        files = plans.plan(repository, ref, asked, by=self.caller, gitignore=gitignore, propose=proposes)
        # Clients leave out files that are equal to what is there, and then would open no pull request.
        modes = [
            {
                "path": file.path,
                "uploadMode": "lfs" if file.is_lfs else "regular",
                "shouldIgnore": file.is_ignored,
                **({"oid": file.oid} if file.oid and not proposes else {}),
            }
            for file in files
        ]
        return answer({"files": modes, "commitOid": refs.resolve_ref(repository, ref).oid})


class Commit(Route):
    """POST /api/models/{id}/commit/{rev}, NDJSON read line by line"""

    def post(self, request: HttpRequest, ns: str, name: str, rev: str) -> HttpResponse:
        repository = self.repository(ns, name)
        proposes = bodies.truth(request.GET.get("create_pr"))
        push.require_for(repository, refs.full_ref(rev), self.caller, propose=proposes)  # before any byte is read
        lines = bodies.ndjson(request, longest_line(), settings.MAX_PUSH_BYTES * 3 // 2)
        lines = open_pushes.listen(lines, repository, self.caller)
        header = _member(next(lines, {}), "header")
        intent = Intent(
            repository,
            refs.full_ref(rev),
            self.caller,
            title=bodies.text(header, "summary"),
            message=bodies.text(header, "description", ""),
            parent=_parent(header),
            propose=proposes,
        )
        ref = push.receive(intent, operations(lines))
        return answer(_landed(ref, shapes.page_of(repository, origin(request)), intent.propose))


def longest_line() -> int:
    """Return how long a line of a commit may be, in bytes: one inline file in base64, and its path."""
    inline: int = settings.MAX_INLINE_BYTES
    return inline * 4 // 3 + (64 << 10)


def _landed(ref: Ref, page: str, proposed: bool) -> dict[str, object]:
    oid = ref.revision.oid
    body = {"success": True, "commitOid": oid, "commitUrl": f"{page}/commit/{oid}", "hookOutput": ""}
    if proposed:
        body["pullRequestUrl"] = f"{page}/discussions/{ref.name.removeprefix(refs.PULL_REQUESTS)}"
    return body


def operations(lines: Iterator[bodies.JsonObject]) -> Iterator[Operation]:
    """Turn the lines after the header into operations, one at a time. Raises CommitInvalid for anything unknown."""
    for line in lines:
        match line.get("key"):
            case "file":
                value = _member(line, "file")
                yield Inline(bodies.path(value), content(value))
            case "lfsFile":
                value = _member(line, "lfsFile")
                if value.get("algo", "sha256") != "sha256":
                    raise CommitInvalid(f"{value.get('algo')!r} is not a supported digest; use sha256.")
                size = bodies.whole(value, "size") if value.get("size") is not None else None
                yield Stored(bodies.path(value), uploads.check_digest(bodies.text(value, "oid")), size)
            case "copyFile":
                value = _member(line, "copyFile")
                yield Copy(bodies.path(value), bodies.text(value, "srcPath"), bodies.text(value, "srcRevision", ""))
            case "deletedFile" | "deletedFolder" as key:
                yield Deletion(bodies.path(_member(line, key)).rstrip("/"))
            case other:
                raise CommitInvalid(f"A line of the commit has the unknown key {str(other)[:60]!r}.")


def _member(line: bodies.JsonObject, key: str) -> bodies.JsonObject:
    value = line.get("value")
    if line.get("key") != key or not isinstance(value, dict):
        raise CommitInvalid(f"The commit lacks a line {{'key': '{key}', 'value': {{…}}}} where one is required.")
    return value


def _parent(header: bodies.JsonObject) -> str:
    parent = bodies.text(header, "parentCommit", "")
    if parent and not (5 <= len(parent) <= 40 and set(parent.lower()) <= set("0123456789abcdef")):
        raise CommitInvalid(f"The parent commit {parent[:60]!r} is not 5 to 40 hex digits.")
    return parent


def content(value: bodies.JsonObject) -> bytes:
    """Return the bytes of an inline file. Raises CommitInvalid."""
    text, encoding = bodies.text(value, "content"), bodies.text(value, "encoding", "base64")
    try:
        if encoding == "utf-8":
            return text.encode()
        if encoding == "base64":
            return base64.b64decode(text, validate=True)
    except ValueError as error:
        raise CommitInvalid(f"The content of {str(value.get('path'))[:200]!r} is not {encoding}: {error}.") from None
    raise CommitInvalid(f"Unknown encoding {encoding[:40]!r}; use base64.")


CONTENT_TYPE = "application/vnd.git-lfs+json"


class Batch(Route):
    """POST /{id}.git/info/lfs/objects/batch"""

    family = Family.FILES

    def post(self, request: HttpRequest, ns: str, name: str) -> HttpResponse:
        body = bodies.json_object(request)
        operation = bodies.text(body, "operation", "")
        is_download = operation == "download"
        if not is_download:
            refuse_below_verified(request)
        repository = self.repository(ns, name, Permission.DOWNLOAD if is_download else Permission.DISCUSS)
        if operation not in {"upload", "download"}:
            raise ValueInvalid(f"Unknown LFS operation {operation[:40]!r}.", fix="Use upload or download.")
        if bodies.text(body, "hash_algo", "sha256") != "sha256":
            raise ValueInvalid("LFS objects are identified by their sha256 here.", fix="Use hash_algo sha256.")
        asked = [(bodies.text(item, "oid"), bodies.whole(item, "size")) for item in bodies.objects(body, "objects")]
        if is_download:
            here = absolute(request, reverse("hf:lfs-download"))
            return _batch("basic", self._downloads(repository, asked, here))
        # git-lfs names no transfer when it knows only the basic one.
        in_parts = "multipart" in bodies.strings(body | {"transfers": body.get("transfers") or []}, "transfers")
        offers = uploads.offer(repository, asked, by=self.caller, transfer=uploads.Transfer(in_parts))
        limits.take_bytes(self.caller, sum(one.size for one in offers if one.ticket))
        transfer = "multipart" if any(one.cut for one in offers) else "basic"
        here = absolute(request, reverse("hf:lfs-upload"))
        return _batch(transfer, [offer_shape(one, here) for one in offers])

    def _downloads(self, repository: Repository, asked: list[tuple[str, int]], here: str) -> list[JSON]:
        uploads.check_count(asked)
        tickets = downloads.create_tickets(repository, [sha256 for sha256, _ in asked], by=self.caller)
        missing = [sha256 for sha256, _ in asked if sha256 not in tickets]
        unserved = downloads.find_unserved(repository, missing, self.caller) if missing else {}
        return [_download(sha256, size, tickets.get(sha256), here, unserved.get(sha256)) for sha256, size in asked]


def _batch(transfer: str, objects: list[JSON]) -> HttpResponse:
    response = answer({"transfer": transfer, "hash_algo": "sha256", "objects": objects})
    response["Content-Type"] = CONTENT_TYPE
    return response


def _download(sha256: str, size: int, ticket: str | None, here: str, refusal: RegistryError | None) -> JSON:
    fields: JSON = {"oid": sha256, "size": size}
    if refusal is not None:
        return fields | {"error": {"code": 403, "message": refusal.detail}}
    if ticket is None:
        message = "No file of this repository has this sha256, or you may not download it."
        return fields | {"error": {"code": 404, "message": message}}
    href = f"{here}?ticket={quote(ticket, safe='')}"
    action = {"href": href, "header": {}, "expires_in": downloads.SECONDS}
    return fields | {"authenticated": True, "actions": {"download": action}}


class Download(Route):
    """GET /api/lfs/downloads?ticket=…: the address that a download batch answers"""

    family = Family.FILES

    def get(self, request: HttpRequest) -> HttpResponseBase:
        response = file_response(request, downloads.redeem_ticket(request.GET.get("ticket", "")))
        response["Content-Disposition"] = "attachment"
        return response


class Upload(Route):
    """PUT /api/lfs/uploads?ticket=…: clients send no headers here, the ticket is the right to deliver"""

    family = Family.FILES

    def put(self, request: HttpRequest) -> HttpResponse:
        bodies.refuse_encoded(request)
        length = bodies.declared_length(request)
        uploads.accept(request.GET.get("ticket", ""), bodies.pieces(request), length)
        return answer({})


class Part(Route):
    """PUT /api/lfs/uploads/parts/{number}?ticket=…: one part, whose ETag the completion names again"""

    family = Family.FILES

    def put(self, request: HttpRequest, number: int) -> HttpResponse:
        bodies.refuse_encoded(request)
        length = bodies.declared_length(request)
        etag = uploads.accept_part(request.GET.get("ticket", ""), number, bodies.pieces(request), length)
        response = answer({})
        response["ETag"] = etag
        return response


class Complete(Route):
    """POST /api/lfs/uploads/complete?ticket=…: all parts are there; the ticket is the right to say so, once"""

    family = Family.FILES

    def post(self, request: HttpRequest) -> HttpResponse:
        body, ticket = bodies.json_object(request), request.GET.get("ticket", "")
        uploads.check_ticket(ticket)  # before the body: who has none learns nothing of what belongs there
        parts = bodies.objects(body, "parts")
        etags = [(bodies.whole(one, "partNumber"), bodies.text(one, "etag")) for one in parts]
        uploads.complete(ticket, bodies.text(body, "oid"), etags)
        return answer({})


class Verify(Route):
    """POST /api/lfs/uploads/verify?ticket=…"""

    family = Family.FILES

    def post(self, request: HttpRequest) -> HttpResponse:
        bodies.json_object(request)
        uploads.verify(request.GET.get("ticket", ""))
        return answer({})
