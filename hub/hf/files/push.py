"""Pushing on the wire: card check, preupload and commit. The steps of a push are in registry/publish/push/."""

import base64
import binascii
from collections.abc import Iterator

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from hub.answers import answer
from hub.hf import bodies, shapes
from hub.hf.dialect import Route
from hub.hf.files import cards
from hub.origin import origin
from registry.kernel.errors import CommitInvalid, ValueInvalid
from registry.models import Ref
from registry.publish import push
from registry.publish.push import Copy, Deletion, Inline, Intent, Operation, Stored
from registry.publish.uploads import open_pushes, planning, uploads
from registry.publish.uploads.planning import Asked
from registry.repos import refs


class ValidateYaml(Route):
    """POST /api/validate-yaml: JSON also without a token; clients parse the answer before they look at the status"""

    def post(self, request: HttpRequest) -> HttpResponse:
        try:
            body = bodies.json_object(request)
            errors, warnings = cards.judge(bodies.text(body, "content"), bodies.text(body, "repoType", "model"))
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
        asked = [Asked(bodies.path(file), bodies.whole(file, "size")) for file in bodies.objects(body, "files")]
        ref = refs.full_ref(rev)
        gitignore = bodies.text(body, "gitIgnore", "") or None
        files = planning.plan(repository, ref, asked, by=self.caller, gitignore=gitignore, propose=proposes)
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
                yield Inline(bodies.path(value), _content(value))
            case "lfsFile":
                value = _member(line, "lfsFile")
                if value.get("algo", "sha256") != "sha256":
                    raise CommitInvalid(f"{value.get('algo')!r} is not a digest this hub knows; use sha256.")
                size = bodies.whole(value, "size") if value.get("size") is not None else None
                yield Stored(bodies.path(value), uploads.check_digest(bodies.text(value, "oid")), size)
            case "copyFile":
                value = _member(line, "copyFile")
                yield Copy(bodies.path(value), bodies.text(value, "srcPath"), bodies.text(value, "srcRevision", ""))
            case "deletedFile" | "deletedFolder" as key:
                yield Deletion(bodies.path(_member(line, key)).rstrip("/"))
            case other:
                raise CommitInvalid(f"A line of the commit has the key {str(other)[:60]!r}, which is not known here.")


def _member(line: bodies.JsonObject, key: str) -> bodies.JsonObject:
    value = line.get("value")
    if line.get("key") != key or not isinstance(value, dict):
        raise CommitInvalid(f"The commit lacks a line {{'key': '{key}', 'value': {{…}}}} where one must be.")
    return value


def _parent(header: bodies.JsonObject) -> str:
    parent = bodies.text(header, "parentCommit", "")
    if parent and not (5 <= len(parent) <= 40 and set(parent.lower()) <= set("0123456789abcdef")):
        raise CommitInvalid(f"The parent commit {parent[:60]!r} is not 5 to 40 hex digits.")
    return parent


def _content(value: bodies.JsonObject) -> bytes:
    content, encoding = bodies.text(value, "content"), bodies.text(value, "encoding", "base64")
    try:
        if encoding == "utf-8":
            return content.encode()
        if encoding == "base64":
            return base64.b64decode(content, validate=True)
    except (binascii.Error, ValueError) as error:
        raise CommitInvalid(f"The content of {str(value.get('path'))[:200]!r} is not {encoding}: {error}.") from None
    raise CommitInvalid(f"The encoding {encoding[:40]!r} is not known here; use base64.")
