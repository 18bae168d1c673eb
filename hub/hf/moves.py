"""Repositories that move or are duplicated, and how their history is rewritten."""

from django.http import HttpRequest, HttpResponse

from hub.answers import answer
from hub.hf import bodies, shapes
from hub.hf.addresses import next_page
from hub.hf.dialect import Route
from hub.hf.repos import known_type, privacy_in
from hub.hf.shapes import JSON
from hub.origin import origin
from registry.kernel.errors import SignInRequired, ValueInvalid
from registry.kernel.policy import Permission
from registry.publish import copies, history, moves
from registry.publish.copies import LargeFile
from registry.repos import lookup

FILES_PAGE = 1000


class Move(Route):
    """POST /api/repos/move {fromRepo, toRepo, type}; what was at the old address is found at the new one from now on"""

    def post(self, request: HttpRequest) -> HttpResponse:
        if self.caller.user is None:
            raise SignInRequired("Moving a repository needs a token.")
        body = bodies.json_object(request)
        type = known_type(bodies.text(body, "type", "model"))
        old, new = bodies.text(body, "fromRepo"), bodies.text(body, "toRepo")
        repository = lookup.find(old, self.caller, Permission.CONFIGURE, type=type)
        moved = moves.move(repository, new, self.caller)
        return answer({"url": shapes.page_of(moved, origin(request))})


class Duplicate(Route):
    """POST /api/models/{id}/duplicate {repository, visibility?}: 200 or 409, both with the address"""

    def post(self, request: HttpRequest, ns: str, name: str) -> HttpResponse:
        if self.caller.user is None:  # as for any other writing; whether there is something to copy is not said
            self.repository(ns, name)
            raise SignInRequired("Duplicating a repository needs a token.")
        source = self.repository(ns, name, Permission.DOWNLOAD)
        body = bodies.json_object(request)
        destination = bodies.text(body, "repository", "") or source.name
        full_name = destination if "/" in destination else f"{self.caller.user.username}/{destination}"
        duplicate = copies.duplicate(source, full_name, self.caller, private=privacy_in(body))
        return answer({"url": shapes.page_of(duplicate, origin(request)), "filesCopyPending": False})


class SuperSquash(Route):
    """POST /api/models/{id}/super-squash/{branch} {message}"""

    def post(self, request: HttpRequest, ns: str, name: str, rev: str) -> HttpResponse:
        repository = self.repository(ns, name, Permission.PUSH)
        message = bodies.text(bodies.json_object(request), "message", "")
        squashed = history.squash(repository, rev, message, self.caller)
        return answer({"commitOid": squashed.revision.oid})


class LargeFiles(Route):
    """GET /api/models/{id}/lfs-files: what takes room, in every revision"""

    def get(self, request: HttpRequest, ns: str, name: str) -> HttpResponse:
        repository = self.repository(ns, name, Permission.INSPECT)
        limit = bodies.whole_in(request.GET, "limit", FILES_PAGE, FILES_PAGE)
        cursor = bodies.whole_in(request.GET, "cursor", 0, 1 << 62, least=0)
        files = copies.large_files(repository, self.caller, after=cursor, limit=limit + 1)
        response = answer([_large(file) for file in files[:limit]])
        if len(files) > limit:
            response["Link"] = next_page(request, cursor=str(files[limit - 1].row), limit=str(limit))
        return response


class OneLargeFile(Route):
    """DELETE /api/models/{id}/lfs-files/{sha256}?rewriteHistory="""

    def delete(self, request: HttpRequest, ns: str, name: str, sha256: str) -> HttpResponse:
        repository = self.repository(ns, name, Permission.CONFIGURE)
        is_rewritten = bodies.truth(request.GET.get("rewriteHistory"))
        history.forget_files(repository, [sha256], self.caller, rewrite=is_rewritten)
        return answer({})


class DropLargeFiles(Route):
    """POST /api/models/{id}/lfs-files/batch {"deletions": {"sha": [...], "rewriteHistory"}}"""

    def post(self, request: HttpRequest, ns: str, name: str) -> HttpResponse:
        repository = self.repository(ns, name, Permission.CONFIGURE)
        deletions = bodies.json_object(request).get("deletions")
        if not isinstance(deletions, dict):
            raise ValueInvalid("'deletions' must be an object.", fix='Send {"deletions": {"sha": [...]}}.')
        digests = bodies.strings(deletions, "sha")
        if len(digests) > copies.MAX_ASKED:
            raise ValueInvalid(f"At most {copies.MAX_ASKED:,} files at once.", fix="Send them in several requests.")
        history.forget_files(repository, digests, self.caller, rewrite=bodies.truth(deletions.get("rewriteHistory")))
        return answer({})


class ShareFiles(Route):
    """POST /api/models/{id}/lfs-files/duplicate {"target": {"type", "name"}, "files": [{"sha256"}]}, at the source"""

    def post(self, request: HttpRequest, ns: str, name: str) -> HttpResponse:
        source = self.repository(ns, name, Permission.DOWNLOAD)
        body = bodies.json_object(request)
        target = body.get("target")
        if not isinstance(target, dict):
            raise ValueInvalid("'target' must be an object.", fix='Send {"target": {"type", "name"}}.')
        type = known_type(bodies.text(target, "type", "model"))
        into = lookup.find(bodies.text(target, "name"), self.caller, Permission.PUSH, type=type)
        digests = [bodies.text(file, "sha256") for file in bodies.objects(body, "files")]
        failed = copies.share(source, into, digests, self.caller)
        return answer({"failed": [{"sha256": sha256, "error": str(error)} for sha256, error in failed.items()]})


def _large(file: LargeFile) -> JSON:
    return {
        "fileOid": file.sha256,
        "oid": file.sha256,
        "filename": file.path,
        "size": file.size,
        "pushedAt": shapes.moment(file.pushed_by.created_at),
        "ref": file.ref,
    }
